#include "apiserver/proxy_target.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "client/testing.h"

namespace skiff::apiserver {
namespace {

TEST(ProxyName, is_a_name_with_a_scheme_and_a_port_if_said) {
    struct Row {
        std::string_view text, scheme, name, port;
        bool good = true;
    };
    const Row rows[] = {
        {"web", "", "web", ""},
        {"web:80", "", "web", "80"},
        {"web:main", "", "web", "main"},
        {"https:web:8443", "https", "web", "8443"},
        {"http:web:", "http", "web", ""},
        {":web:80", "", "web", "80"},
        {"ftp:web:80", "", "", "", false},
        {"a:b:c:d", "", "", "", false},
    };
    for (const auto& row : rows) {
        const auto name = parse_proxy_name(row.text);
        ASSERT_EQ(name.has_value(), row.good) << row.text;
        if (!name) continue;
        EXPECT_EQ(name->scheme, row.scheme) << row.text;
        EXPECT_EQ(name->name, row.name) << row.text;
        EXPECT_EQ(name->port, row.port) << row.text;
    }
}

TEST(ProxyTarget, addresses_that_lead_back_to_the_server_are_refused) {
    for (const char* address :
         {"127.0.0.1", "127.8.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "255.255.255.255",
          "::1", "fe80::1", "::", "::ffff:127.0.0.1", "localhost", ""})
        EXPECT_FALSE(may_be_proxied_to(address)) << address;
    for (const char* address : {"10.244.0.7", "192.168.1.1", "8.8.8.8", "fd00::7"})
        EXPECT_TRUE(may_be_proxied_to(address)) << address;
}

std::string pod_target(std::string_view pod, std::string_view name) {
    const auto document = codec::parse_json(pod).value();
    const auto to = proxy_target_of_pod(document.root, *parse_proxy_name(name));
    return to ? concat(to->address, ":", to->port) : to.error().message;
}

TEST(ProxyTarget, a_pod_is_reached_on_the_port_said_or_its_first) {
    constexpr std::string_view pod =
        R"({"spec":{"containers":[{},{"ports":[{"containerPort":8080},{"containerPort":1}]}]},
            "status":{"podIP":"10.244.0.7"}})";
    EXPECT_EQ(pod_target(pod, "p"), "10.244.0.7:8080");
    EXPECT_EQ(pod_target(pod, "p:81"), "10.244.0.7:81");
    EXPECT_EQ(pod_target(pod, "p:web"), "port 'web' must be a number");
    EXPECT_EQ(pod_target(pod, "p:70000"), "port 70000 must be between 1 and 65535");
    EXPECT_EQ(pod_target(R"({"status":{"podIP":"10.244.0.7"}})", "https:p:"), "10.244.0.7:443");
    EXPECT_EQ(pod_target(R"({"status":{"podIP":"127.0.0.1"}})", "p"), "address not allowed");
    EXPECT_EQ(pod_target("{}", "p"), "there is no address to reach it at yet");
}

std::string service_target(std::string_view endpoints, std::string_view name) {
    const auto service = codec::parse_json(
        R"({"spec":{"ports":[{"name":"web","port":80},{"name":"db","port":5432}]}})");
    const auto document = codec::parse_json(endpoints).value();
    client::testing::FakeRandom random;
    const auto to =
        proxy_target_of_service(service->root, &document.root, *parse_proxy_name(name), random);
    return to ? concat(to->address, ":", to->port) : to.error().message;
}

TEST(ProxyTarget, a_service_is_reached_at_a_ready_address_of_the_port) {
    constexpr std::string_view endpoints =
        R"({"subsets":[{"addresses":[{"ip":"10.0.0.1"}],"notReadyAddresses":[{"ip":"10.0.0.2"}],
            "ports":[{"name":"web","port":8080},{"name":"db","port":15432}]}]})";
    EXPECT_EQ(service_target(endpoints, "s:web"), "10.0.0.1:8080");
    EXPECT_EQ(service_target(endpoints, "s:5432"), "10.0.0.1:15432");
    EXPECT_EQ(service_target(endpoints, "s"), "no service port \"\" found for service \"s\"");
    EXPECT_EQ(service_target(endpoints, "s:none"),
              "no service port \"none\" found for service \"s\"");
    EXPECT_EQ(service_target("{}", "s:web"), "no endpoints available for service \"s\"");
}

}   // namespace
}   // namespace skiff::apiserver
