#include "proxy/service_plan.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace skiff::proxy {
namespace {

using Service = view::Service;

constexpr std::string_view here = "here";

// "1 2- 3~ 4@ 5!": addresses 10.1.0.n; - ends but serves, ~ is not ready, @ is on another node,
// ! ends and serves no more.
SharedSlice slice_of(std::string_view endpoints, std::string_view port_name = "",
                     std::string_view protocol = "TCP", int32_t port = 8080) {
    auto slice = std::make_shared<view::EndpointSlice>();
    slice->addressType = "IPv4";
    slice->ports = {{.name = std::string{port_name}, .protocol = protocol, .port = port}};
    for (const auto word : split(endpoints, ' ')) {
        if (word.empty()) continue;
        const auto has = [&](char c) { return word.find(c) != word.npos; };
        view::EndpointSlice::Endpoint one;
        one.addresses = {concat("10.1.0.", word.substr(0, word.find_first_of("-~@!")))};
        one.nodeName = has('@') ? "there" : here;
        if (has('-')) one.conditions = {.ready = false, .serving = true, .terminating = true};
        if (has('~')) one.conditions = {.ready = false, .serving = false, .terminating = false};
        if (has('!')) one.conditions = {.ready = false, .serving = false, .terminating = true};
        slice->endpoints.push_back(std::move(one));
    }
    return slice;
}

Service service_of(std::string_view type) {
    Service service;
    service.spec.type = type;
    service.spec.clusterIP = "10.96.0.7";
    service.spec.ports = {{.name = "", .protocol = "TCP", .port = 80}};
    if (type != "ClusterIP") service.spec.ports[0].nodePort = 30080;
    return service;
}

std::string text_of(const Group& group) {
    if (group.endpoints.empty()) return group.when_empty == WhenEmpty::Refuse ? "refuse" : "drop";
    std::string out;
    for (const auto& one : group.endpoints)
        append(out, out.empty() ? "" : ",", one.address & 255,
               one.port == 8080 ? "" : concat(":", one.port));
    return out;
}

// "10.96.0.7:80>1,2 30080>1,2 masked": every entrance, where it leads, and what it does.
std::string text_of(const ServicePlan& plan) {
    std::string out;
    for (const auto& one : plan.entrances) {
        append(out, out.empty() ? "" : " ", one.address ? address_text(*one.address) + ":" : "",
               one.port, one.protocol == Protocol::Tcp ? "" : lower(protocol_text(one.protocol)),
               ">", text_of(plan.groups[one.group]),
               one.near_group ? concat("|", text_of(plan.groups[*one.near_group])) : "",
               one.masked ? "*" : "",
               one.only_from.empty() ? "" : concat("/", one.only_from.size()));
    }
    return out;
}

std::string planned(const Service& service, const std::vector<SharedSlice>& slices) {
    return text_of(plan_service(
        service, slices, {.name = std::string{here}, .dns_address = parse_address("10.96.0.10")}));
}

TEST(ServicePlan, where_traffic_goes) {
    struct Row {
        const char* why;
        const char* type;
        const char* external_policy;
        const char* internal_policy;
        const char* endpoints;
        const char* plan;   // * masked, | for those near
    };
    const Row rows[] = {
        {"nothing is behind it", "ClusterIP", "", "Cluster", "", "10.96.0.7:80>refuse"},
        {"every endpoint that is ready", "ClusterIP", "", "Cluster", "1 2~ 3@", "10.96.0.7:80>1,3"},
        {"one that ends has no place beside one that is ready", "ClusterIP", "", "Cluster", "1- 2",
         "10.96.0.7:80>2"},
        {"one that ends is better than none", "ClusterIP", "", "Cluster", "1- 2~ 3!",
         "10.96.0.7:80>1"},
        {"one that serves no more is none", "ClusterIP", "", "Cluster", "3!",
         "10.96.0.7:80>refuse"},
        {"a local policy within takes those here", "ClusterIP", "", "Local", "1 3@",
         "10.96.0.7:80>1"},
        {"and drops when they are elsewhere only", "ClusterIP", "", "Local", "3@",
         "10.96.0.7:80>drop"},
        {"and refuses when there are none at all", "ClusterIP", "", "Local", "",
         "10.96.0.7:80>refuse"},
        {"here, one that ends is better than one elsewhere", "ClusterIP", "", "Local", "1- 3@",
         "10.96.0.7:80>1"},
        {"node ports hide the client", "NodePort", "Cluster", "Cluster", "1 3@",
         "10.96.0.7:80>1,3 30080>1,3*"},
        {"unless the policy is local", "NodePort", "Local", "Cluster", "1 3@",
         "10.96.0.7:80>1,3 30080>1|1,3"},
        {"those near are not bound by it", "NodePort", "Local", "Cluster", "3@",
         "10.96.0.7:80>3 30080>drop|3"},
    };
    for (const auto& row : rows) {
        auto service = service_of(row.type);
        service.spec.externalTrafficPolicy = row.external_policy;
        service.spec.internalTrafficPolicy = row.internal_policy;
        EXPECT_EQ(planned(service, {slice_of(row.endpoints)}), row.plan) << row.why;
    }
}

TEST(ServicePlan, what_has_no_entrance) {
    const auto slice = slice_of("1");
    for (const auto change : {+[](Service& s) { s.spec.type = "ExternalName"; },
                              +[](Service& s) { s.spec.clusterIP = "None"; },
                              +[](Service& s) { s.spec.clusterIP = ""; },
                              +[](Service& s) { s.spec.clusterIP = "10.96.0.10"; },   // DNS
                              +[](Service& s) { s.spec.clusterIP = "fd00::1"; },
                              +[](Service& s) {
                                  s.metadata.labels["service.kubernetes.io/service-proxy-name"] =
                                      "other";
                              }}) {
        auto service = service_of("ClusterIP");
        change(service);
        EXPECT_EQ(planned(service, {slice}), "");
    }
}

TEST(ServicePlan, ports_meet_by_name_and_protocol) {
    auto service = service_of("ClusterIP");
    service.spec.ports = {{.name = "web", .protocol = "TCP", .port = 80},
                          {.name = "dns", .protocol = "UDP", .port = 53},
                          {.name = "sig", .protocol = "SCTP", .port = 90}};
    EXPECT_EQ(planned(service, {slice_of("1", "web"), slice_of("2", "web", "TCP", 81),
                                slice_of("1", "dns", "UDP", 5353), slice_of("4", "sig"),
                                slice_of("5", "other")}),
              "10.96.0.7:80>1,2:81 10.96.0.7:53udp>1:5353 10.96.0.7:90sctp>refuse");
}

TEST(ServicePlan, an_endpoint_in_two_slices_counts_once) {
    EXPECT_EQ(planned(service_of("ClusterIP"), {slice_of("1 2~"), slice_of("1 2")}),
              "10.96.0.7:80>1,2");
}

TEST(ServicePlan, hints_are_followed_when_all_are_there) {
    // "1a 2b 3": hinted for the zones a and b, and not at all.
    const auto hinted = [](std::string_view endpoints) {
        auto slice = std::make_shared<view::EndpointSlice>();
        slice->addressType = "IPv4";
        slice->ports = {{.name = "", .protocol = "TCP", .port = 8080}};
        for (const auto word : split(endpoints, ' ')) {
            view::EndpointSlice::Endpoint one;
            one.addresses = {concat("10.1.0.", word.substr(0, 1))};
            one.conditions.ready = !word.ends_with('~');
            for (const char zone : word.substr(1))
                if (zone != '~') {
                    if (!one.hints) one.hints.emplace();
                    one.hints->forZones.push_back({.name = std::string{zone}});
                }
            slice->endpoints.push_back(std::move(one));
        }
        return SharedSlice{slice};
    };
    const struct {
        const char* why;
        const char* endpoints;
        const char* zone;
        std::string plan;
    } rows[] = {
        {"those of the zone", "1a 2b 3a", "a", "1,3"},
        {"one for several zones", "1ab 2b", "a", "1"},
        {"one is not hinted", "1a 2b 3", "a", "1,2,3"},
        {"none is for the zone", "1a 2b", "c", "1,2"},
        {"the node has no zone", "1a 2b", "", "1,2"},
        {"what is not ready does not count", "1a 2b 3~", "a", "1"},
        {"the zone's own are not ready", "1a~ 2b", "a", "2"},
    };
    for (const auto& row : rows)
        EXPECT_EQ(text_of(plan_service(service_of("ClusterIP"), {hinted(row.endpoints)},
                                       {.name = "here", .dns_address = {}, .zone = row.zone})),
                  "10.96.0.7:80>" + row.plan)
            << row.why;
}

TEST(ServicePlan, a_local_load_balancer_tells_of_the_endpoints_here) {
    auto service = service_of("LoadBalancer");
    service.spec.healthCheckNodePort = 31000;
    const auto health = [&](std::string_view endpoints) {
        return plan_service(service, {slice_of(endpoints), slice_of(endpoints, "", "TCP", 81)},
                            {.name = std::string{here}, .dns_address = {}, .zone = {}})
            .health;
    };
    EXPECT_EQ(health("1"), HealthPort{}) << "the policy is Cluster";
    service.spec.externalTrafficPolicy = "Local";
    EXPECT_EQ(health("1 2 3~ 4@ 5-"), (HealthPort{.port = 31000, .endpoints = 2}));
    EXPECT_EQ(health("4@"), (HealthPort{.port = 31000, .endpoints = 0}));
    service.spec.type = "NodePort";
    EXPECT_EQ(health("1"), HealthPort{});
}

TEST(HealthPort, is_answered_as_kube_proxy_does) {
    const auto answer = health_answer({.name_space = "d", .name = "web"}, 2);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.headers.find("x-load-balancing-endpoint-weight"), "2");
    EXPECT_EQ(answer.body.front().view(),
              "{\n\t\"service\": {\n\t\t\"namespace\": \"d\",\n\t\t\"name\": \"web\"\n\t},\n"
              "\t\"localEndpoints\": 2,\n\t\"serviceProxyHealthy\": true\n}");
    EXPECT_EQ(health_answer({}, 0).status, 503);
}

TEST(ServicePlan, load_balancers_and_external_addresses) {
    auto service = service_of("LoadBalancer");
    service.spec.externalIPs = {"203.0.113.1", "2001:db8::1"};
    service.spec.loadBalancerSourceRanges = {"10.0.0.0/8", " 192.0.2.0/24"};
    service.status.loadBalancer.ingress = {
        {.ip = "192.0.2.9"}, {.ip = "192.0.2.10", .ipMode = "Proxy"}, {.ip = ""}};
    EXPECT_EQ(planned(service, {slice_of("1")}),
              "10.96.0.7:80>1 203.0.113.1:80>1* 192.0.2.9:80>1*/2 30080>1*");
    service.spec.ports[0].nodePort = 0;   // allocateLoadBalancerNodePorts: false
    service.spec.type = "ClusterIP";
    EXPECT_EQ(planned(service, {slice_of("1")}), "10.96.0.7:80>1 203.0.113.1:80>1*");
}

TEST(ServicePlan, affinity_has_kubernetes_default_of_three_hours) {
    auto service = service_of("ClusterIP");
    const auto seconds = [&] { return plan_service(service, {}, {}).affinity_seconds; };
    EXPECT_EQ(seconds(), std::nullopt);
    service.spec.sessionAffinity = "ClientIP";
    EXPECT_EQ(seconds(), 10800u);
    service.spec.sessionAffinityConfig.emplace().clientIP.emplace().timeoutSeconds = 60;
    EXPECT_EQ(seconds(), 60u);
}

TEST(Addresses, ranges_lose_what_is_taken_out_of_them) {
    struct Row {
        const char* why;
        const char* range;
        std::vector<const char*> except;
        const char* left;
    };
    const Row rows[] = {
        {"nothing", "10.0.0.0/8", {}, "10.0.0.0-11.0.0.0"},
        {"the middle", "10.0.0.0/24", {"10.0.0.64/26"}, "10.0.0.0-10.0.0.64 10.0.0.128-10.0.1.0"},
        {"the ends", "10.0.0.0/24", {"10.0.0.0/26", "10.0.0.192/26"}, "10.0.0.64-10.0.0.192"},
        {"all", "10.0.0.0/24", {"10.0.0.0/16"}, ""},
        {"what is elsewhere", "10.0.0.0/24", {"10.1.0.0/24"}, "10.0.0.0-10.0.1.0"},
        {"of everything", "0.0.0.0/0", {"10.0.0.0/8"}, "0.0.0.0-10.0.0.0 11.0.0.0-0.0.0.0"},
        {"to the very last", "0.0.0.0/0", {"128.0.0.0/1"}, "0.0.0.0-128.0.0.0"},
        {"twice", "10.0.0.0/24", {"10.0.0.0/25", "10.0.0.64/26"}, "10.0.0.128-10.0.1.0"},
    };
    for (const auto& row : rows) {
        std::vector<Range> except;
        for (const auto* one : row.except) except.push_back(parse_cidr(one)->range());
        std::string left;
        for (const auto& one : without(parse_cidr(row.range)->range(), except))
            append(left, left.empty() ? "" : " ", address_text(one.first), "-",
                   address_text(one.end));
        EXPECT_EQ(left, row.left) << row.why;
    }
    EXPECT_FALSE(parse_cidr("10.0.0.0"));
    EXPECT_FALSE(parse_cidr("10.0.0.0/33"));
    EXPECT_FALSE(parse_address("10.0.0.256"));
    EXPECT_FALSE(parse_address("010.0.0.1"));
}

}   // namespace
}   // namespace skiff::proxy
