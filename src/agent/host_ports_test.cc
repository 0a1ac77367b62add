#include "agent/host_ports.h"

#include "agent/pod_testing.h"

namespace skiff::agent {
namespace {

TEST(HostPorts, are_those_that_the_containers_name) {
    const auto pod = testing::pod_from(
        R"({"containers":[{"name":"a","ports":[{"containerPort":80,"hostPort":8080},{"containerPort":81}]},
        {"name":"b","ports":[{"containerPort":53,"hostPort":5353,"protocol":"UDP","hostIP":"192.0.2.1"}]}]})");
    const auto ports = host_ports_of(*pod, {"10.0.0.5"});
    ASSERT_EQ(ports.size(), 2u);
    EXPECT_EQ(ports[0], (HostPort{"tcp", "", 8080, "10.0.0.5", 80}));
    EXPECT_EQ(ports[1], (HostPort{"udp", "192.0.2.1", 5353, "10.0.0.5", 53}));
    const auto host = testing::pod_from(
        R"({"hostNetwork":true,"containers":[{"name":"a","ports":[{"containerPort":80,"hostPort":80}]}]})");
    EXPECT_TRUE(host_ports_of(*host, {"192.0.2.1"}).empty());
}

TEST(HostPorts, the_table_is_replaced_whole_and_goes_with_the_last) {
    const auto rules = host_port_rules("abc123", {{"tcp", "", 8080, "10.0.0.5", 80}});
    EXPECT_TRUE(rules.starts_with(
        "add table ip skiff-abc123-hostports\ndelete table ip skiff-abc123-hostports\ntable ip"));
    EXPECT_NE(rules.find("fib daddr type local tcp dport 8080 dnat to 10.0.0.5:80\n"),
              std::string::npos);
    EXPECT_EQ(host_port_rules("abc123", {}),
              "add table ip skiff-abc123-hostports\ndelete table ip skiff-abc123-hostports\n");
}

}   // namespace
}   // namespace skiff::agent
