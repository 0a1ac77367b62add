// NetworkPolicies in a real kernel: which pods reach which.
#include <cerrno>
#include <cstring>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "base/text.h"
#include "codec/json.h"
#include "proxy/policy_rules.h"
#include "proxy/service_rules.h"
#include "proxy/testing.h"

namespace skiff::proxy {
namespace {

using testing::Inside;
using testing::World;

class PolicyKernel : public ::testing::Test {
  protected:
    void SetUp() override {
        if (!testing::may_make_namespaces()) GTEST_SKIP() << "needs root: makes network namespaces";
        world = std::make_unique<World>();
        const Inside inside{world->node.name_space()};
        socket.emplace(*NetfilterSocket::open());
        for (unsigned i = 0; i < 3; ++i) {
            auto& place = world->add_pod();
            for (const uint16_t port : {uint16_t{80}, uint16_t{81}, uint16_t{90}})
                listeners.push_back(place.listen("0.0.0.0", port));
        }
        listeners.push_back(world->outside.listen("0.0.0.0", 80));
        listeners.push_back(world->node.listen("0.0.0.0", 80));
        name_space("default", {{"team", "a"}});
        name_space("other", {{"team", "b"}});
        pod(0, "default", {{"app", "web"}});
        pod(1, "default", {{"app", "client"}});
        pod(2, "other", {{"app", "client"}});
    }
    void name_space(const std::string& name, api::Labels labels) {
        auto object = std::make_shared<view::Namespace>();
        object->metadata.name = name;
        object->metadata.labels = std::move(labels);
        rules.set_namespace(name, object);
    }
    static client::ObjectKey key_of(unsigned number, const std::string& space) {
        return {space, concat("pod", number)};
    }
    void pod(unsigned number, const std::string& space, api::Labels labels,
             std::string_view phase = "Running") {
        auto object = std::make_shared<view::Pod>();
        object->metadata.name = concat("pod", number);
        object->metadata.uid = concat("uid", number);
        object->metadata.namespace_ = space;
        object->metadata.labels = std::move(labels);
        object->spec.nodeName = "here";
        object->spec.containers.resize(1);
        object->spec.containers[0].ports = {
            {.name = "web", .containerPort = 80, .protocol = "TCP"}};
        object->status.phase = phase;
        object->status.podIP = World::address_of(number);
        rules.set_pod(key_of(number, space), object);
    }
    // `spec` as a user writes it, in JSON.
    void policy(const std::string& name, const std::string& spec) {
        auto object = api::decode<view::NetworkPolicy>(
            concat(R"({"metadata":{"name":")", name, R"("},"spec":)", spec, "}"));
        ASSERT_TRUE(object) << object.error().message;
        rules.set_policy({"default", name}, std::make_shared<view::NetworkPolicy>(*object));
        commit();
    }
    void no_policy(const std::string& name) {
        rules.set_policy({"default", name}, nullptr);
        commit();
    }
    void commit() {
        const auto done = rules.rules().changes().commit(*socket);
        EXPECT_TRUE(done) << done.error().message;
        rules.rules().committed();
    }
    // Who reaches port 80 of whom: "10 20": pod 1 reaches pod 0, pod 2 reaches pod 0.
    // x is outside, n the node.
    std::string reach(uint16_t port = 80) {
        std::string out;
        const std::string all = "012xn";
        for (const char from : all)
            for (const char to : all)
                if (from != to && (from < '3' || to < '3') && reaches(from, to, port))
                    append(out, out.empty() ? "" : " ", from, to);
        return out;
    }
    bool reaches(char from, char to, uint16_t port = 80) {
        const auto address = to == 'x'   ? std::string{"192.168.7.2"}
                             : to == 'n' ? std::string{"192.168.7.1"}
                                         : World::address_of(static_cast<size_t>(to - '0'));
        const testing::Place& place = from == 'x'   ? world->outside
                                      : from == 'n' ? world->node
                                                    : *world->pods[static_cast<size_t>(from - '0')];
        return place.connect(address, port).error == 0;
    }

    static constexpr const char* everything =
        "01 02 0x 0n 10 12 1x 1n 20 21 2x 2n x0 x1 x2 n0 n1 n2";

    std::unique_ptr<World> world;
    std::optional<NetfilterSocket> socket;
    std::vector<Fd> listeners;
    PolicyRules rules{"test01", "here"};
};

TEST_F(PolicyKernel, ingress) {
    EXPECT_TRUE(rules.rules().nothing());
    EXPECT_EQ(reach(), everything);
    policy("deny", R"({"podSelector":{"matchLabels":{"app":"web"}},"policyTypes":["Ingress"]})");
    EXPECT_EQ(reach(), "01 02 0x 0n 12 1x 1n 21 2x 2n x1 x2 n0 n1 n2");
    EXPECT_TRUE(reaches('0', '0'));
    policy("clients", R"({"podSelector":{"matchLabels":{"app":"web"}},"policyTypes":["Ingress"],
        "ingress":[{"from":[{"podSelector":{"matchLabels":{"app":"client"}}}],
                    "ports":[{"port":"web","protocol":"TCP"},{"port":81,"endPort":85}]}]})");
    EXPECT_TRUE(reaches('1', '0'));
    EXPECT_TRUE(reaches('1', '0', 81));
    EXPECT_FALSE(reaches('1', '0', 90));
    EXPECT_FALSE(reaches('2', '0'));   // of another namespace
    policy("teams", R"({"podSelector":{},"policyTypes":["Ingress"],
        "ingress":[{"from":[{"namespaceSelector":{"matchLabels":{"team":"b"}}}]}]})");
    EXPECT_EQ(reach(), "02 0x 0n 10 12 1x 1n 20 21 2x 2n x2 n0 n1 n2");
    // Labels of pods and namespaces change what holds at once.
    name_space("other", {{"team", "c"}});
    pod(1, "default", {{"app", "nothing"}});
    commit();
    EXPECT_EQ(reach(), "02 0x 0n 12 1x 1n 2x 2n x2 n0 n1 n2");
    no_policy("deny");
    no_policy("clients");
    no_policy("teams");
    EXPECT_EQ(reach(), everything);
    EXPECT_TRUE(rules.rules().nothing());
    const Inside inside{world->node.name_space()};
    EXPECT_EQ(run_command({"nft", "list", "tables"})->out, "");
}

TEST_F(PolicyKernel, egress_and_blocks) {
    policy("out", R"({"podSelector":{"matchLabels":{"app":"client"}},"policyTypes":["Egress"],
        "egress":[{"to":[{"ipBlock":{"cidr":"0.0.0.0/0","except":["10.1.0.0/16"]}}]}]})");
    EXPECT_EQ(reach(), "01 02 0x 0n 1x 1n 20 21 2x 2n x0 x1 x2 n0 n1 n2");
    policy("out", R"({"podSelector":{"matchLabels":{"app":"client"}},"policyTypes":["Egress"],
        "egress":[{"to":[{"podSelector":{},"namespaceSelector":{"matchLabels":{"team":"b"}}}],
                   "ports":[{"port":"web"}]}]})");
    EXPECT_EQ(reach(), "01 02 0x 0n 12 1n 20 21 2x 2n x0 x1 x2 n0 n1 n2");
    EXPECT_FALSE(reaches('1', '2', 90));
    policy("in", R"({"podSelector":{},"policyTypes":["Ingress"],
        "ingress":[{"from":[{"ipBlock":{"cidr":"192.168.7.2/32"}}]},{"ports":[{"port":90}]}]})");
    EXPECT_EQ(reach(), "02 0x 0n 12 1n 2x 2n x0 x1 x2 n0 n1 n2");
    EXPECT_TRUE(reaches('2', '0', 90));
}

TEST_F(PolicyKernel, what_runs_goes_on) {
    const auto open = world->pods[1]->connect(World::address_of(0), 80);
    ASSERT_EQ(open.error, 0);
    policy("deny", R"({"podSelector":{},"policyTypes":["Ingress","Egress"]})");
    EXPECT_FALSE(reaches('1', '0'));
    ASSERT_EQ(::send(open.socket.get(), "x", 1, MSG_NOSIGNAL), 1);
    const auto came = testing::accept_any(listeners);
    ASSERT_TRUE(came);
    EXPECT_TRUE(reaches('n', '0'));   // probes
}

TEST_F(PolicyKernel, holds_behind_services) {
    ServiceRules services{{.cluster_id = "test01",
                           .node = {.name = "here"},
                           .pod_range = *parse_cidr("10.1.0.0/16"),
                           .service_range = *parse_cidr("10.96.0.0/16")}};
    auto service = std::make_shared<view::Service>();
    service->spec.type = "NodePort";
    service->spec.clusterIP = "10.96.0.7";
    service->spec.ports = {{.name = "", .protocol = "TCP", .port = 80, .nodePort = 30080}};
    services.set_service({"default", "web"}, service);
    auto slice = std::make_shared<view::EndpointSlice>();
    slice->metadata.labels["kubernetes.io/service-name"] = "web";
    slice->addressType = "IPv4";
    slice->ports = {{.name = "", .protocol = "TCP", .port = 80}};
    slice->endpoints.resize(1);
    slice->endpoints[0].addresses = {World::address_of(0)};
    slice->endpoints[0].nodeName = "here";
    services.set_slice({"default", "web-1"}, slice);
    ASSERT_TRUE(services.rules().whole().commit(*socket));
    policy("clients", R"({"podSelector":{"matchLabels":{"app":"web"}},"policyTypes":["Ingress"],
        "ingress":[{"from":[{"podSelector":{"matchLabels":{"app":"client"}}}]}]})");
    const auto result = [&](const testing::Place& from, const char* address, uint16_t port = 80) {
        return from.connect(address, port).error;
    };
    EXPECT_EQ(result(*world->pods[1], "10.96.0.7"), 0);
    EXPECT_EQ(result(*world->pods[0], "10.96.0.7"), 0);   // itself
    EXPECT_EQ(result(*world->pods[2], "10.96.0.7"), ETIMEDOUT);
    EXPECT_EQ(result(world->outside, "192.168.7.1", 30080), ETIMEDOUT);
    policy("clients", R"({"podSelector":{"matchLabels":{"app":"web"}},"policyTypes":["Ingress"],
        "ingress":[{"from":[{"ipBlock":{"cidr":"192.168.7.0/24"}}]}]})");
    EXPECT_EQ(result(world->outside, "192.168.7.1", 30080), 0);   // by its own address
}

TEST_F(PolicyKernel, an_address_is_the_pods_that_was_admitted_last) {
    policy("deny", R"({"podSelector":{"matchLabels":{"app":"web"}},"policyTypes":["Ingress"]})");
    EXPECT_FALSE(reaches('1', '0'));
    // Pod 0 has ended, and another was given its address; nobody has told of the end yet.
    auto fresh = std::make_shared<view::Pod>();
    fresh->metadata.name = "pod9";
    fresh->metadata.uid = "uid9";
    fresh->metadata.namespace_ = "default";
    fresh->spec.nodeName = "here";
    EXPECT_FALSE(rules.admit(key_of(9, "default"), "uid9", *parse_address(World::address_of(0))));
    rules.set_pod(key_of(9, "default"), fresh);
    EXPECT_TRUE(rules.admit(key_of(9, "default"), "uid9", *parse_address(World::address_of(0))));
    commit();
    EXPECT_TRUE(reaches('1', '0'));
    pod(0, "default", {{"app", "web"}, {"x", "y"}});   // a late word of the old one
    commit();
    EXPECT_TRUE(reaches('1', '0'));
    fresh = std::make_shared<view::Pod>(*fresh);   // its status, still without the address
    fresh->metadata.labels["app"] = "web";
    rules.set_pod(key_of(9, "default"), fresh);
    commit();
    EXPECT_FALSE(reaches('1', '0'));
    rules.set_pod(key_of(9, "default"), nullptr);
    rules.set_pod(key_of(0, "default"), nullptr);
    commit();
    EXPECT_TRUE(reaches('1', '0'));
}

TEST_F(PolicyKernel, one_pod_among_many_costs_one_element) {
    policy("peers", R"({"podSelector":{"matchLabels":{"app":"web"}},"policyTypes":["Ingress"],
        "ingress":[{"from":[{"podSelector":{"matchLabels":{"app":"client"}}}]}]})");
    const auto cost = [&](unsigned number) {
        auto object = std::make_shared<view::Pod>();
        object->metadata.name = concat("many", number);
        object->metadata.namespace_ = "default";
        object->metadata.labels["app"] = "client";
        object->status.podIP = concat("10.1.", 1 + number / 200, ".", number % 200);
        rules.set_pod({"default", object->metadata.name}, object);
        const auto size = rules.rules().changes().size();
        commit();
        return size;
    };
    const auto first = cost(0);
    for (unsigned i = 1; i < 200; ++i) cost(i);
    EXPECT_EQ(cost(200), first);
    EXPECT_LT(first, 200u);
    if (::getenv("SHOW_RULES")) {
        const Inside inside{world->node.name_space()};
        std::fputs(run_command({"nft", "list", "ruleset"})->out.c_str(), stderr);
    }
}

}   // namespace
}   // namespace skiff::proxy
