// Services as users make and change them: what they are given, keep and give back.
#include <set>

#include "apiserver/testing.h"

namespace skiff::apiserver::testing {
namespace {

constexpr std::string_view services = "/api/v1/namespaces/default/services";

Answer create(TestServer& server, std::string_view name, std::string_view spec) {
    return server.post(services,
                       concat(R"({"metadata":{"name":")", name, R"("},"spec":)", spec, "}"));
}

Answer with_port(TestServer& server, std::string_view name, std::string_view more = "") {
    return create(server, name,
                  concat(R"({"ports":[{"port":80}],"selector":{"app":"a"})", more, "}"));
}

std::string path(std::string_view name) { return concat(services, "/", name); }
std::string spec_json(const Answer& answer, std::string_view member) {
    const auto* value = answer.at({"spec", member});
    return value ? codec::to_json(*value) : "";
}
int64_t node_port(const Answer& answer, size_t index = 0) {
    const auto* ports = answer.at({"spec", "ports"});
    if (!ports || ports->size() <= index) return -1;
    const auto* port = ports->items()[index].find("nodePort");
    return port ? port->as_int() : 0;
}

TEST(Services, a_service_gets_what_upstream_gives_it) {
    TestServer server;
    const auto answer = with_port(server, "a");
    ASSERT_EQ(answer.status, 201) << answer.body;
    const auto ip = parse_ipv4(answer.text({"spec", "clusterIP"}));
    ASSERT_TRUE(ip) << answer.body;
    EXPECT_TRUE(parse_ipv4_range("10.96.0.0/16")->contains(*ip));
    EXPECT_EQ(spec_json(answer, "clusterIPs"), concat("[\"", ipv4_text(*ip), "\"]"));
    EXPECT_EQ(spec_json(answer, "ipFamilies"), R"(["IPv4"])");
    EXPECT_EQ(answer.text({"spec", "ipFamilyPolicy"}), "SingleStack");
    EXPECT_EQ(answer.text({"spec", "internalTrafficPolicy"}), "Cluster");
    EXPECT_EQ(answer.text({"spec", "sessionAffinity"}), "None");
    EXPECT_EQ(answer.at({"spec", "externalTrafficPolicy"}), nullptr);
    EXPECT_EQ(spec_json(answer, "ports"), R"([{"port":80,"protocol":"TCP","targetPort":80}])");
}

TEST(Services, what_each_type_gets) {
    TestServer server;
    const auto node = with_port(server, "node", R"(,"type":"NodePort")");
    EXPECT_GE(node_port(node), 30000);
    EXPECT_LE(node_port(node), 32767);
    EXPECT_EQ(node.text({"spec", "externalTrafficPolicy"}), "Cluster");
    const auto balanced = with_port(server, "balanced", R"(,"type":"LoadBalancer")");
    EXPECT_GE(node_port(balanced), 30000);
    EXPECT_NE(node_port(balanced), node_port(node));
    EXPECT_EQ(spec_json(balanced, "allocateLoadBalancerNodePorts"), "true");
    const auto without = with_port(
        server, "without", R"(,"type":"LoadBalancer","allocateLoadBalancerNodePorts":false)");
    EXPECT_EQ(node_port(without), 0);
    const auto local =
        with_port(server, "local", R"(,"type":"LoadBalancer","externalTrafficPolicy":"Local")");
    EXPECT_GE(local.number({"spec", "healthCheckNodePort"}), 30000) << local.body;
    const auto headless = with_port(server, "headless", R"(,"clusterIP":"None")");
    EXPECT_EQ(spec_json(headless, "clusterIPs"), R"(["None"])");
    EXPECT_EQ(spec_json(headless, "ipFamilies"), R"(["IPv4"])");
    const auto free = create(server, "free", R"({"clusterIP":"None"})");
    EXPECT_EQ(free.text({"spec", "ipFamilyPolicy"}), "RequireDualStack") << free.body;
    const auto external =
        create(server, "external", R"({"type":"ExternalName","externalName":"example.com"})");
    EXPECT_EQ(external.status, 201) << external.body;
    EXPECT_EQ(external.at({"spec", "clusterIP"}), nullptr);
    EXPECT_EQ(external.at({"spec", "ipFamilies"}), nullptr);
    const auto sticky = with_port(server, "sticky", R"(,"sessionAffinity":"ClientIP")");
    EXPECT_EQ(sticky.number({"spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds"}),
              10800);
    const auto outside = with_port(server, "outside", R"(,"externalIPs":["192.0.2.1"])");
    EXPECT_EQ(outside.text({"spec", "externalTrafficPolicy"}), "Cluster") << outside.body;
}

TEST(Services, ports_of_one_number_share_their_node_port) {
    TestServer server;
    const auto answer = create(
        server, "dns",
        R"({"type":"NodePort","ports":[{"name":"u","protocol":"UDP","port":53},{"name":"t","port":53},{"name":"m","port":9153}]})");
    ASSERT_EQ(answer.status, 201) << answer.body;
    EXPECT_EQ(node_port(answer, 0), node_port(answer, 1));
    EXPECT_NE(node_port(answer, 0), node_port(answer, 2));
}

TEST(Services, what_cannot_be_given_is_said_in_upstreams_words) {
    TestServer server;
    ASSERT_EQ(with_port(server, "a", R"(,"type":"NodePort","clusterIP":"10.96.0.7")").status, 201);
    ASSERT_EQ(
        create(server, "b", R"({"type":"NodePort","ports":[{"port":80,"nodePort":30007}]})").status,
        201);
    struct Case {
        std::string_view spec, message;
    };
    const Case cases[] = {
        {R"({"ports":[{"port":80}],"clusterIP":"10.96.0.7"})",
         R"(spec.clusterIPs: Invalid value: ["10.96.0.7"]: failed to allocate IP 10.96.0.7: provided IP is already allocated)"},
        {R"({"ports":[{"port":80}],"clusterIP":"10.1.0.7"})",
         R"(failed to allocate IP 10.1.0.7: the provided IP (10.1.0.7) is not in the valid range. The range of valid IPs is 10.96.0.0/16)"},
        {R"({"ports":[{"port":80}],"clusterIP":"10.96.255.255"})", "is not in the valid range"},
        {R"({"ports":[{"port":80}],"clusterIP":"fd00::1"})",
         "IPv6 is not configured on this cluster"},
        {R"({"ports":[{"port":80}],"ipFamilies":["IPv6"]})",
         R"(spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster)"},
        {R"({"ports":[{"port":80}],"ipFamilyPolicy":"RequireDualStack"})",
         "this cluster is not configured for dual-stack services"},
        {R"({"type":"NodePort","ports":[{"port":80,"nodePort":30007}]})",
         "spec.ports[0].nodePort: Invalid value: 30007: provided port is already allocated"},
        {R"({"type":"NodePort","ports":[{"port":80,"nodePort":80}]})",
         "provided port is not in the valid range. The range of valid ports is 30000-32767"},
        {R"({"type":"LoadBalancer","ports":[{"port":10250}]})",
         "may not expose port 10250 externally since it is used by kubelet"},
        {R"({"ports":[{"port":80}],"externalTrafficPolicy":"Local"})",
         "may only be set for externally-accessible services"},
        {R"({"ports":[{"port":80}],"externalIPs":["127.0.0.1"]})", "may not be in the loopback"},
        {R"({"type":"ExternalName","externalName":"a.b","clusterIP":"10.96.0.9"})",
         "spec.clusterIPs: Forbidden: may not be set when `type` is 'ExternalName'"},
        {R"({"ports":[{"port":80}],"loadBalancerClass":"x"})",
         "may only be used when `type` is 'LoadBalancer'"},
    };
    for (const auto& c : cases) {
        const auto answer = create(server, "wrong", c.spec);
        EXPECT_EQ(answer.status, 422) << c.spec << answer.body;
        EXPECT_NE(answer.message().find(c.message), std::string::npos) << answer.message();
    }
}

TEST(Services, an_update_that_says_nothing_of_it_keeps_what_was_given) {
    TestServer server;
    const auto first = with_port(server, "a", R"(,"type":"NodePort")");
    const auto ip = first.text({"spec", "clusterIP"});
    const auto put = server.put(
        path("a"),
        R"({"metadata":{"name":"a"},"spec":{"type":"NodePort","ports":[{"port":80,"targetPort":8080}]}})");
    ASSERT_EQ(put.status, 200) << put.body;
    EXPECT_EQ(put.text({"spec", "clusterIP"}), ip);
    EXPECT_EQ(node_port(put), node_port(first));
    const auto other = server.merge(path("a"), R"({"spec":{"clusterIP":"10.96.0.99"}})");
    EXPECT_EQ(other.status, 422);
    EXPECT_NE(other.message().find("may not change once set"), std::string::npos);
    const auto headless =
        server.merge(path("a"), R"({"spec":{"clusterIP":"None","clusterIPs":["None"]}})");
    EXPECT_EQ(headless.status, 422);
    const auto moved = server.merge(path("a"), R"({"spec":{"ports":[{"port":81}]}})");
    EXPECT_EQ(moved.status, 200) << moved.body;
    EXPECT_GE(node_port(moved), 30000);
}

TEST(Services, a_change_of_type_takes_and_gives_back) {
    TestServer server;
    const auto first = with_port(server, "a");
    const auto ip = first.text({"spec", "clusterIP"});
    const auto node = server.merge(path("a"), R"({"spec":{"type":"NodePort"}})");
    ASSERT_EQ(node.status, 200) << node.body;
    const auto port = node_port(node);
    EXPECT_GE(port, 30000);
    const auto balanced = server.merge(
        path("a"), R"({"spec":{"type":"LoadBalancer","externalTrafficPolicy":"Local"}})");
    EXPECT_EQ(node_port(balanced), port);
    EXPECT_GE(balanced.number({"spec", "healthCheckNodePort"}), 30000) << balanced.body;
    const auto plain = server.merge(path("a"), R"({"spec":{"type":"ClusterIP"}})");
    ASSERT_EQ(plain.status, 200) << plain.body;
    EXPECT_EQ(node_port(plain), 0);
    EXPECT_EQ(plain.at({"spec", "healthCheckNodePort"}), nullptr);
    EXPECT_EQ(plain.at({"spec", "allocateLoadBalancerNodePorts"}), nullptr);
    EXPECT_EQ(plain.text({"spec", "clusterIP"}), ip);
    // The port is free again.
    EXPECT_EQ(create(server, "b",
                     concat(R"({"type":"NodePort","ports":[{"port":80,"nodePort":)", port, "}]}"))
                  .status,
              201);
    const auto external =
        server.merge(path("a"), R"({"spec":{"type":"ExternalName","externalName":"example.com"}})");
    ASSERT_EQ(external.status, 200) << external.body;
    EXPECT_EQ(external.at({"spec", "clusterIP"}), nullptr);
    EXPECT_EQ(with_port(server, "c", concat(R"(,"clusterIP":")", ip, "\"")).status, 201);
    const auto back = server.merge(path("a"), R"({"spec":{"type":"ClusterIP"}})");
    EXPECT_EQ(back.status, 200) << back.body;
    EXPECT_NE(back.text({"spec", "clusterIP"}), "");
    EXPECT_NE(back.text({"spec", "clusterIP"}), ip);
}

TEST(Services, a_full_range_is_said_and_a_deletion_makes_room) {
    TestServer server{{}, "10.96.0.0/28"};
    std::set<std::string> given;
    for (int i = 0; i < 14; ++i) {
        const auto answer = with_port(server, concat("s", i));
        ASSERT_EQ(answer.status, 201) << answer.body;
        given.insert(answer.text({"spec", "clusterIP"}));
    }
    EXPECT_EQ(given.size(), 14u);
    EXPECT_FALSE(given.contains("10.96.0.0"));
    EXPECT_FALSE(given.contains("10.96.0.15"));
    const auto full = with_port(server, "more");
    EXPECT_EQ(full.status, 500);
    EXPECT_NE(full.message().find("failed to allocate a serviceIP: range is full"),
              std::string::npos);
    EXPECT_EQ(server.remove(path("s3")).status, 200);
    EXPECT_EQ(with_port(server, "more").status, 201);
}

TEST(Services, a_dry_run_takes_nothing) {
    TestServer server;
    const auto dry = server.post(
        concat(services, "?dryRun=All"),
        R"({"metadata":{"name":"a"},"spec":{"clusterIP":"10.96.0.9","ports":[{"port":80}]}})");
    ASSERT_EQ(dry.status, 201) << dry.body;
    EXPECT_EQ(with_port(server, "b", R"(,"clusterIP":"10.96.0.9")").status, 201);
}

TEST(Services, a_finalizer_keeps_the_address_until_it_is_gone) {
    TestServer server;
    ASSERT_EQ(
        server
            .post(
                services,
                R"({"metadata":{"name":"a","finalizers":["x/y"]},"spec":{"clusterIP":"10.96.0.9","ports":[{"port":80}]}})")
            .status,
        201);
    server.remove(path("a"));
    EXPECT_EQ(with_port(server, "b", R"(,"clusterIP":"10.96.0.9")").status, 422);
    EXPECT_EQ(server.merge(path("a"), R"({"metadata":{"finalizers":null}})").status, 200);
    EXPECT_EQ(with_port(server, "b", R"(,"clusterIP":"10.96.0.9")").status, 201);
}

TEST(Services, requests_at_the_same_time_never_get_the_same) {
    TestServer server{{}, "10.96.0.0/28"};
    std::vector<std::shared_ptr<net::Response>> responses;
    for (int i = 0; i < 14; ++i) {
        net::Request request{.method = "POST", .path = std::string{services}};
        request.headers.add("authorization", "Bearer admin");
        request.body = concat(R"({"metadata":{"name":"s)", i,
                              R"("},"spec":{"type":"NodePort","ports":[{"port":80}]}})");
        responses.push_back(std::make_shared<net::Response>());
        server.api.handler()(std::move(request), std::make_shared<Catcher>(responses.back()));
    }
    server.executor.settle();
    std::set<std::string> addresses;
    std::set<int64_t> ports;
    for (const auto& response : responses) {
        ASSERT_EQ(response->status, 201) << text_of(response->body);
        const auto object = codec::parse_json(text_of(response->body));
        addresses.emplace(object->root.text_at({"spec", "clusterIP"}));
        ports.insert(
            object->root.at_path({"spec", "ports"})->items()[0].find("nodePort")->as_int());
    }
    EXPECT_EQ(addresses.size(), 14u);
    EXPECT_EQ(ports.size(), 14u);
}

}   // namespace
}   // namespace skiff::apiserver::testing
