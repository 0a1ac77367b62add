#include "agent/pod_status.h"

#include "agent/pod_testing.h"
#include "codec/json.h"

namespace skiff::agent {
namespace {

using testing::pod_from;
using testing::pod_record_from;
using testing::World;

struct Shown {
    codec::Document document;
    StatusMemory memory;
    const codec::Json& status() const { return *document.root.find("status"); }
    std::string phase() const { return std::string{status().text_at({"phase"})}; }
    std::string condition(std::string_view type, std::string_view field = "status") const {
        for (const auto& one : status().find("conditions")->items()) {
            if (one.text_at({"type"}) == type) return std::string{one.text_at({field})};
        }
        return "absent";
    }
    std::string container(size_t index) const {
        return codec::to_json(status().find("containerStatuses")->items()[index]);
    }
};

Shown show(const World& world, StatusMemory memory = {}) {
    const auto facts = world.facts();
    const auto plan = plan_pod(facts);
    const auto text =
        make_status_patch({.pod = facts, .plan = plan, .host_addresses = {"192.0.2.1"}}, memory);
    auto document = codec::parse_json(text);
    EXPECT_TRUE(document.has_value()) << text;
    return {*std::move(document), std::move(memory)};
}

TEST(PodStatus, the_phase_follows_the_containers) {
    constexpr const char* two = R"({"containers":[{"name":"a"},{"name":"b"}]})";
    constexpr const char* never =
        R"({"restartPolicy":"Never","containers":[{"name":"a"},{"name":"b"}]})";
    constexpr const char* on_failure =
        R"({"restartPolicy":"OnFailure","containers":[{"name":"a"}]})";
    constexpr const char* inits =
        R"({"initContainers":[{"name":"i"}],"containers":[{"name":"a"}]})";
    constexpr const char* never_inits =
        R"({"restartPolicy":"Never","initContainers":[{"name":"i"}],"containers":[{"name":"a"}]})";
    struct Row {
        const char* why;
        const char* spec;
        const char* record;
        const char* phase;
    };
    const Row rows[] = {
        {"nothing yet", two, "!", "Pending"},
        {"one of two is still being made", two, "a:running", "Pending"},
        {"both run", two, "a:running b:running", "Running"},
        {"one will be restarted", two, "a:exit1 b:running", "Running"},
        {"all will be restarted", two, "a:exit1 b:exit0", "Running"},
        {"one is done, one runs", never, "a:exit0 b:running", "Running"},
        {"all succeeded", never, "a:exit0 b:exit0", "Succeeded"},
        {"one failed", never, "a:exit0 b:exit2", "Failed"},
        {"a failure is tried again", on_failure, "a:exit2", "Running"},
        {"success on failure's policy", on_failure, "a:exit0", "Succeeded"},
        {"initialising", inits, "i:running", "Pending"},
        {"an init container fails and is tried again", inits, "i:exit1", "Pending"},
        {"an init container fails for good", never_inits, "i:exit1", "Failed"},
        {"initialised", inits, "i:exit0 a:running", "Running"},
    };
    for (const Row& row : rows) {
        World world{.pod = pod_from(row.spec)};
        world.record = pod_record_from(row.record, world.now);
        EXPECT_EQ(show(world).phase(), row.phase) << row.why;
    }
}

TEST(PodStatus, conditions_carry_kubelets_reasons) {
    World world{
        .pod = pod_from(
            R"({"initContainers":[{"name":"i"}],"containers":[{"name":"a"},{"name":"b"}]})")};
    world.record = pod_record_from("i:running", world.now);
    auto shown = show(world);
    EXPECT_EQ(shown.condition("PodReadyToStartContainers"), "True");
    EXPECT_EQ(shown.condition("Initialized"), "False");
    EXPECT_EQ(shown.condition("Initialized", "reason"), "ContainersNotInitialized");
    EXPECT_EQ(shown.condition("Initialized", "message"), "containers with incomplete status: [i]");
    EXPECT_EQ(shown.condition("Ready", "message"), "containers with unready status: [a b]");
    EXPECT_EQ(shown.condition("PodScheduled"), "True");
    world.record = pod_record_from("i:exit0 a:running b:running", world.now);
    shown = show(world);
    EXPECT_EQ(shown.condition("Initialized"), "True");
    EXPECT_EQ(shown.condition("Ready"), "True");
    world.pod = pod_from(R"({"restartPolicy":"Never","containers":[{"name":"a"}]})");
    world.record = pod_record_from("a:exit0", world.now);
    shown = show(world);
    EXPECT_EQ(shown.condition("Initialized", "reason"), "PodCompleted");
    EXPECT_EQ(shown.condition("Ready", "reason"), "PodCompleted");
    EXPECT_EQ(shown.condition("ContainersReady"), "False");
}

TEST(PodStatus, readiness_gates_hold_the_pod_back) {
    const auto spec = R"({"readinessGates":[{"conditionType":"g"}],"containers":[{"name":"a"}]})";
    World world{.pod = pod_from(spec)};
    world.record = pod_record_from("a:running", world.now);
    EXPECT_EQ(show(world).condition("Ready", "message"),
              "corresponding condition of pod readiness gate \"g\" does not exist.");
    EXPECT_EQ(show(world).condition("ContainersReady"), "True");
    world.pod = pod_from(spec, "", R"({"conditions":[{"type":"g","status":"True"}]})");
    EXPECT_EQ(show(world).condition("Ready"), "True");
}

TEST(PodStatus, transition_times_move_only_with_the_condition) {
    World world{.pod = pod_from(R"({"containers":[{"name":"a"}]})")};
    world.record = pod_record_from("", world.now);
    auto shown = show(world);
    const auto first = shown.condition("Ready", "lastTransitionTime");
    const auto begun = std::string{shown.status().text_at({"startTime"})};
    world.now += 5s;
    shown = show(world, shown.memory);
    EXPECT_EQ(shown.condition("Ready", "lastTransitionTime"), first);
    EXPECT_EQ(shown.status().text_at({"startTime"}), begun);
    world.record = pod_record_from("a:running", world.now);
    shown = show(world, shown.memory);
    EXPECT_EQ(shown.condition("Ready", "lastTransitionTime"), rfc3339(world.now));
}

TEST(PodStatus, containers_show_state_last_state_and_count) {
    World world{.pod = pod_from(R"({"containers":[{"name":"a","image":"x"}]})")};
    world.record = pod_record_from("a:running#1 a:exit3#0", world.now);
    auto text = show(world).container(0);
    EXPECT_NE(text.find(R"("state":{"running":{"startedAt":)"), std::string::npos) << text;
    EXPECT_NE(text.find(R"("lastState":{"terminated":{"exitCode":3,"reason":"Error")"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find(R"("ready":true,"restartCount":1)"), std::string::npos) << text;
    EXPECT_NE(text.find(R"("containerID":"containerd://a-1","started":true)"), std::string::npos)
        << text;
    world.record = pod_record_from("a:exit3#1@1", world.now);
    world.restarts["a"].advance(world.now);
    text = show(world).container(0);
    EXPECT_NE(text.find(R"("waiting":{"reason":"CrashLoopBackOff")"), std::string::npos) << text;
    EXPECT_NE(text.find(R"("lastState":{"terminated":{"exitCode":3)"), std::string::npos) << text;
    world.record = pod_record_from("", world.now);
    text = show(world).container(0);
    EXPECT_NE(text.find(R"("waiting":{"reason":"ContainerCreating"})"), std::string::npos) << text;
    EXPECT_NE(text.find(R"("image":"x","imageID":"")"), std::string::npos) << text;
}

TEST(PodStatus, a_deleted_pod_ends_with_a_terminal_phase) {
    World world;
    world.pod = pod_from(R"({"containers":[{"name":"a"}]})",
                         R"(,"deletionTimestamp":"2026-01-01T00:00:00Z")");
    world.record = pod_record_from("a:exit137", world.now);
    world.record.sandboxes.front().stopped = true;
    EXPECT_EQ(show(world).phase(), "Failed");
    world.record = pod_record_from("a:exit0", world.now);
    world.record.sandboxes.front().stopped = true;
    EXPECT_EQ(show(world).phase(), "Succeeded");
}

TEST(PodStatus, a_terminal_phase_stays) {
    World world{.pod = pod_from(R"({"restartPolicy":"Never","containers":[{"name":"a"}]})", "",
                                R"({"phase":"Succeeded"})")};
    world.record = {};   // the runtime forgot it
    EXPECT_EQ(show(world, memory_of(*world.pod)).phase(), "Succeeded");
    EXPECT_EQ(testing::text_of(world.plan()), "stopped");
}

TEST(PodStatus, addresses_and_the_uid_are_said) {
    World world{.pod = pod_from(R"({"containers":[{"name":"a"}]})")};
    world.record = pod_record_from("a:running", world.now);
    const auto shown = show(world);
    EXPECT_EQ(shown.status().text_at({"podIP"}), "10.0.0.5");
    EXPECT_EQ(shown.status().text_at({"hostIP"}), "192.0.2.1");
    EXPECT_EQ(shown.document.root.text_at({"metadata", "uid"}), "u");
    EXPECT_EQ(shown.status().text_at({"qosClass"}), "BestEffort");
}

}   // namespace
}   // namespace skiff::agent
