// What the cluster's names are answered, by a table.
#include "dns/zone.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include "api/view_testing.h"
#include "base/text.h"

namespace skiff::dns {
namespace {

using api::of;

Zone a_zone() {
    Zone zone{{.domain = "cluster.local",
               .own_address = *parse_ipv4("10.96.0.10"),
               .ranges = {*parse_ipv4_range("10.96.0.0/16"), *parse_ipv4_range("10.244.0.0/16")}}};
    for (
        const auto* service :
        {R"({"metadata":{"name":"web","namespace":"default"},"spec":{"type":"ClusterIP","clusterIP":"10.96.0.7","ports":[{"name":"http","protocol":"TCP","port":80},{"name":"dns","protocol":"UDP","port":53}]}})",
         R"({"metadata":{"name":"db","namespace":"default"},"spec":{"type":"ClusterIP","clusterIP":"None","ports":[{"name":"sql","protocol":"TCP","port":3306}]}})",
         R"({"metadata":{"name":"six","namespace":"default"},"spec":{"type":"ClusterIP","clusterIP":"None"}})",
         R"({"metadata":{"name":"empty","namespace":"other"},"spec":{"type":"ClusterIP","clusterIP":"None"}})",
         R"({"metadata":{"name":"out","namespace":"default"},"spec":{"type":"ExternalName","externalName":"Example.com."}})",
         R"({"metadata":{"name":"in","namespace":"default"},"spec":{"type":"ExternalName","externalName":"web.default.svc.cluster.local"}})"})
        zone.put(of<view::Service>(service));
    for (
        const auto* slice :
        {R"({"metadata":{"name":"db-1","namespace":"default","labels":{"kubernetes.io/service-name":"db"}},"addressType":"IPv4","endpoints":[{"addresses":["10.244.0.5"],"conditions":{"ready":true},"hostname":"db-0"},{"addresses":["10.244.0.6"],"conditions":{"ready":true}},{"addresses":["10.244.0.7"],"conditions":{"ready":false},"hostname":"db-2"}],"ports":[{"name":"sql","protocol":"TCP","port":3306}]})",
         R"({"metadata":{"name":"six-1","namespace":"default","labels":{"kubernetes.io/service-name":"six"}},"addressType":"IPv6","endpoints":[{"addresses":["fd00::5"],"hostname":"six-0"},{"addresses":["fd00:0::6"]}],"ports":[{"name":"sql","protocol":"TCP","port":3306}]})",
         R"({"metadata":{"name":"six-2","namespace":"default","labels":{"kubernetes.io/service-name":"six"}},"addressType":"IPv4","endpoints":[{"addresses":["10.244.0.15"],"hostname":"six-0"}],"ports":[{"name":"sql","protocol":"TCP","port":3306}]})",
         R"({"metadata":{"name":"web-1","namespace":"default","labels":{"kubernetes.io/service-name":"web"}},"addressType":"IPv4","endpoints":[{"addresses":["10.244.0.9"],"conditions":{"ready":true}}],"ports":[{"name":"http","protocol":"TCP","port":8080}]})"})
        zone.put(of<view::EndpointSlice>(slice));
    return zone;
}

std::string name_at(std::string_view bytes, size_t at) {
    return parse_name(bytes, at).value_or("?");
}

std::string data_text(const Record& record) {
    const auto& data = record.data;
    const auto number = [&](size_t at) {
        return static_cast<uint8_t>(data[at]) << 8 | static_cast<uint8_t>(data[at + 1]);
    };
    switch (record.type) {
    case Type::A:
        return ipv4_text(static_cast<uint32_t>(number(0)) << 16 | static_cast<uint32_t>(number(2)));
    case Type::AAAA: {
        char text[INET6_ADDRSTRLEN];
        return ::inet_ntop(AF_INET6, data.data(), text, sizeof text);
    }
    case Type::SRV: return concat(number(2), " ", number(4), " ", name_at(data, 6));
    case Type::TXT: return data.substr(1);
    default: return name_at(data, 0);
    }
}

// "CODE: answers; soa of ZONE; +additional".
std::string answered(const Zone& zone, std::string_view name, Type type, uint16_t turn = 0) {
    const auto reply = zone.find({.name = std::string{name}, .type = type}, turn);
    if (!reply) return "forward";
    constexpr std::string_view codes[] = {"ok", "format", "failure", "none"};
    std::string text{codes[static_cast<size_t>(reply->answer.code)]};
    for (const auto& record : reply->answer.answers) append(text, " ", data_text(record));
    for (const auto& record : reply->answer.authority) append(text, " soa ", record.name);
    for (const auto& record : reply->answer.additional)
        append(text, " +", record.name, "=", data_text(record));
    if (!reply->alias.empty()) append(text, " -> ", reply->alias);
    return text;
}

TEST(DnsZone, names_are_answered) {
    const Zone zone = a_zone();
    const auto in = [](std::string_view name) { return concat(name, ".cluster.local"); };
    struct {
        std::string name;
        Type type;
        const char* answer;
    } const rows[] = {
        {in("web.default.svc"), Type::A, "ok 10.96.0.7"},
        {in("web.default.svc"), Type::AAAA, "ok soa cluster.local"},
        {in("web.default.svc"), Type::SRV,
         "ok 100 80 web.default.svc.cluster.local 100 53 web.default.svc.cluster.local "
         "+web.default.svc.cluster.local=10.96.0.7"},
        {in("_http._tcp.web.default.svc"), Type::SRV,
         "ok 100 80 web.default.svc.cluster.local +web.default.svc.cluster.local=10.96.0.7"},
        {in("_http._udp.web.default.svc"), Type::SRV, "none soa cluster.local"},
        {in("_none._tcp.web.default.svc"), Type::SRV, "none soa cluster.local"},
        {in("_tcp.web.default.svc"), Type::SRV, "ok soa cluster.local"},
        {in("_http._tcp.web.default.svc"), Type::A, "ok soa cluster.local"},
        {in("10-244-0-9.web.default.svc"), Type::A, "ok 10.244.0.9"},
        {in("db.default.svc"), Type::A, "ok 10.244.0.5 10.244.0.6"},
        {in("db-0.db.default.svc"), Type::A, "ok 10.244.0.5"},
        {in("10-244-0-6.db.default.svc"), Type::A, "ok 10.244.0.6"},
        {in("db-2.db.default.svc"), Type::A, "none soa cluster.local"},   // not ready
        {in("_sql._tcp.db.default.svc"), Type::SRV,
         "ok 100 3306 db-0.db.default.svc.cluster.local 100 3306 "
         "10-244-0-6.db.default.svc.cluster.local "
         "+db-0.db.default.svc.cluster.local=10.244.0.5 "
         "+10-244-0-6.db.default.svc.cluster.local=10.244.0.6"},
        {in("db.default.svc"), Type::AAAA, "ok soa cluster.local"},
        {in("db-0.db.default.svc"), Type::AAAA, "ok soa cluster.local"},
        {in("none.default.svc"), Type::AAAA, "none soa cluster.local"},
        {in("six.default.svc"), Type::AAAA, "ok fd00::5 fd00::6"},
        {in("six.default.svc"), Type::A, "ok 10.244.0.15"},
        {in("six.default.svc"), Type::ANY, "ok 10.244.0.15 fd00::5 fd00::6"},
        {in("six-0.six.default.svc"), Type::AAAA, "ok fd00::5"},
        {in("six-0.six.default.svc"), Type::A, "ok 10.244.0.15"},
        {in("fd00-0--6.six.default.svc"), Type::AAAA, "ok fd00::6"},
        {in("_sql._tcp.six.default.svc"), Type::SRV,
         "ok 100 3306 six-0.six.default.svc.cluster.local 100 3306 "
         "fd00-0--6.six.default.svc.cluster.local "
         "+six-0.six.default.svc.cluster.local=fd00::5 "
         "+fd00-0--6.six.default.svc.cluster.local=fd00::6 "
         "+six-0.six.default.svc.cluster.local=10.244.0.15"},
        {in("out.default.svc"), Type::AAAA, "ok example.com -> example.com"},
        {in("in.default.svc"), Type::AAAA, "ok web.default.svc.cluster.local"},
        {in("empty.other.svc"), Type::A, "ok soa cluster.local"},
        {in("out.default.svc"), Type::A, "ok example.com -> example.com"},
        {in("out.default.svc"), Type::CNAME, "ok example.com"},
        {in("in.default.svc"), Type::A, "ok web.default.svc.cluster.local 10.96.0.7"},
        {in("none.default.svc"), Type::A, "none soa cluster.local"},
        {in("web.none.svc"), Type::A, "none soa cluster.local"},
        {in("default.svc"), Type::A, "ok soa cluster.local"},
        {in("none.svc"), Type::A, "none soa cluster.local"},
        {in("svc"), Type::A, "ok soa cluster.local"},
        {in("example.com"), Type::A, "none soa cluster.local"},   // the search path's tries
        {"cluster.local", Type::SOA, "ok ns.dns.cluster.local"},
        {"cluster.local", Type::NS, "ok ns.dns.cluster.local"},
        {in("ns.dns"), Type::A, "ok 10.96.0.10"},
        {in("dns-version"), Type::TXT, "ok 1.1.0"},
        {in("1-2-3-4.default.pod"), Type::A, "ok 1.2.3.4"},
        {in("1-2-3-4.default.pod"), Type::AAAA, "ok soa cluster.local"},
        {in("1-2-3.default.pod"), Type::A, "none soa cluster.local"},
        {"7.0.96.10.in-addr.arpa", Type::PTR, "ok web.default.svc.cluster.local"},
        {"8.0.96.10.in-addr.arpa", Type::PTR, "none soa 96.10.in-addr.arpa"},
        {"5.0.244.10.in-addr.arpa", Type::PTR, "ok db-0.db.default.svc.cluster.local"},
        {"6.0.244.10.in-addr.arpa", Type::PTR, "ok 10-244-0-6.db.default.svc.cluster.local"},
        {"9.0.244.10.in-addr.arpa", Type::PTR, "none soa 244.10.in-addr.arpa"},   // not headless
        {"1.2.0.192.in-addr.arpa", Type::PTR, "forward"},
        {"example.com", Type::A, "forward"},
        {"notcluster.local", Type::A, "forward"},
        {"web", Type::A, "forward"},
    };
    for (const auto& row : rows)
        EXPECT_EQ(answered(zone, row.name, row.type), row.answer) << row.name;
    EXPECT_EQ(answered(zone, in("db.default.svc"), Type::A, 1), "ok 10.244.0.6 10.244.0.5");
}

TEST(DnsZone, changes_show) {
    Zone zone = a_zone();
    const auto ask = [&](std::string_view name) {
        return answered(zone, concat(name, ".cluster.local"), Type::A);
    };
    zone.put(of<view::EndpointSlice>(
        R"({"metadata":{"name":"db-1","namespace":"default","labels":{"kubernetes.io/service-name":"db"}},"addressType":"IPv4","endpoints":[{"addresses":["10.244.0.8"]}]})"));
    EXPECT_EQ(ask("db.default.svc"), "ok 10.244.0.8");
    EXPECT_EQ(answered(zone, "5.0.244.10.in-addr.arpa", Type::PTR), "none soa 244.10.in-addr.arpa");
    zone.put(of<view::EndpointSlice>(
        R"({"metadata":{"name":"db-2","namespace":"default","labels":{"kubernetes.io/service-name":"db"}},"addressType":"IPv4","endpoints":[{"addresses":["10.244.0.4"]}]})"));
    EXPECT_EQ(ask("db.default.svc"), "ok 10.244.0.4 10.244.0.8");
    zone.remove(of<view::EndpointSlice>(
        R"({"metadata":{"name":"db-1","namespace":"default","labels":{"kubernetes.io/service-name":"db"}}})"));
    EXPECT_EQ(ask("db.default.svc"), "ok 10.244.0.4");

    const auto web = of<view::Service>(
        R"({"metadata":{"name":"web","namespace":"default"},"spec":{"type":"ClusterIP","clusterIP":"10.96.0.8"}})");
    zone.put(web);
    EXPECT_EQ(ask("web.default.svc"), "ok 10.96.0.8");
    EXPECT_EQ(answered(zone, "7.0.96.10.in-addr.arpa", Type::PTR), "none soa 96.10.in-addr.arpa");
    zone.remove(web);
    EXPECT_EQ(ask("web.default.svc"), "none soa cluster.local");
    EXPECT_EQ(answered(zone, "8.0.96.10.in-addr.arpa", Type::PTR), "none soa 96.10.in-addr.arpa");

    // Endpoints may be known before their service.
    zone.put(of<view::EndpointSlice>(
        R"({"metadata":{"name":"x-1","namespace":"fresh","labels":{"kubernetes.io/service-name":"x"}},"addressType":"IPv4","endpoints":[{"addresses":["10.244.0.3"]}]})"));
    EXPECT_EQ(ask("x.fresh.svc"), "none soa cluster.local");
    const auto fresh = of<view::Service>(
        R"({"metadata":{"name":"x","namespace":"fresh"},"spec":{"clusterIP":"None"}})");
    zone.put(fresh);
    EXPECT_EQ(ask("x.fresh.svc"), "ok 10.244.0.3");
    zone.remove(fresh);
    EXPECT_EQ(ask("fresh.svc"), "none soa cluster.local");
}

}   // namespace
}   // namespace skiff::dns
