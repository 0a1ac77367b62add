#include "agent/pod_plan.h"

#include "agent/pod_testing.h"

namespace skiff::agent {
namespace {

using testing::pod_from;
using testing::pod_record_from;
using testing::text_of;
using testing::World;

constexpr const char* two = R"({"containers":[{"name":"a"},{"name":"b"}]})";
constexpr const char* never =
    R"({"restartPolicy":"Never","containers":[{"name":"a"},{"name":"b"}]})";
constexpr const char* on_failure =
    R"({"restartPolicy":"OnFailure","containers":[{"name":"a"},{"name":"b"}]})";
constexpr const char* inits =
    R"({"initContainers":[{"name":"i"},{"name":"j"}],"containers":[{"name":"a"}]})";
constexpr const char* never_inits =
    R"({"restartPolicy":"Never","initContainers":[{"name":"i"},{"name":"j"}],"containers":[{"name":"a"}]})";
constexpr const char* sidecars =
    R"({"initContainers":[{"name":"s","restartPolicy":"Always"},{"name":"i"},{"name":"t","restartPolicy":"Always"}],"containers":[{"name":"a"}]})";
constexpr const char* never_sidecars =
    R"({"restartPolicy":"Never","initContainers":[{"name":"s","restartPolicy":"Always"},{"name":"t","restartPolicy":"Always"}],"containers":[{"name":"a"}]})";
constexpr const char* ephemeral =
    R"({"containers":[{"name":"a"}],"ephemeralContainers":[{"name":"e"}]})";

TEST(PodPlan, what_runs_decides_what_is_done_next) {
    struct Row {
        const char* why;
        const char* spec;
        const char* record;
        const char* plan;
    };
    const Row rows[] = {
        {"a sandbox comes first", two, "!", "sandbox"},
        {"then every container", two, "", "start a, start b"},
        {"what runs is left alone", two, "a:running", "start b"},
        {"nothing to do", two, "a:running b:running", ""},
        {"Always restarts whatever the exit code", two, "a:exit0 b:running", "start a#1"},
        {"a made container that never ran is started again, not counted", two,
         "a:created#2 b:running", "start a#2"},
        {"OnFailure restarts a failure only", on_failure, "a:exit0 b:exit1", "start b#1"},
        {"OnFailure is done when all succeeded", on_failure, "a:exit0 b:exit0", "stop s0"},
        {"Never waits for the other", never, "a:exit1 b:running", ""},
        {"Never is done when all ended", never, "a:exit1 b:exit0", "stop s0"},
        {"a dead sandbox is stopped before a new one", two, "x a:exit137 b:exit137", "stop s0"},
        {"containers of a dead sandbox go with it", two, "x a:running", "kill a, stop s0"},
        {"init containers one at a time", inits, "", "start i"},
        {"the second waits for the first", inits, "i:running", ""},
        {"the second follows the first", inits, "i:exit0", "start j"},
        {"main containers follow the last", inits, "i:exit0 j:exit0", "start a"},
        {"a failed init container runs again", inits, "i:exit1", "start i#1"},
        {"with Never a failed init container ends the pod", never_inits, "i:exit1", "stop s0"},
        {"init containers are over once a main container ran", inits, "a:exit1", "start a#1"},
        {"a sidecar is started before what follows", sidecars, "", "start s"},
        {"a running sidecar lets the next one begin", sidecars, "s:running", "start i"},
        {"both sidecars before the main container", sidecars, "s:running i:exit0", "start t"},
        {"then the main container", sidecars, "s:running i:exit0 t:running", "start a"},
        {"a sidecar that ends is restarted beside the main container", sidecars,
         "s:exit0 i:exit0 t:running a:running", "start s#1"},
        {"when the pod is done the last sidecar ends first", never_sidecars,
         "s:running t:running a:exit0", "kill t"},
        {"then the one before it", never_sidecars, "s:running t:exit0 a:exit0", "kill s"},
        {"then the sandbox", never_sidecars, "s:exit0 t:exit0 a:exit0", "stop s0"},
        {"ephemeral containers beside the others", ephemeral, "a:running", "start e"},
        {"ephemeral containers run once", ephemeral, "a:running e:exit1", ""},
        {"the last ended container is kept", two, "a:running#2 a:exit1#1 a:exit1#0 b:running",
         "remove a-0"},
        {"two ended ones are kept when none runs", never, "a:exit1#2 a:exit1#1 a:exit1#0 b:running",
         "remove a-0"},
    };
    for (const Row& row : rows) {
        World world{.pod = pod_from(row.spec)};
        world.record = pod_record_from(row.record, world.now);
        EXPECT_EQ(text_of(world.plan()), row.plan) << row.why;
    }
}

TEST(PodPlan, a_pod_being_deleted_ends_in_order) {
    struct Row {
        const char* why;
        const char* spec;
        const char* record;
        const char* plan;
    };
    const Row rows[] = {
        {"main containers at once, sidecars later", sidecars, "s:running t:running a:running",
         "kill a"},
        {"an init container is killed too", inits, "i:running", "kill i"},
        {"sidecars in reverse", sidecars, "s:running t:running a:exit0", "kill t"},
        {"the sandbox when all are dead", two, "a:exit0 b:exit137", "stop s0"},
        {"nothing was ever made", two, "!", "stopped"},
    };
    for (const Row& row : rows) {
        World world;
        world.pod =
            pod_from(row.spec, concat(R"(,"deletionTimestamp":")", rfc3339(world.now + 10s), "\""));
        world.record = pod_record_from(row.record, world.now);
        EXPECT_EQ(text_of(world.plan()), row.plan) << row.why;
        EXPECT_EQ(world.plan().ending, Ending::Deleted) << row.why;
    }
}

TEST(PodPlan, the_grace_is_what_is_left_until_the_deletion_timestamp) {
    World world;
    world.pod = pod_from(two, concat(R"(,"deletionTimestamp":")", rfc3339(world.now + 7s), "\""));
    world.record = pod_record_from("a:running b:running", world.now);
    EXPECT_EQ(world.plan().kill.at(0).grace_seconds, 7);
    world.killing = {{"a-0", world.now + 7s}, {"b-0", world.now + 7s}};
    EXPECT_EQ(text_of(world.plan()), "");   // under way
    world.gone = true;                      // deleted again, by force
    EXPECT_EQ(text_of(world.plan()), "kill a, kill b");
    EXPECT_EQ(world.plan().kill.at(0).grace_seconds, 1);
}

TEST(PodPlan, a_stopped_sandbox_ends_the_ending) {
    World world{.pod = pod_from(two), .gone = true};
    world.record = pod_record_from("a:exit0 b:exit0", world.now);
    world.record.sandboxes.front().stopped = true;
    EXPECT_EQ(text_of(world.plan()), "stopped");
    world.busy.insert("a");   // a start that cannot be called back
    EXPECT_EQ(text_of(world.plan()), "");
}

TEST(PodPlan, restarts_wait_longer_each_time) {
    World world{.pod = pod_from(two)};
    world.record = pod_record_from("a:exit1@4 b:running", world.now);
    EXPECT_EQ(text_of(world.plan()), "start a#1");   // the first one at once
    world.restarts["a"].advance(world.now - 20s);
    EXPECT_EQ(text_of(world.plan()), "wait a CrashLoopBackOff");
    EXPECT_EQ(world.plan().waiting.at("a").message,
              "back-off 10s restarting failed container=a pod=p_n(u)");
    EXPECT_EQ(world.plan().wake_at, world.now + 6s);
    world.now += 6s;
    EXPECT_EQ(text_of(world.plan()), "start a#1");
    world.restarts["a"].advance(world.now);
    EXPECT_EQ(world.restarts["a"].delay, 20s);
}

TEST(Backoff, doubles_to_five_minutes_and_is_forgotten_after_ten) {
    Backoff backoff;
    WallTime now{1000h};
    std::vector<int64_t> delays;
    for (int i = 0; i < 7; ++i, now += 1min) {
        backoff.advance(now);
        delays.push_back(std::chrono::duration_cast<std::chrono::seconds>(backoff.delay).count());
    }
    EXPECT_EQ(delays, (std::vector<int64_t>{10, 20, 40, 80, 160, 300, 300}));
    now += 10min;
    EXPECT_FALSE(backoff.holds(now, now));
    backoff.advance(now);
    EXPECT_EQ(backoff.delay, 10s);
    Backoff adopted;
    adopted.assume(3, now);
    EXPECT_EQ(adopted.delay, 40s);
}

TEST(PodPlan, probes_gate_and_restart) {
    const char* probed =
        R"({"initContainers":[{"name":"s","restartPolicy":"Always","startupProbe":{"tcpSocket":{"port":1}}}],
        "containers":[{"name":"a","livenessProbe":{"tcpSocket":{"port":1},"terminationGracePeriodSeconds":3}}]})";
    World world{.pod = pod_from(probed)};
    world.record = pod_record_from("s:running", world.now);
    world.probes["s-0"] = {.started = false, .ready = true, .restart = {}};
    EXPECT_EQ(text_of(world.plan()), "");   // gated by the sidecar's startup
    world.probes["s-0"].started = true;
    EXPECT_EQ(text_of(world.plan()), "start a");
    world.record = pod_record_from("s:running a:running", world.now);
    world.probes["a-0"] = {.started = true, .ready = true, .restart = "liveness"};
    ASSERT_EQ(text_of(world.plan()), "kill a");
    EXPECT_EQ(world.plan().kill[0].grace_seconds, 3);
    EXPECT_EQ(world.plan().kill[0].message, "Container a failed liveness probe, will be restarted");
}

TEST(PodPlan, a_changed_image_restarts_the_container) {
    World world{.pod = pod_from(R"({"containers":[{"name":"a","image":"x:2"}]})")};
    world.record = pod_record_from("a:running", world.now);
    Container old;
    old.name = "a";
    old.image = "x:1";
    world.record.containers[0].spec_hash = container_hash(old);
    EXPECT_EQ(world.plan().kill.at(0).message, "Container a definition changed, will be restarted");
    old.image = "x:2";
    world.record.containers[0].spec_hash = container_hash(old);
    EXPECT_EQ(text_of(world.plan()), "");
}

TEST(PodPlan, the_active_deadline_ends_the_pod) {
    const auto spec = R"({"activeDeadlineSeconds":30,"containers":[{"name":"a"}]})";
    World world;
    const auto status = [&](Duration ago) {
        return concat(R"({"startTime":")", rfc3339(world.now - ago), "\"}");
    };
    world.pod = pod_from(spec, "", status(10s));
    world.record = pod_record_from("a:running", world.now);
    EXPECT_EQ(text_of(world.plan()), "");
    EXPECT_EQ(world.plan().wake_at, world.now + 20s);
    world.pod = pod_from(spec, "", status(30s));
    EXPECT_EQ(world.plan().ending, Ending::Deadline);
    EXPECT_EQ(text_of(world.plan()), "kill a");
}

TEST(PodPlan, failures_of_a_start_are_told_and_waited_out) {
    World world{.pod = pod_from(R"({"containers":[{"name":"a","image":"x"},{"name":"b"}]})")};
    world.record = pod_record_from("", world.now);
    world.failures["a"] = {.reason = "ErrImagePull",
                           .message = "no such host",
                           .at = world.now,
                           .retry_at = world.now + 10s,
                           .image = true};
    EXPECT_EQ(text_of(world.plan()), "start b, wait a ErrImagePull");
    world.now += 3s;
    EXPECT_EQ(text_of(world.plan()), "start b, wait a ImagePullBackOff");
    EXPECT_EQ(world.plan().waiting.at("a").message,
              "Back-off pulling image \"x\": ErrImagePull: no such host");
    world.now += 8s;
    EXPECT_EQ(text_of(world.plan()), "start a, start b");
}

TEST(PodPlan, counts_go_on_when_the_runtime_has_forgotten) {
    World world;
    world.pod = pod_from(
        two, "",
        R"({"containerStatuses":[{"name":"a","restartCount":4,"containerID":"containerd://x"}]})");
    world.record = pod_record_from("b:running", world.now);
    EXPECT_EQ(text_of(world.plan()), "start a#5");
}

}   // namespace
}   // namespace skiff::agent
