// Workers on a real containerd, with an API made of plain memory.
#include "agent/pod_worker.h"

#include <csignal>
#include <filesystem>

#include <gtest/gtest.h>

#include "agent/containerd_fixture.h"
#include "agent/pods.h"
#include "base/guarded.h"
#include "base/os.h"
#include "base/text.h"

namespace skiff::agent {
namespace {

struct FakeApi final : PodApi {
    struct Seen {
        std::vector<std::string> patches;
        std::vector<std::string> removed;
    };
    Result<> patch_status(const Pod&, const std::string& patch) override {
        seen.use([&](Seen& all) { all.patches.push_back(patch); });
        return {};
    }
    Result<view::PersistentVolume> claimed(const Pod&, const Volume&) override {
        return fail(Reason::NotFound, "no claims here");
    }
    Result<> remove(const Pod& pod) override {
        seen.use([&](Seen& all) { all.removed.push_back(pod.metadata.name); });
        return {};
    }
    Result<IssuedToken> token(const Pod&, const TokenWanted&) override {
        return IssuedToken{.token = "token", .expires = os_clock().now() + 1h};
    }
    std::string last() {
        return seen.use([](Seen& all) { return all.patches.empty() ? "" : all.patches.back(); });
    }
    Guarded<Seen> seen;
};

struct FakeConfigs final : ConfigSource {
    void want(const std::string&, const std::string&, const ConfigNames&,
              std::function<void()>) override {}
    void forget(const std::string&) override {}
    Result<ConfigValues> read(const std::string&, const ConfigNames& names) override {
        return values.use([&](ConfigValues& all) {
            ConfigValues out;
            for (const auto& name : names.config_maps) {
                if (all.config_maps.contains(name)) out.config_maps[name] = all.config_maps[name];
            }
            return out;
        });
    }
    Guarded<ConfigValues> values;
};

struct FakeEvents final : EventRecorder {
    void tell(const client::ObjectReference&, EventText text) override {
        all.use([&](auto& list) { list.push_back(concat(text.reason, ": ", text.message)); });
    }
    bool has(std::string_view start) {
        return all.use([&](auto& list) {
            return std::ranges::any_of(list,
                                       [&](const auto& one) { return one.starts_with(start); });
        });
    }
    Guarded<std::vector<std::string>> all;
};

struct PodWorkerTest : testing::Test {
    void SetUp() override {
        if (const auto missing = ContainerdFixture::missing(); !missing.empty())
            GTEST_SKIP() << missing;
        containerd = std::make_unique<ContainerdFixture>();
        const auto started = containerd->start();
        ASSERT_TRUE(started.has_value()) << started.error().message;
        node.cluster_id = "test" + std::to_string(::getpid() % 100);
        node.log_root = containerd->folder() + "/log";
        node.addresses = {"192.0.2.10"};
        images = std::make_unique<Images>(containerd->executor(), containerd->cri(),
                                          containerd->folder() + "/imported");
        checks =
            std::make_unique<Checks>(containerd->executor(), containerd->loop(), containerd->cri());
        hooks = std::make_unique<HookRunner>(*checks);
        make_pods();
        follow =
            follow_container_events(containerd->executor(), os_random(), containerd->client(),
                                    {[this](const ContainerEvent& event) { pods->event(event); },
                                     [this] { pods->resync(); }});
    }
    void make_pods() {
        pods = std::make_unique<Pods>(
            PodParts{containerd->executor(), containerd->cri(), *images, configs, api, events,
                     *hooks, cgroups, host_ports, node, containerd->folder() + "/root", network},
            *checks, [](const std::string&) {});
    }
    void TearDown() override {
        if (!containerd) return;
        for (const auto& worker : pods->all()) worker->deleted(worker->pod());
        EXPECT_TRUE(eventually([&] { return pods->all().empty(); }));
        follow.reset();
        cgroups.remove(pods_cgroup(node.cluster_id));
        containerd.reset();
    }

    static SharedPod pod_of(const std::string& name, const std::string& spec,
                            const std::string& more = "") {
        const std::string text =
            concat(R"({"metadata":{"name":")", name, R"(","namespace":"default","uid":"uid-)", name,
                   "\"", more, R"(},"spec":)", spec, "}");
        auto pod = api::decode<Pod>(text);
        EXPECT_TRUE(pod.has_value()) << (pod ? "" : pod.error().message);
        return std::make_shared<const Pod>(*std::move(pod));
    }
    static std::string container(const std::string& name, const std::string& script,
                                 const std::string& more = "") {
        return concat(R"({"name":")", name,
                      R"(","image":"busybox:latest","imagePullPolicy":"IfNotPresent",)",
                      R"("command":["/bin/sh","-c",")", script, "\"]", more, "}");
    }
    bool eventually(const std::function<bool()>& check, Duration most = 60s) {
        const auto deadline = os_clock().monotonic() + most;
        while (!check()) {
            if (os_clock().monotonic() > deadline) return false;
            containerd->executor().make_waiter()->wait_until(os_clock().monotonic() + 5ms);
        }
        return true;
    }
    bool shows(const std::string& part, Duration most = 60s) {
        const bool found =
            eventually([&] { return api.last().find(part) != std::string::npos; }, most);
        if (!found) {
            ADD_FAILURE() << "wanted " << part << "\nin " << api.last();
            events.all.use([](auto& list) {
                for (const auto& one : list) std::cerr << one << "\n";
            });
        }
        return found;
    }

    // The pause process, as containerd tells it; 0 when it does not.
    pid_t sandbox_process(const std::string& id) {
        const auto status = containerd->cri().pod_sandbox_status(id, true);
        if (!status) return 0;
        for (const auto& [key, text] : status->info) {
            const auto info = codec::parse_json(text);
            const auto* pid = info ? info->root.find("pid") : nullptr;
            if (key == "info" && pid && pid->is_integer()) return static_cast<pid_t>(pid->as_int());
        }
        return 0;
    }

    NodeFacts node;
    FakeApi api;
    FakeConfigs configs;
    FakeEvents events;
    Cgroups cgroups;
    HostPorts host_ports{"test"};
    NetworkHooks network;
    std::unique_ptr<ContainerdFixture> containerd;
    std::unique_ptr<Images> images;
    std::unique_ptr<Checks> checks;
    std::unique_ptr<HookRunner> hooks;
    std::unique_ptr<Pods> pods;
    std::unique_ptr<ContainerEvents> follow;
};

TEST_F(PodWorkerTest, a_pod_runs_and_ends_with_its_last_words) {
    const auto began = os_clock().monotonic();
    pods->changed(
        nullptr,
        pod_of(
            "one",
            concat(R"({"restartPolicy":"Never","containers":[)",
                   container("a", "echo hello; sleep 1; echo bye > /dev/termination-log; exit 3"),
                   "]}")));
    ASSERT_TRUE(shows(R"("phase":"Running")"));
    std::cerr << "running after "
              << std::chrono::duration_cast<std::chrono::milliseconds>(os_clock().monotonic() -
                                                                       began)
                     .count()
              << " ms\n";
    EXPECT_TRUE(shows(R"("type":"Ready","status":"True")"));
    const auto where = pods->find("default", "one")->find_container("a", false);
    ASSERT_TRUE(shows(R"("phase":"Failed")"));
    // Only now: a container runs before what it writes has come to its file.
    EXPECT_NE(read_file(where.log_path).value_or("").find("stdout F hello"), std::string::npos);
    EXPECT_TRUE(shows(R"("exitCode":3,"reason":"Error","message":"bye\n")"));
    EXPECT_TRUE(events.has("Started: Started container a"));
}

TEST_F(PodWorkerTest, a_crashing_container_waits_longer_each_time) {
    pods->changed(nullptr,
                  pod_of("crash", concat(R"({"containers":[)", container("a", "exit 1"), "]}")));
    ASSERT_TRUE(shows(
        R"x("reason":"CrashLoopBackOff","message":"back-off 10s restarting failed container=a pod=crash_default(uid-crash)")x"));
    EXPECT_TRUE(shows(R"("restartCount":1)"));
    EXPECT_TRUE(events.has(
        "BackOff: Back-off restarting failed container a in pod crash_default(uid-crash)"));
}

TEST_F(PodWorkerTest, sidecars_start_before_and_end_after_the_main_container) {
    pods->changed(
        nullptr,
        pod_of(
            "side",
            concat(
                R"({"restartPolicy":"Never","volumes":[{"name":"d","emptyDir":{}}],"initContainers":[)",
                container("init", "echo init >> /d/order",
                          R"(,"volumeMounts":[{"name":"d","mountPath":"/d"}])"),
                ",",
                container(
                    "car",
                    "echo car >> /d/order; trap 'exit 0' TERM; while true; do sleep 0.1; done",
                    R"(,"restartPolicy":"Always","volumeMounts":[{"name":"d","mountPath":"/d"}])"),
                R"(],"containers":[)",
                container("main", "sleep 0.3; echo main >> /d/order; cat /d/order",
                          R"(,"volumeMounts":[{"name":"d","mountPath":"/d"}])"),
                "]}")));
    ASSERT_TRUE(shows(R"("phase":"Succeeded")"));
    const auto where = pods->find("default", "side")->find_container("main", false);
    const auto log = read_file(where.log_path).value_or("");
    EXPECT_NE(log.find("init"), std::string::npos) << log;
    EXPECT_LT(log.find("init"), log.find("car"));
    EXPECT_LT(log.find("car"), log.find("main"));
}

TEST_F(PodWorkerTest, deletion_is_graceful_and_leaves_nothing) {
    const auto spec = concat(
        R"({"terminationGracePeriodSeconds":5,"containers":[)",
        container("a", "trap 'echo got term; exit 0' TERM; while true; do sleep 0.05; done"), "]}");
    const auto pod = pod_of("gone", spec);
    pods->changed(nullptr, pod);
    ASSERT_TRUE(shows(R"("phase":"Running")"));
    const auto id = pods->find("default", "gone")->find_container("a", false).id;
    pods->changed(pod, pod_of("gone", spec,
                              concat(R"(,"deletionTimestamp":")", rfc3339(os_clock().now() + 5s),
                                     R"(","deletionGracePeriodSeconds":5)")));
    ASSERT_TRUE(eventually([&] { return pods->all().empty(); }));
    EXPECT_EQ(api.seen.use([](auto& all) { return all.removed; }),
              std::vector<std::string>{"gone"});
    EXPECT_TRUE(containerd->cri().list_containers()->empty());
    EXPECT_TRUE(containerd->cri().list_pod_sandboxes()->empty());
    EXPECT_FALSE(file_exists(containerd->folder() + "/root/agent/pods/uid-gone"));
    EXPECT_FALSE(file_exists(pod_cgroup(node.cluster_id, *pod)));
    EXPECT_FALSE(file_exists(containerd->folder() + "/log/pods/default_gone_uid-gone"));
}

TEST_F(PodWorkerTest, a_name_means_the_pod_that_the_api_has_not_the_one_that_still_ends) {
    const auto spec = concat(R"({"terminationGracePeriodSeconds":1,"containers":[)",
                             container("a", "sleep 100"), "]}");
    const auto pod_with = [&](const std::string& uid) {
        auto pod = *pod_of("twice", spec);
        pod.metadata.uid = uid;
        return std::make_shared<const Pod>(std::move(pod));
    };
    const auto first = pod_with("uid-a");   // sorts before and after: the order is no luck
    const auto second = pod_with("uid-b");
    const auto third = pod_with("uid-a2");
    pods->changed(nullptr, first);
    pods->changed(first, second);
    ASSERT_TRUE(pods->find("default", "twice"));
    EXPECT_EQ(pods->find("default", "twice")->pod()->metadata.uid, "uid-b");
    pods->changed(second, third);
    ASSERT_TRUE(pods->find("default", "twice"));
    EXPECT_EQ(pods->find("default", "twice")->pod()->metadata.uid, "uid-a2");
    pods->changed(third, nullptr);
    EXPECT_FALSE(pods->find("default", "twice"));
}

TEST_F(PodWorkerTest, a_missing_config_map_is_told_and_waited_for) {
    pods->changed(
        nullptr,
        pod_of(
            "config",
            concat(
                R"({"containers":[)",
                container(
                    "a", "echo $K; sleep 100",
                    R"(,"env":[{"name":"K","valueFrom":{"configMapKeyRef":{"name":"c","key":"k"}}}])"),
                "]}")));
    ASSERT_TRUE(
        shows(R"("reason":"CreateContainerConfigError","message":"configmap \"c\" not found")"));
    configs.values.use([](ConfigValues& values) { values.config_maps["c"]["k"] = "v"; });
    EXPECT_TRUE(shows(R"("phase":"Running")"));
}

TEST_F(PodWorkerTest, an_image_that_is_nowhere_is_told) {
    auto spec = concat(R"({"containers":[)", container("a", "true"), "]}");
    spec.replace(spec.find("busybox:latest"), 14, "127.0.0.1:1/none:1");
    pods->changed(nullptr, pod_of("image", spec));
    ASSERT_TRUE(shows(R"("reason":"ErrImagePull")"));
    EXPECT_TRUE(shows(
        R"("reason":"ImagePullBackOff","message":"Back-off pulling image \"127.0.0.1:1/none:1\")"));
}

TEST_F(PodWorkerTest, a_new_agent_adopts_what_runs) {
    const auto pod = pod_of("adopt", concat(R"({"terminationGracePeriodSeconds":1,"containers":[)",
                                            container("a", "sleep 100"), "]}"));
    pods->changed(nullptr, pod);
    ASSERT_TRUE(shows(R"("phase":"Running")"));
    const auto before = pods->find("default", "adopt")->find_container("a", false);
    follow.reset();
    make_pods();
    api.seen.use([](auto& all) { all.patches.clear(); });
    ASSERT_TRUE(pods->adopt({pod}).has_value());
    ASSERT_TRUE(shows(R"("phase":"Running")"));
    const auto after = pods->find("default", "adopt")->find_container("a", false);
    EXPECT_EQ(after.id, before.id);
    EXPECT_TRUE(shows(R"("restartCount":0)"));
    EXPECT_EQ(containerd->cri().list_containers()->size(), 1u);
    make_pods();
    const auto files_only = containerd->folder() + "/root/agent/pods/uid-long-gone";
    ASSERT_TRUE(make_directories(files_only).has_value());
    ASSERT_TRUE(make_directories(containerd->folder() + "/log/pods/n_p_uid-long-gone").has_value());
    ASSERT_TRUE(pods->adopt({}).has_value());   // deleted while the agent was away
    EXPECT_TRUE(eventually([&] { return pods->all().empty(); }));
    EXPECT_TRUE(containerd->cri().list_containers()->empty());
    EXPECT_FALSE(file_exists(files_only));
    EXPECT_FALSE(file_exists(containerd->folder() + "/log/pods/n_p_uid-long-gone"));
}

TEST_F(PodWorkerTest, a_failing_liveness_probe_restarts_the_container) {
    pods->changed(
        nullptr,
        pod_of(
            "live",
            concat(
                R"({"terminationGracePeriodSeconds":1,"containers":[)",
                container(
                    "a", "touch /ok; sleep 1; rm /ok; sleep 100",
                    R"(,"livenessProbe":{"exec":{"command":["cat","/ok"]},"periodSeconds":1,"failureThreshold":1},"readinessProbe":{"exec":{"command":["cat","/ok"]},"periodSeconds":1})"),
                "]}")));
    ASSERT_TRUE(shows(R"("ready":true)"));
    ASSERT_TRUE(shows(R"("restartCount":1)"));
    EXPECT_TRUE(events.has("Unhealthy: Liveness probe failed: cat: can't open '/ok'"));
    EXPECT_TRUE(events.has("Killing: Container a failed liveness probe, will be restarted"));
}

// A call to the runtime would race with the worker's own clean-up of the same sandbox.
TEST_F(PodWorkerTest, a_killed_sandbox_is_made_again) {
    pods->changed(nullptr,
                  pod_of("box", concat(R"({"terminationGracePeriodSeconds":1,"containers":[)",
                                       container("a", "sleep 100"), "]}")));
    ASSERT_TRUE(shows(R"("phase":"Running")"));
    const auto old = pods->find("default", "box")->sandbox_id();
    const auto process = sandbox_process(old);
    ASSERT_GT(process, 0);
    ASSERT_EQ(kill(process, SIGKILL), 0);
    ASSERT_TRUE(eventually([&] {
        const auto now = pods->find("default", "box")->sandbox_id();
        return !now.empty() && now != old;
    }));
    EXPECT_TRUE(shows(R"("restartCount":1)"));
}

TEST_F(PodWorkerTest, a_pod_deleted_while_its_start_hook_hangs_ends_within_its_grace) {
    pods->changed(
        nullptr,
        pod_of(
            "hangs",
            concat(R"({"terminationGracePeriodSeconds":1,"containers":[)",
                   container("a", "sleep 100",
                             R"(,"lifecycle":{"postStart":{"exec":{"command":["sleep","60"]}}})"),
                   "]}")));
    ASSERT_TRUE(eventually([&] { return events.has("Started: Started container a"); }));
    const auto worker = pods->find("default", "hangs");
    worker->deleted(worker->pod());
    EXPECT_TRUE(eventually([&] { return pods->all().empty(); }, 10s));
}

}   // namespace
}   // namespace skiff::agent
