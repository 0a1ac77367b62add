// The rules of services in a real kernel, with real connections.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "base/text.h"
#include "proxy/flows.h"
#include "proxy/service_rules.h"
#include "proxy/testing.h"

namespace skiff::proxy {
namespace {

using testing::Inside;
using testing::receive_from;
using testing::World;

view::Service service(std::string cluster_ip, std::string_view protocol = "TCP") {
    view::Service out;
    out.metadata.name = "web";
    out.metadata.namespace_ = "default";
    out.spec.type = "ClusterIP";
    out.spec.clusterIP = std::move(cluster_ip);
    out.spec.ports = {{.name = "", .protocol = protocol, .port = 80}};
    return out;
}

class ServiceKernel : public ::testing::Test {
  protected:
    void SetUp() override {
        if (!testing::may_make_namespaces()) GTEST_SKIP() << "needs root: makes network namespaces";
        world = std::make_unique<World>();
        const Inside inside{world->node.name_space()};
        socket.emplace(*NetfilterSocket::open());
        for (int i = 0; i < 3; ++i) {
            auto& pod = world->add_pod();
            listeners.push_back(pod.listen("0.0.0.0", 8080));
        }
        const auto done = rules.rules().whole().commit(*socket);
        ASSERT_TRUE(done) << done.error().message;
        rules.rules().committed();
    }

    void put(const view::Service& object) {
        rules.set_service({"default", object.metadata.name},
                          std::make_shared<view::Service>(object));
        commit();
    }
    // Pods by their number; "2-": ends.
    void endpoints(const std::vector<std::string>& pods, std::string_view protocol = "TCP") {
        auto slice = std::make_shared<view::EndpointSlice>();
        slice->metadata.labels["kubernetes.io/service-name"] = "web";
        slice->addressType = "IPv4";
        slice->ports = {{.name = "", .protocol = protocol, .port = 8080}};
        for (const auto& pod : pods) {
            view::EndpointSlice::Endpoint one;
            one.addresses = {World::address_of(static_cast<size_t>(pod[0] - '0'))};
            one.nodeName = "here";
            if (pod.ends_with("-"))
                one.conditions = {.ready = false, .serving = true, .terminating = true};
            if (pod.ends_with("@")) one.nodeName = "elsewhere";
            slice->endpoints.push_back(std::move(one));
        }
        rules.set_slice({"default", "web-1"}, slice);
        commit();
    }
    void commit() {
        const auto done = rules.rules().changes().commit(*socket);
        EXPECT_TRUE(done) << done.error().message;
        rules.rules().committed();
        const auto stale = rules.take_stale_flows();
        EXPECT_TRUE(forget_clients(*socket, rules.rules().table(), stale));
        EXPECT_TRUE(forget_connections(*socket, stale));
    }
    // Which pod a connection reaches and whom it sees: "1 from 10.1.0.10"; else the error's name.
    std::string reached(const testing::Place& from, const std::string& address, uint16_t port = 80,
                        const std::string& source = {}) {
        const auto connected = from.connect(address, port, Protocol::Tcp, source);
        if (connected.error != 0) return ::strerrorname_np(connected.error);
        const auto came = testing::accept_any(listeners);
        return came ? concat(came->listener, " from ", came->from) : "nobody";
    }
    // How often each pod is reached.
    std::map<char, int> spread(const testing::Place& from, const std::string& address, int count) {
        std::map<char, int> out;
        for (int i = 0; i < count; ++i) ++out[reached(from, address)[0]];
        return out;
    }

    std::unique_ptr<World> world;
    std::optional<NetfilterSocket> socket;
    std::vector<Fd> listeners;
    ServiceRules rules{{.cluster_id = "test01",
                        .node = {.name = "here", .dns_address = parse_address("10.96.0.10")},
                        .pod_range = *parse_cidr("10.1.0.0/16"),
                        .service_range = *parse_cidr("10.96.0.0/16")}};
};

TEST_F(ServiceKernel, a_cluster_ip_leads_to_its_endpoints_evenly) {
    put(service("10.96.0.7"));
    endpoints({"0", "1", "2"});
    const auto counts = spread(world->outside, "10.96.0.7", 150);
    ASSERT_EQ(counts.size(), 3u);
    for (const auto& [pod, count] : counts) EXPECT_GT(count, 25) << pod;
}

TEST_F(ServiceKernel, pods_see_who_comes_as_in_kubernetes) {
    put(service("10.96.0.7"));
    endpoints({"1"});
    EXPECT_EQ(reached(*world->pods[0], "10.96.0.7"), "1 from 10.1.0.10");   // kept
    EXPECT_EQ(reached(*world->pods[1], "10.96.0.7"), "1 from 10.1.0.1");    // itself: hairpin
    EXPECT_EQ(reached(world->outside, "10.96.0.7"), "1 from 10.1.0.1");     // not of the cluster
    EXPECT_EQ(reached(world->node, "10.96.0.7"), "1 from 192.168.7.1");
}

TEST_F(ServiceKernel, without_endpoints_it_refuses_at_once) {
    put(service("10.96.0.7"));
    for (const auto* from : {world->pods[0].get(), &world->node, &world->outside}) {
        const auto connected = from->connect("10.96.0.7", 80);
        EXPECT_EQ(connected.error, ECONNREFUSED);
        EXPECT_LT(connected.seconds, 0.1);
    }
    endpoints({"1"});
    EXPECT_EQ(reached(*world->pods[0], "10.96.0.7"), "1 from 10.1.0.10");
    EXPECT_EQ(world->pods[0]->result("10.96.0.7", 81), ECONNREFUSED);   // a port it does not have
    EXPECT_EQ(world->node.result("10.96.0.7", 81), ECONNREFUSED);
    EXPECT_EQ(world->pods[0]->result("10.96.0.8", 80), ETIMEDOUT);   // nobody's
    endpoints({});
    EXPECT_EQ(world->node.result("10.96.0.7", 80), ECONNREFUSED);
}

TEST_F(ServiceKernel, a_node_port_is_open_on_every_address_of_the_node) {
    auto object = service("10.96.0.7");
    object.spec.type = "NodePort";
    object.spec.ports[0].nodePort = 30080;
    put(object);
    endpoints({"1"});
    EXPECT_EQ(reached(world->outside, "192.168.7.1", 30080), "1 from 10.1.0.1");
    EXPECT_EQ(reached(*world->pods[0], "192.168.7.1", 30080), "1 from 10.1.0.1");
    EXPECT_EQ(reached(world->node, "192.168.7.1", 30080), "1 from 10.1.0.1");
    EXPECT_EQ(reached(world->node, "127.0.0.1", 30080), "1 from 10.1.0.1");
    EXPECT_EQ(world->node.result("127.0.0.1", 30081), ECONNREFUSED);   // of nobody: the node's own
    endpoints({});
    EXPECT_EQ(world->outside.result("192.168.7.1", 30080), ECONNREFUSED);
}

TEST_F(ServiceKernel, a_local_policy_keeps_the_clients_address_and_the_node) {
    auto object = service("10.96.0.7");
    object.spec.type = "LoadBalancer";
    object.spec.externalTrafficPolicy = "Local";
    object.spec.ports[0].nodePort = 30080;
    object.status.loadBalancer.ingress = {{.ip = "192.168.7.1"}};
    put(object);
    endpoints({"1", "0@"});   // the other is elsewhere, as far as the policy goes
    for (int i = 0; i < 8; ++i) {
        EXPECT_EQ(reached(world->outside, "192.168.7.1", 30080), "1 from 192.168.7.2");
        EXPECT_EQ(reached(world->outside, "192.168.7.1", 80), "1 from 192.168.7.2");
    }
    endpoints({"0@"});
    EXPECT_EQ(world->outside.result("192.168.7.1", 30080), ETIMEDOUT);   // not here: no answer
    EXPECT_EQ(reached(*world->pods[2], "192.168.7.1", 30080), "0 from 10.1.0.12");
    EXPECT_EQ(reached(world->node, "192.168.7.1", 80), "0 from 192.168.7.1");
    object.spec.internalTrafficPolicy = "Local";
    put(object);
    EXPECT_EQ(world->pods[2]->result("10.96.0.7", 80), ETIMEDOUT);
}

TEST_F(ServiceKernel, a_load_balancer_lets_in_whom_its_ranges_name) {
    auto object = service("10.96.0.7");
    object.spec.type = "LoadBalancer";
    object.spec.loadBalancerSourceRanges = {"172.16.0.0/12", "192.168.7.2/32"};
    object.status.loadBalancer.ingress = {{.ip = "203.0.113.9"}};
    put(object);
    endpoints({"1"});
    world->outside.ip("addr add 192.168.7.3/24 dev eth0");
    EXPECT_EQ(reached(world->outside, "203.0.113.9", 80, "192.168.7.2"), "1 from 10.1.0.1");
    EXPECT_EQ(reached(world->outside, "203.0.113.9", 80, "192.168.7.3"), "ETIMEDOUT");
    EXPECT_EQ(reached(world->outside, "10.96.0.7", 80, "192.168.7.3"), "1 from 10.1.0.1");
    object.spec.loadBalancerSourceRanges = {"192.168.7.3/32"};
    put(object);
    EXPECT_EQ(reached(world->outside, "203.0.113.9", 80, "192.168.7.3"), "1 from 10.1.0.1");
    object.spec.loadBalancerSourceRanges = {};
    put(object);
    EXPECT_EQ(reached(world->outside, "203.0.113.9", 80, "192.168.7.2"), "1 from 10.1.0.1");
}

TEST_F(ServiceKernel, affinity_keeps_a_client_with_its_endpoint_while_it_is_there) {
    auto object = service("10.96.0.7");
    object.spec.sessionAffinity = "ClientIP";
    object.spec.sessionAffinityConfig.emplace().clientIP.emplace().timeoutSeconds = 2;
    object.spec.externalIPs = {"203.0.113.9"};
    put(object);
    endpoints({"0", "1", "2"});
    const char first = reached(world->outside, "10.96.0.7")[0];
    const char by_other = reached(world->outside, "203.0.113.9")[0];
    for (int i = 0; i < 12; ++i) {
        EXPECT_EQ(reached(world->outside, "10.96.0.7")[0], first);
        EXPECT_EQ(reached(world->outside, "203.0.113.9")[0], by_other);
    }
    std::vector<std::string> rest{"0", "1", "2"};
    std::erase(rest, std::string(1, first));
    endpoints(rest);
    const char second = reached(world->outside, "10.96.0.7")[0];
    EXPECT_NE(second, first);
    endpoints({"0", "1", "2"});
    for (int i = 0; i < 12; ++i) EXPECT_EQ(reached(world->outside, "10.96.0.7")[0], second);
    // A table that is replaced keeps them in mind.
    const auto kept = kept_clients(*socket, rules.rules().table());
    ASSERT_TRUE(kept);
    EXPECT_GE(kept->size(), 1u);
    ASSERT_TRUE(rules.rules().whole(*kept).commit(*socket));
    for (int i = 0; i < 12; ++i) EXPECT_EQ(reached(world->outside, "10.96.0.7")[0], second);
    // Other clients go elsewhere.
    std::map<char, int> others;
    for (int i = 0; i < 20; ++i) {
        world->outside.ip(concat("addr add 192.168.7.", 100 + i, "/24 dev eth0"));
        ++others[reached(world->outside, "10.96.0.7", 80, concat("192.168.7.", 100 + i))[0]];
    }
    EXPECT_EQ(others.size(), 3u) << ::testing::PrintToString(others);
}

TEST_F(ServiceKernel, endpoints_that_end_serve_when_there_are_no_others) {
    put(service("10.96.0.7"));
    endpoints({"0-", "1"});
    EXPECT_EQ(spread(world->outside, "10.96.0.7", 10), (std::map<char, int>{{'1', 10}}));
    endpoints({"0-"});
    EXPECT_EQ(reached(world->outside, "10.96.0.7"), "0 from 10.1.0.1");
}

TEST_F(ServiceKernel, udp_goes_the_same_ways) {
    const Fd server = world->pods[1]->listen("0.0.0.0", 8080, Protocol::Udp);
    put(service("10.96.0.7", "UDP"));
    endpoints({"1"}, "UDP");
    const auto client = world->pods[0]->connect("10.96.0.7", 80, Protocol::Udp);
    ASSERT_EQ(::send(client.socket.get(), "hello", 5, 0), 5);
    EXPECT_EQ(receive_from(server, "answer"), "hello");
    EXPECT_EQ(receive_from(client.socket), "answer");
    // The client goes on from the same port: without a word from us it would go on to pod 1.
    const Fd second = world->pods[2]->listen("0.0.0.0", 8080, Protocol::Udp);
    endpoints({"2"}, "UDP");
    ASSERT_EQ(::send(client.socket.get(), "again", 5, 0), 5);
    EXPECT_EQ(receive_from(second, "answer"), "again");
    EXPECT_EQ(receive_from(client.socket), "answer");
    endpoints({}, "UDP");
    const auto other = world->pods[0]->connect("10.96.0.7", 80, Protocol::Udp);
    ASSERT_EQ(::send(other.socket.get(), "hello", 5, 0), 5);
    EXPECT_EQ(receive_from(other.socket), "");
    int told = 0;
    socklen_t size = sizeof told;
    ::getsockopt(other.socket.get(), SOL_SOCKET, SO_ERROR, &told, &size);
    EXPECT_EQ(errno, ECONNREFUSED);   // by the recv above
}

TEST_F(ServiceKernel, a_changed_service_disturbs_no_connection) {
    put(service("10.96.0.7"));
    endpoints({"0", "1", "2"});
    std::vector<testing::Place::Connected> open;
    for (int i = 0; i < 10; ++i) open.push_back(world->outside.connect("10.96.0.7", 80));
    endpoints({"1"});
    ASSERT_TRUE(rules.rules().whole().commit(*socket));   // and one replaced whole
    for (auto& one : open) {
        EXPECT_EQ(one.error, 0);
        EXPECT_EQ(::send(one.socket.get(), "x", 1, MSG_NOSIGNAL), 1);
        char c = 0;
        EXPECT_EQ(::recv(one.socket.get(), &c, 1, MSG_DONTWAIT), -1);
        EXPECT_EQ(errno, EAGAIN);   // no reset came
    }
    for (int i = 0; i < 5; ++i) EXPECT_EQ(reached(world->outside, "10.96.0.7")[0] != 0, true);
    rules.set_service({"default", "web"}, nullptr);
    commit();
    EXPECT_EQ(world->outside.result("10.96.0.7", 80), ETIMEDOUT);
}

TEST_F(ServiceKernel, nft_can_show_the_table) {
    auto object = service("10.96.0.7");
    object.spec.sessionAffinity = "ClientIP";
    object.spec.ports[0].nodePort = 30080;
    put(object);
    endpoints({"0", "1", "2"});
    reached(world->outside, "10.96.0.7");
    const Inside inside{world->node.name_space()};
    const auto shown = run_command({"nft", "list", "ruleset"});
    ASSERT_TRUE(shown);
    EXPECT_EQ(shown->exit_code, 0) << shown->error;
    if (::getenv("SHOW_RULES")) std::fputs(shown->out.c_str(), stderr);
}

}   // namespace
}   // namespace skiff::proxy
