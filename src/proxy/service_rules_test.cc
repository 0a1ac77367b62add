// What a change of one service changes in the table.
#include "proxy/service_rules.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace skiff::proxy {
namespace {

class Rules : public ::testing::Test {
  protected:
    ServiceRules rules{{.cluster_id = "test01",
                        .node = {.name = "here"},
                        .pod_range = *parse_cidr("10.1.0.0/16"),
                        .service_range = *parse_cidr("10.96.0.0/12")}};

    void put(const std::string& name, const std::string& address, unsigned port = 80,
             std::vector<std::string> external = {}) {
        auto service = std::make_shared<view::Service>();
        service->spec.type = "ClusterIP";
        service->spec.clusterIP = address;
        service->spec.externalIPs = std::move(external);
        service->spec.ports = {{.name = "", .protocol = "TCP", .port = static_cast<int32_t>(port)}};
        rules.set_service({"default", name}, service);
    }
    void endpoints(const std::string& name, const std::vector<unsigned>& numbers) {
        auto slice = std::make_shared<view::EndpointSlice>();
        slice->metadata.labels["kubernetes.io/service-name"] = name;
        slice->addressType = "IPv4";
        slice->ports = {{.name = "", .protocol = "TCP", .port = 8080}};
        for (const auto number : numbers) {
            view::EndpointSlice::Endpoint one;
            one.addresses = {concat("10.1.", number / 256, ".", number % 256)};
            slice->endpoints.push_back(one);
        }
        rules.set_slice({"default", name + "-1"}, slice);
    }
    size_t cost() {   // in bytes of messages
        const auto batch = rules.rules().changes();
        rules.rules().committed();
        return batch.size();
    }
    // "10.96.0.7:80#0>10.1.0.1:8080 …"
    std::string shown(const std::string& map) {
        std::string out;
        for (const auto& [key, value] : rules.rules().elements(map)) {
            const std::string_view rest{key};
            append(out, out.empty() ? "" : " ", address_text(address_of_part(rest)), ":",
                   port_of_part(rest.substr(8)));
            if (rest.size() > 12) append(out, "#", number_of_part(rest.substr(12)));
            if (!value.empty()) append(out, ">", address_text(address_of_part(value)));
        }
        return out;
    }
};

TEST_F(Rules, endpoints_are_numbered_in_the_map_of_their_count) {
    put("web", "10.96.0.7");
    EXPECT_EQ(shown("refused"), "10.96.0.7:80");
    endpoints("web", {1, 2});
    EXPECT_EQ(shown("refused"), "");
    EXPECT_EQ(shown("addresses-2"), "10.96.0.7:80#0>10.1.0.1 10.96.0.7:80#1>10.1.0.2");
    endpoints("web", {2});
    EXPECT_EQ(shown("addresses-2"), "");
    EXPECT_EQ(shown("addresses-1"), "10.96.0.7:80#0>10.1.0.2");
    rules.set_service({"default", "web"}, nullptr);
    EXPECT_EQ(shown("addresses-1"), "");
    EXPECT_TRUE(rules.rules().elements("targets").empty());
}

TEST_F(Rules, of_two_services_with_one_address_the_first_by_name_has_it) {
    put("b", "10.96.0.8", 80, {"203.0.113.1"});
    endpoints("b", {2});
    put("a", "10.96.0.7", 80, {"203.0.113.1"});
    endpoints("a", {1});
    EXPECT_NE(shown("addresses-1").find("203.0.113.1:80#0>10.1.0.1"), std::string::npos);
    rules.set_service({"default", "a"}, nullptr);
    EXPECT_NE(shown("addresses-1").find("203.0.113.1:80#0>10.1.0.2"), std::string::npos);
    rules.set_service({"default", "b"}, nullptr);
    EXPECT_EQ(shown("addresses-1"), "");
}

TEST_F(Rules, a_slice_that_changes_its_service_leaves_the_old_one) {
    put("web", "10.96.0.7");
    put("other", "10.96.0.8");
    endpoints("web", {1});
    auto slice = std::make_shared<view::EndpointSlice>();
    slice->metadata.labels["kubernetes.io/service-name"] = "other";
    slice->addressType = "IPv4";
    slice->ports = {{.name = "", .protocol = "TCP", .port = 8080}};
    slice->endpoints.resize(1);
    slice->endpoints[0].addresses = {"10.1.0.9"};
    rules.set_slice({"default", "web-1"}, slice);
    EXPECT_EQ(shown("refused"), "10.96.0.7:80");
    EXPECT_EQ(shown("addresses-1"), "10.96.0.8:80#0>10.1.0.9");
}

TEST_F(Rules, a_change_costs_the_same_however_many_services_there_are) {
    const auto fill = [&](unsigned from, unsigned to) {
        for (unsigned i = from; i < to; ++i) {
            put(concat("s", i), concat("10.", 97 + i / 65536, ".", i / 256 % 256, ".", i % 256));
            endpoints(concat("s", i), {i, i + 1, i + 2});
        }
        cost();
    };
    const auto change = [&] {
        endpoints("s7", {7, 8});
        const auto shrunk = cost();
        endpoints("s7", {7, 8, 9});
        return std::pair{shrunk, cost()};
    };
    fill(0, 100);
    endpoints("s7", {7, 8});   // the map for two endpoints is made
    cost();
    endpoints("s7", {7, 8, 9});
    cost();
    const auto few = change();
    fill(100, 1000);
    EXPECT_EQ(change(), few);
    EXPECT_LT(few.first, 700u);
}

TEST_F(Rules, nothing_changed_is_nothing_sent) {
    put("web", "10.96.0.7");
    endpoints("web", {1});
    endpoints("web", {1, 2});
    cost();
    put("web", "10.96.0.7");
    endpoints("web", {1, 2});
    EXPECT_FALSE(rules.rules().changed());
    endpoints("web", {1});
    endpoints("web", {1, 2});   // there and back between two commits
    EXPECT_TRUE(rules.rules().changes().empty());
}

}   // namespace
}   // namespace skiff::proxy
