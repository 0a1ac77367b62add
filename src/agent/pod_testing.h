// For tests: pods from JSON, and records of what a runtime shows in one short line.
#pragma once

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "agent/pod_plan.h"
#include "base/text.h"

namespace skiff::agent::testing {

inline SharedPod pod_from(const std::string& spec, const std::string& metadata = "",
                          const std::string& status = "") {
    const std::string text =
        concat(R"({"metadata":{"name":"p","namespace":"n","uid":"u")", metadata, R"(},"spec":)",
               spec, status.empty() ? "" : R"(,"status":)", status, "}");
    auto pod = api::decode<Pod>(text);
    EXPECT_TRUE(pod.has_value()) << text;
    return std::make_shared<const Pod>(pod ? *std::move(pod) : Pod{});
}

// "name:running", "name:exit0", "name:exit1", "name:created"; with "#2" the restart count and "@3"
// how many seconds ago it ended.
inline ContainerRecord record_from(std::string_view text, WallTime now,
                                   const std::string& sandbox = "s0") {
    auto [name, rest] = cut(text, ':');
    ContainerRecord record{
        .name = std::string{name}, .sandbox_id = sandbox, .created_at = now - 100s};
    auto [state, ago] = cut(*rest, '@');
    const auto [what, count] = cut(state, '#');
    record.restart_count = count ? parse_number<unsigned>(*count).value() : 0;
    record.id = concat(name, "-", record.restart_count);
    record.started_at = now - 90s;
    if (what == "running")
        record.state = ContainerState::Running;
    else if (what == "created")
        record.state = ContainerState::Created;
    else {
        record.state = ContainerState::Exited;
        record.exit_code = parse_number<int>(what.substr(4)).value();
        record.finished_at = now - std::chrono::seconds{ago ? parse_number<int>(*ago).value() : 60};
    }
    return record;
}

// "!": no sandbox at all; "x": a dead one; else a ready one with the containers named.
inline PodRecord pod_record_from(std::string_view text, WallTime now) {
    PodRecord record;
    if (text == "!") return record;
    record.put(
        SandboxRecord{.id = "s0", .ready = !text.starts_with('x'), .addresses = {"10.0.0.5"}});
    for (const auto word : split(text, ' ')) {
        if (!word.empty() && word != "x") record.put(record_from(word, now));
    }
    return record;
}

struct World {   // everything that plan_pod reads
    SharedPod pod;
    PodRecord record;
    WallTime now = WallTime{std::chrono::seconds{1'800'000'000}};
    bool gone = false;
    std::map<std::string, ProbeVerdict> probes;
    std::map<std::string, Backoff> restarts;
    std::map<std::string, StartFailure> failures;
    std::set<std::string> busy;
    std::map<std::string, WallTime> killing;

    PodFacts facts() const {
        return {.pod = *pod,
                .record = record,
                .now = now,
                .gone = gone,
                .probes = probes,
                .restarts = restarts,
                .failures = failures,
                .busy = busy,
                .killing = killing};
    }
    PodPlan plan() const { return plan_pod(facts()); }
};

// A plan in one line: "sandbox", "stop s0", "start a#1", "kill a", "wait a CrashLoopBackOff",
// "remove a-0", "stopped".
inline std::string text_of(const PodPlan& plan) {
    std::string out;
    const auto add = [&](std::string_view what) { append(out, out.empty() ? "" : ", ", what); };
    if (plan.create_sandbox) add("sandbox");
    for (const auto& kill : plan.kill) add(concat("kill ", kill.name));
    for (const auto& id : plan.stop_sandboxes) add(concat("stop ", id));
    for (const auto& start : plan.start) {
        add(start.restart_count ? concat("start ", start.name, "#", start.restart_count)
                                : concat("start ", start.name));
    }
    for (const auto& [name, waiting] : plan.waiting)
        add(concat("wait ", name, " ", waiting.reason));
    for (const auto& id : plan.remove) add(concat("remove ", id));
    if (plan.stopped) add("stopped");
    return out;
}

}   // namespace skiff::agent::testing
