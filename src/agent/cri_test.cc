// CRI's messages on the wire, and what the client asks; without a runtime.
#include "agent/cri.h"

#include <gtest/gtest.h>

#include "agent/cri_fields.h"

namespace skiff::agent {
namespace {

// Notes what was asked and answers what it was told to.
class Recorder : public net::GrpcClient {
  public:
    Result<std::string> call(std::string_view method, std::string_view request,
                             Duration timeout) override {
        asked = method;
        sent = request;
        patience = timeout;
        return answer;
    }
    std::unique_ptr<Stream> stream(std::string_view, std::string, StreamSink) override {
        return nullptr;
    }
    std::string asked, sent;
    Duration patience{};
    Result<std::string> answer = std::string{};
};

// A message written by hand, by number.
std::string written(const std::function<void(codec::ProtoWriter&)>& content) {
    std::string out;
    codec::ProtoWriter writer{out};
    content(writer);
    return out;
}

TEST(AgentCriMessages, a_container_has_the_field_numbers_of_runtime_v1) {
    ContainerConfig config;
    config.metadata = {"main", 2};
    config.image.image = "busybox";
    config.args = {"a", ""};
    config.envs = {{"K", "V"}};
    config.mounts = {
        {.container_path = "/c", .readonly = true, .propagation = MountPropagation::Bidirectional}};
    config.labels = {{"l", "1"}};
    config.log_path = "main.log";
    config.tty = true;
    config.linux.resources.emplace().oom_score_adj = -997;
    auto& security = config.linux.security_context;
    security.run_as_user = 0;   // root is not the same as nothing said
    security.supplemental_groups = {7, 300};
    security.seccomp.emplace();   // RuntimeDefault, all zeros
    security.no_new_privs = true;
    const auto wanted = written([](codec::ProtoWriter& w) {
        w.message(1, [&] { w.text(1, "main"), w.uint32(2, 2); });
        w.message(2, [&] { w.text(1, "busybox"); });
        w.text(4, "a");
        w.text(4, "");
        w.message(6, [&] { w.text(1, "K"), w.text(2, "V"); });
        w.message(7, [&] { w.text(1, "/c"), w.boolean(3, true), w.int32(5, 2); });
        w.message(9, [&] { w.text(1, "l"), w.text(2, "1"); });
        w.text(11, "main.log");
        w.boolean(14, true);
        w.message(15, [&] {
            w.message(1, [&] { w.int64(5, -997); });
            w.message(2, [&] {
                w.message(5, [] {});
                w.message(8, [&] { w.varint(7), w.varint(300); });
                w.boolean(11, true);
                w.message(15, [] {});
            });
        });
    });
    EXPECT_EQ(encoded(config), wanted);
    const auto back = decoded<ContainerConfig>(wanted);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->linux.security_context.run_as_user, 0);
    EXPECT_TRUE(back->linux.security_context.seccomp);
    EXPECT_FALSE(back->linux.security_context.apparmor);
    EXPECT_EQ(back->linux.resources->oom_score_adj, -997);
    EXPECT_EQ(encoded(*back), wanted);
}

TEST(AgentCriMessages, an_empty_message_takes_no_bytes) {
    EXPECT_EQ(encoded(PodSandboxConfig{}), "");
    EXPECT_EQ(encoded(ContainerConfig{}), "");
    EXPECT_EQ(encoded(ListContainersRequest{}), "");
}

TEST(AgentCriMessages, a_filter_for_state_zero_is_a_filter) {
    const ListPodSandboxRequest request{.filter = {.state = PodSandboxState::Ready}};
    EXPECT_EQ(encoded(request),
              written([](codec::ProtoWriter& w) { w.message(1, [&] { w.message(2, [] {}); }); }));
}

TEST(AgentCriMessages, unknown_fields_are_skipped_and_malformed_ones_fail) {
    const auto wire = written([](codec::ProtoWriter& w) {
        w.text(1, "id");
        w.message(99, [&] { w.text(1, "of a later runtime"); });
        w.int32(7, 137);
    });
    const auto status = decoded<ContainerStatus>(wire);
    ASSERT_TRUE(status);
    EXPECT_EQ(status->id, "id");
    EXPECT_EQ(status->exit_code, 137);
    EXPECT_FALSE(decoded<ContainerStatus>(wire.substr(0, wire.size() - 1)));
    EXPECT_FALSE(decoded<ContainerStatus>("\x0a\x7f"));
    EXPECT_FALSE(decoded<ContainerStatusResponse>("\x0a\x02\x0a\x7f"));   // inside a nested one
}

TEST(AgentCriClient, methods_requests_and_time_limits_are_cris) {
    Recorder client;
    const auto cri = make_cri(client, {.call = 1s, .sandbox = 2s, .pull = 3s});
    client.answer = written([](codec::ProtoWriter& w) { w.text(1, "made"); });

    EXPECT_EQ(cri->run_pod_sandbox({.metadata = {.name = "n"}}, "runc").value(), "made");
    EXPECT_EQ(client.asked, "/runtime.v1.RuntimeService/RunPodSandbox");
    EXPECT_EQ(client.patience, 2s);
    EXPECT_EQ(client.sent, written([](codec::ProtoWriter& w) {
                  w.message(1, [&] { w.message(1, [&] { w.text(1, "n"); }); });
                  w.text(2, "runc");
              }));

    EXPECT_EQ(cri->pull_image({.image = "i"}, AuthConfig{.username = "u"}, {}).value(), "made");
    EXPECT_EQ(client.asked, "/runtime.v1.ImageService/PullImage");
    EXPECT_EQ(client.patience, 3s);

    EXPECT_TRUE(cri->stop_container("c", 30s));
    EXPECT_EQ(client.sent, written([](codec::ProtoWriter& w) { w.text(1, "c"), w.int64(2, 30); }));
    EXPECT_GT(client.patience, 30s);

    EXPECT_TRUE(cri->exec_sync("c", {"true"}, 0s));
    EXPECT_EQ(client.patience, Duration::zero());   // no limit is no limit

    client.answer = fail(Reason::NotFound, "no such container");
    const auto status = cri->container_status("c");
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().reason, Reason::NotFound);
    EXPECT_EQ(status.error().message, "no such container");
}

}   // namespace
}   // namespace skiff::agent
