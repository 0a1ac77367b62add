// The CRI client against a real containerd with real containers.
#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <mutex>

#include <gtest/gtest.h>

#include "agent/container_events.h"
#include "agent/containerd_fixture.h"
#include "base/os.h"
#include "base/text.h"

namespace skiff::agent {
namespace {

using Kind = ContainerEvent::Kind;

class AgentCri : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        why_not = ContainerdFixture::missing();
        if (!why_not.empty()) return;
        box = std::make_unique<ContainerdFixture>();
        if (auto done = box->start(); !done) why_not = "!" + done.error().message + box->log_tail();
    }
    static void TearDownTestSuite() { box.reset(); }
    void SetUp() override {
        if (why_not.starts_with("!")) FAIL() << why_not;
        if (!why_not.empty()) GTEST_SKIP() << why_not;
    }
    static Cri& cri() { return box->cri(); }

    // A sandbox with one running container.
    struct Running {
        cri::PodSandboxConfig pod;
        std::string sandbox;
        std::string container;
    };
    static Result<Running> run(const std::string& name, cri::ContainerConfig container) {
        Running made;
        made.pod = box->pod(name);
        TRY(made.sandbox, cri().run_pod_sandbox(made.pod));
        TRY(made.container, cri().create_container(made.sandbox, container, made.pod));
        TRY_OK(cri().start_container(made.container));
        return made;
    }
    // What the runtime answers follows its events by tens of milliseconds.
    static Result<cri::ContainerStatusResponse> await_exited(const std::string& container) {
        const auto deadline = os_clock().monotonic() + 20s;
        while (true) {
            auto status = cri().container_status(container);
            const bool exited = status && status->status.state == cri::ContainerState::Exited;
            if (!status || exited || os_clock().monotonic() > deadline) return status;
            box->executor().make_waiter()->wait_until(os_clock().monotonic() + 2ms);
        }
    }
    template <class T>
    static std::string why(const Result<T>& result) {
        return result ? "" : concat(result.error().message, "\n", box->log_tail());
    }
    static std::string exec(const std::string& container, const std::string& script) {
        const auto done = cri().exec_sync(container, {"/bin/sh", "-c", script}, 20s);
        return done ? done->stdout + done->stderr : done.error().message;
    }

    static std::string why_not;
    static std::unique_ptr<ContainerdFixture> box;
};
std::string AgentCri::why_not;
std::unique_ptr<ContainerdFixture> AgentCri::box;

// Collects events for the test's thread.
class Seen {
  public:
    ContainerEventSink sink() {
        return {.event = [this](const ContainerEvent& event) { add(event); },
                .resync =
                    [this] {
                        const std::lock_guard lock{mutex_};
                        ++resyncs_;
                        changed_.notify_all();
                    }};
    }
    std::optional<ContainerEvent> await(Kind kind, const std::string& id) {
        std::unique_lock lock{mutex_};
        const auto here = [&] {
            return std::ranges::find_if(events_, [&](const ContainerEvent& event) {
                return event.kind == kind && event.id == id;
            });
        };
        if (!changed_.wait_for(lock, 20s, [&] { return here() != events_.end(); }))
            return std::nullopt;
        return *here();
    }
    bool await_resyncs(int count) {
        std::unique_lock lock{mutex_};
        return changed_.wait_for(lock, 20s, [&] { return resyncs_ >= count; });
    }
    int resyncs() {
        const std::lock_guard lock{mutex_};
        return resyncs_;
    }

  private:
    void add(const ContainerEvent& event) {
        const std::lock_guard lock{mutex_};
        events_.push_back(event);
        changed_.notify_all();
    }
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<ContainerEvent> events_;
    int resyncs_ = 0;
};

TEST_F(AgentCri, the_runtime_says_who_it_is_and_that_it_is_ready) {
    const auto version = cri().version();
    ASSERT_TRUE(version) << why(version);
    EXPECT_EQ(version->runtime_name, "containerd");
    EXPECT_EQ(version->runtime_api_version, "v1");
    const auto status = cri().status(true);
    ASSERT_TRUE(status) << why(status);
    ASSERT_EQ(status->status.conditions.size(), 2u);
    for (const auto& condition : status->status.conditions)
        EXPECT_TRUE(condition.status) << condition.type << ": " << condition.message;
    EXPECT_TRUE(status->info.contains("config"));
    EXPECT_TRUE(cri().update_runtime_config("10.213.77.0/24"));
}

TEST_F(AgentCri, a_sandbox_has_what_was_asked_for) {
    auto config = box->pod("sandbox");
    config.linux.sysctls = {{"net.ipv4.ip_unprivileged_port_start", "80"}};
    const auto id = cri().run_pod_sandbox(config);
    ASSERT_TRUE(id) << why(id);
    const auto status = cri().pod_sandbox_status(*id, true);
    ASSERT_TRUE(status) << why(status);
    EXPECT_EQ(status->status.metadata.namespace_, "default");
    EXPECT_EQ(status->status.state, cri::PodSandboxState::Ready);
    EXPECT_TRUE(status->status.network.ip.starts_with("10.213.77.")) << status->status.network.ip;
    EXPECT_EQ(status->status.labels, config.labels);
    EXPECT_EQ(status->status.annotations, config.annotations);
    EXPECT_GT(status->status.created_at, 1'600'000'000'000'000'000);
    EXPECT_TRUE(status->info.contains("info"));

    const auto found = cri().list_pod_sandboxes({.label_selector = {{"app", "sandbox"}}});
    ASSERT_TRUE(found) << why(found);
    ASSERT_EQ(found->size(), 1u);
    EXPECT_EQ((*found)[0].id, *id);
    const auto none = cri().list_pod_sandboxes(
        {.state = cri::PodSandboxState::NotReady, .label_selector = {{"app", "sandbox"}}});
    ASSERT_TRUE(none) << why(none);
    EXPECT_TRUE(none->empty());

    EXPECT_TRUE(cri().stop_pod_sandbox(*id));
    EXPECT_TRUE(cri().stop_pod_sandbox(*id));
    const auto stopped = cri().pod_sandbox_status(*id);
    ASSERT_TRUE(stopped) << why(stopped);
    EXPECT_EQ(stopped->status.state, cri::PodSandboxState::NotReady);
    EXPECT_TRUE(cri().remove_pod_sandbox(*id));
    EXPECT_TRUE(cri().remove_pod_sandbox(*id));
    const auto gone = cri().pod_sandbox_status(*id);
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().reason, Reason::NotFound);
}

TEST_F(AgentCri, a_container_has_what_was_asked_for) {
    const std::string host = box->folder() + "/volume";
    ASSERT_TRUE(make_directories(host));
    ASSERT_TRUE(write_file_atomic(host + "/greeting", "hello"));
    auto config = ContainerdFixture::shell("main", "echo out; echo err >&2; exec sleep 1000");
    config.metadata.attempt = 3;
    config.envs = {{"COLOUR", "blue=green"}, {"EMPTY", ""}};
    config.working_dir = "/tmp";
    config.mounts = {{.container_path = "/data", .host_path = host, .readonly = true},
                     {.container_path = "/scratch", .host_path = host}};
    config.labels = {{"tier", "x"}};
    config.annotations = {{"hash", "1"}};
    auto& security = config.linux.security_context;
    security.run_as_user = 1000;
    security.run_as_group = 1001;
    security.supplemental_groups = {2000, 3000};
    security.readonly_rootfs = true;
    security.no_new_privs = true;
    security.capabilities = {.add_capabilities = {}, .drop_capabilities = {"ALL"}};
    security.seccomp = {.profile_type = cri::ProfileType::RuntimeDefault};
    security.masked_paths = {"/proc/keys"};
    security.readonly_paths = {"/proc/sys"};
    config.linux.resources = {.cpu_period = 100'000,
                              .cpu_quota = 50'000,
                              .cpu_shares = 512,
                              .memory_limit_in_bytes = 64 << 20,
                              .oom_score_adj = 900};
    const auto made = run("whole", config);
    ASSERT_TRUE(made) << why(made);

    EXPECT_EQ(exec(made->container, "id -u; id -g; id -G"), "1000\n1001\n1001 2000 3000\n");
    EXPECT_EQ(exec(made->container, "echo $COLOUR; pwd; hostname"), "blue=green\n/tmp\nwhole\n");
    EXPECT_EQ(exec(made->container, "cat /data/greeting"), "hello");
    EXPECT_NE(exec(made->container, "echo x > /data/x").find("Read-only file system"),
              std::string::npos);
    EXPECT_NE(exec(made->container, "echo x > /bin/x").find("Read-only file system"),
              std::string::npos);
    EXPECT_EQ(
        exec(made->container, "grep -E 'CapEff|NoNewPrivs|^Seccomp:' /proc/1/status | tr -d '\\t'"),
        "CapEff:0000000000000000\nNoNewPrivs:1\nSeccomp:2\n");
    EXPECT_EQ(exec(made->container, "cat /proc/1/oom_score_adj"), "900\n");
    EXPECT_EQ(exec(made->container, "cat /etc/resolv.conf"),
              "search default.svc.cluster.local\nnameserver 10.96.0.10\n");

    const auto status = cri().container_status(made->container);
    ASSERT_TRUE(status) << why(status);
    EXPECT_EQ(status->status.state, cri::ContainerState::Running);
    EXPECT_EQ(status->status.metadata.name, "main");
    EXPECT_EQ(status->status.metadata.attempt, 3u);
    EXPECT_EQ(status->status.image.image, ContainerdFixture::image);
    EXPECT_EQ(status->status.labels, config.labels);
    EXPECT_EQ(status->status.mounts.size(), 2u);
    EXPECT_TRUE(status->status.mounts[0].readonly);
    EXPECT_EQ(status->status.log_path, made->pod.log_directory + "/main.log");
    EXPECT_GE(status->status.started_at, status->status.created_at);
    const auto listed = cri().list_containers({.state = cri::ContainerState::Running,
                                               .pod_sandbox_id = made->sandbox,
                                               .label_selector = {{"tier", "x"}}});
    ASSERT_TRUE(listed) << why(listed);
    ASSERT_EQ(listed->size(), 1u);
    EXPECT_EQ((*listed)[0].id, made->container);
}

TEST_F(AgentCri, commands_run_in_a_container) {
    const auto made = run("commands", ContainerdFixture::shell("main", "exec sleep 1000"));
    ASSERT_TRUE(made) << why(made);
    const auto done =
        cri().exec_sync(made->container, {"/bin/sh", "-c", "echo a; echo b >&2; exit 3"}, 20s);
    ASSERT_TRUE(done) << why(done);
    EXPECT_EQ(done->stdout, "a\n");
    EXPECT_EQ(done->stderr, "b\n");
    EXPECT_EQ(done->exit_code, 3);
    const auto late = cri().exec_sync(made->container, {"/bin/sleep", "1000"}, 1s);
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().reason, Reason::Timeout) << late.error().message;
    const auto absent = cri().exec_sync(made->container, {"/no/such"}, 20s);
    ASSERT_FALSE(absent);
    EXPECT_NE(absent.error().message.find("no such file"), std::string::npos);

    const auto exec =
        cri().exec({.container_id = made->container, .cmd = {"date"}, .stdout = true});
    ASSERT_TRUE(exec) << why(exec);
    EXPECT_TRUE(exec->starts_with("http://127.0.0.1:")) << *exec;
    const auto attach = cri().attach({.container_id = made->container, .stdout = true});
    ASSERT_TRUE(attach) << why(attach);
    EXPECT_NE(attach->find("/attach/"), std::string::npos) << *attach;
    const auto forward = cri().port_forward(made->sandbox, {80});
    ASSERT_TRUE(forward) << why(forward);
    EXPECT_NE(forward->find("/portforward/"), std::string::npos) << *forward;
}

TEST_F(AgentCri, resources_change_and_use_is_measured) {
    auto config = ContainerdFixture::shell("main", "exec sleep 1000");
    config.linux.resources = {.memory_limit_in_bytes = 64 << 20};
    const auto made = run("measured", config);
    ASSERT_TRUE(made) << why(made);
    EXPECT_TRUE(cri().update_container_resources(
        {.container_id = made->container,
         .linux = cri::LinuxContainerResources{.memory_limit_in_bytes = 32 << 20}}));
    const auto status = cri().container_status(made->container, true);
    ASSERT_TRUE(status) << why(status);
    const auto stats = cri().container_stats(made->container);
    ASSERT_TRUE(stats) << why(stats);
    ASSERT_TRUE(stats->memory && stats->memory->working_set_bytes);
    EXPECT_GT(*stats->memory->working_set_bytes, 0u);
    EXPECT_LT(*stats->memory->working_set_bytes, 32u << 20);
    EXPECT_EQ(stats->attributes.metadata.name, "main");
    const auto all = cri().list_container_stats({.pod_sandbox_id = made->sandbox});
    ASSERT_TRUE(all) << why(all);
    EXPECT_EQ(all->size(), 1u);
    const auto pods = cri().list_pod_sandbox_stats({.label_selector = {{"app", "measured"}}});
    ASSERT_TRUE(pods) << why(pods);
    ASSERT_EQ(pods->size(), 1u);
    const auto pod = cri().pod_sandbox_stats(made->sandbox);
    ASSERT_TRUE(pod) << why(pod);
    ASSERT_TRUE(pod->linux.cpu && pod->linux.cpu->usage_core_nano_seconds);
    EXPECT_GT(*pod->linux.cpu->usage_core_nano_seconds, 0u);
    ASSERT_TRUE(pod->linux.network && pod->linux.network->default_interface);
    EXPECT_EQ(pod->linux.network->default_interface->name, "eth0");
}

TEST_F(AgentCri, a_log_that_was_moved_away_is_reopened) {
    const auto made =
        run("logs", ContainerdFixture::shell(
                        "main",
                        "echo first; until [ -e /tmp/go ]; do sleep 0.01; done; echo second; "
                        "exec sleep 1000"));
    ASSERT_TRUE(made) << why(made);
    const std::string log = made->pod.log_directory + "/main.log";
    EXPECT_EQ(exec(made->container, "true"), "");
    std::filesystem::rename(log, log + ".1");
    EXPECT_TRUE(cri().reopen_container_log(made->container));
    ASSERT_TRUE(file_exists(log));
    EXPECT_EQ(exec(made->container,
                   "touch /tmp/go; until grep -q sleep /proc/1/cmdline && "
                   "! grep -q sh /proc/1/cmdline; do sleep 0.01; done"),
              "");
    EXPECT_TRUE(cri().stop_container(made->container, 0s));
    const auto content = read_file(log);
    ASSERT_TRUE(content) << why(content);
    EXPECT_TRUE(content->ends_with(" stdout F second\n")) << *content;
}

TEST_F(AgentCri, events_tell_of_start_exit_and_deletion) {
    Seen seen;
    const auto events =
        follow_container_events(box->executor(), os_random(), box->client(), seen.sink());
    ASSERT_TRUE(seen.await_resyncs(1)) << box->log_tail();
    const auto made = run("events", ContainerdFixture::shell("main", "exit 42"));
    ASSERT_TRUE(made) << why(made);
    ASSERT_TRUE(seen.await(Kind::Started, made->sandbox));
    ASSERT_TRUE(seen.await(Kind::Started, made->container));
    const auto exit = seen.await(Kind::Exited, made->container);
    ASSERT_TRUE(exit);
    EXPECT_EQ(exit->exit_code, 42);
    ASSERT_TRUE(seen.await(Kind::Deleted, made->container));
    const auto status = await_exited(made->container);
    ASSERT_TRUE(status) << why(status);
    EXPECT_EQ(status->status.state, cri::ContainerState::Exited);
    EXPECT_EQ(status->status.exit_code, 42);
    EXPECT_EQ(status->status.reason, "Error");
    EXPECT_EQ(WallTime{Duration{status->status.finished_at}}, exit->at);
    EXPECT_TRUE(cri().stop_pod_sandbox(made->sandbox));
    ASSERT_TRUE(seen.await(Kind::Exited, made->sandbox));
    EXPECT_EQ(seen.resyncs(), 1);
}

TEST_F(AgentCri, running_out_of_memory_is_an_event_and_a_reason) {
    Seen seen;
    const auto events =
        follow_container_events(box->executor(), os_random(), box->client(), seen.sink());
    ASSERT_TRUE(seen.await_resyncs(1));
    auto config = ContainerdFixture::shell("main", "exec tail /dev/zero");
    config.linux.resources = {.memory_limit_in_bytes = 16 << 20,
                              .memory_swap_limit_in_bytes = 16 << 20};
    const auto made = run("hungry", config);
    ASSERT_TRUE(made) << why(made);
    ASSERT_TRUE(seen.await(Kind::OutOfMemory, made->container)) << box->log_tail();
    const auto exit = seen.await(Kind::Exited, made->container);
    ASSERT_TRUE(exit);
    EXPECT_EQ(exit->exit_code, 137);
}

TEST_F(AgentCri, images_are_found_by_name_and_by_id) {
    const auto listed = cri().list_images();
    ASSERT_TRUE(listed) << why(listed);
    ASSERT_EQ(listed->size(), 1u);
    EXPECT_EQ((*listed)[0].repo_tags, std::vector<std::string>{ContainerdFixture::image});
    for (const std::string& name :
         {std::string{"busybox"}, std::string{ContainerdFixture::image}, (*listed)[0].id}) {
        const auto status = cri().image_status({.image = name});
        ASSERT_TRUE(status) << why(status);
        ASSERT_TRUE(status->image) << name;
        EXPECT_EQ(status->image->id, (*listed)[0].id);
    }
    const auto absent = cri().image_status({.image = "docker.io/library/absent:1"});
    ASSERT_TRUE(absent) << why(absent);
    EXPECT_FALSE(absent->image);
    const cri::AuthConfig auth{.username = "u", .password = "p"};
    const auto pulled = cri().pull_image({.image = "127.0.0.1:1/nothing:1"}, auth, {}, 10s);
    ASSERT_FALSE(pulled);
    EXPECT_NE(pulled.error().message.find("connection refused"), std::string::npos)
        << pulled.error().message;
    EXPECT_TRUE(cri().remove_image({.image = "docker.io/library/absent:1"}));
    const auto usage = cri().image_fs_info();
    ASSERT_TRUE(usage) << why(usage);
    ASSERT_EQ(usage->image_filesystems.size(), 1u);
    EXPECT_FALSE(usage->image_filesystems[0].fs_id.mountpoint.empty());
}

TEST_F(AgentCri, containers_and_events_survive_a_crash_of_containerd) {
    Seen seen;
    const auto events =
        follow_container_events(box->executor(), os_random(), box->client(), seen.sink());
    ASSERT_TRUE(seen.await_resyncs(1));
    const auto made = run("survivor", ContainerdFixture::shell("main", "exec sleep 1000"));
    ASSERT_TRUE(made) << why(made);
    const auto before = cri().container_status(made->container);
    ASSERT_TRUE(before) << why(before);
    box->kill();
    const auto down = cri().version();
    ASSERT_FALSE(down);
    EXPECT_EQ(down.error().reason, Reason::ServiceUnavailable);
    EXPECT_NE(down.error().message.find("containerd.sock"), std::string::npos);
    ASSERT_TRUE(box->start());
    ASSERT_TRUE(seen.await_resyncs(2));
    const auto after = cri().container_status(made->container);
    ASSERT_TRUE(after) << why(after);
    EXPECT_EQ(after->status.state, cri::ContainerState::Running);
    EXPECT_EQ(after->status.started_at, before->status.started_at);
    EXPECT_TRUE(cri().stop_container(made->container, 0s));
    const auto exit = seen.await(Kind::Exited, made->container);
    ASSERT_TRUE(exit);
    EXPECT_EQ(exit->exit_code, 137);
}

TEST_F(AgentCri, what_this_containerd_does_not_speak_is_told_apart) {
    const auto driver = cri().cgroup_driver();
    if (!driver) {
        EXPECT_EQ(driver.error().reason, Reason::MethodNotAllowed) << driver.error().message;
    }
    const auto ended = box->executor().make_waiter();
    Result<> result;
    const auto stream = stream_cri_events(
        box->client(), [](const auto&) {},
        [&](Result<> done) {
            result = std::move(done);
            ended->notify();
        });
    if (cri().version()->runtime_version.starts_with("1.6")) {
        ASSERT_TRUE(ended->wait_until(os_clock().monotonic() + 20s));
        ASSERT_FALSE(result);
        EXPECT_EQ(result.error().reason, Reason::MethodNotAllowed) << result.error().message;
    }
}

// Not a test: what a pod's calls cost with this machine's network plugins.
TEST(AgentCriBench, DISABLED_the_calls_of_a_pod) {
    if (const auto why = ContainerdFixture::missing(); !why.empty()) GTEST_SKIP() << why;
    for (const char* network : {"ptp", "bridge"}) {
        ContainerdFixture box{network};
        const auto begun = os_clock().monotonic();
        ASSERT_TRUE(box.start());
        const auto up = os_clock().monotonic() - begun;
        std::vector<double> parts[4];
        for (int i = 0; i < 21; ++i) {
            const auto pod = box.pod(concat("p", i));
            const auto t0 = os_clock().monotonic();
            const auto sandbox = box.cri().run_pod_sandbox(pod);
            const auto t1 = os_clock().monotonic();
            ASSERT_TRUE(sandbox) << sandbox.error().message;
            const auto container = box.cri().create_container(
                *sandbox, ContainerdFixture::shell("main", "exec sleep 1000"), pod);
            const auto t2 = os_clock().monotonic();
            ASSERT_TRUE(container) << container.error().message;
            ASSERT_TRUE(box.cri().start_container(*container));
            const auto t3 = os_clock().monotonic();
            const auto ms = [](Duration d) { return static_cast<double>(d / 1us) / 1000; };
            parts[0].push_back(ms(t1 - t0)), parts[1].push_back(ms(t2 - t1));
            parts[2].push_back(ms(t3 - t2)), parts[3].push_back(ms(t3 - t0));
        }
        std::string line = concat(network, ": containerd and image ",
                                  std::chrono::duration_cast<std::chrono::milliseconds>(up).count(),
                                  " ms; medians of 21:");
        const char* names[] = {" sandbox ", " create ", " start ", " all "};
        for (int i = 0; i < 4; ++i) {
            std::ranges::sort(parts[i]);
            append(line, names[i], static_cast<int>(parts[i][10]));
        }
        puts(line.c_str());
    }
}

}   // namespace
}   // namespace skiff::agent
