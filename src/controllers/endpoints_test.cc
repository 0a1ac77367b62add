// What is published of a service's pods, by tables.
#include <gtest/gtest.h>

#include "api/view_testing.h"
#include "base/text.h"
#include "controllers/cluster_services_controller.h"
#include "controllers/endpoints_plan.h"
#include "controllers/endpointslice_plan.h"
#include "controllers/load_balancer_controller.h"

namespace skiff::controllers {
namespace {

using api::of;

using client::Plan;
using Verb = client::Write::Verb;

template <class V>
std::shared_ptr<const V> shared(std::string_view json) {
    return std::make_shared<const V>(of<V>(json));
}

// A pod "NAME" with label app=a, one container port http=8080, an address, ready unless told.
std::shared_ptr<const view::Pod> pod(std::string_view name, std::string_view ip,
                                     std::string_view ready = "True",
                                     std::string_view metadata = "", std::string_view spec = "",
                                     std::string_view phase = "Running", int http = 8080) {
    return shared<view::Pod>(concat(
        R"({"metadata":{"name":")", name, R"(","namespace":"default","uid":"uid-)", name,
        R"(","labels":{"app":"a"})", metadata,
        R"(},"spec":{"nodeName":"n1","containers":[{"name":"c","ports":[{"name":"http","containerPort":)",
        http, R"(,"protocol":"TCP"}]}])", spec, R"(},"status":{"phase":")", phase, R"(","podIP":")",
        ip, R"(","podIPs":[{"ip":")", ip, R"("}],"conditions":[{"type":"Ready","status":")", ready,
        R"(","lastTransitionTime":"2024-01-01T00:00:01Z"}]}})"));
}

view::Service service(std::string_view spec, std::string_view labels = R"({"x":"y"})") {
    return of<view::Service>(concat(
        R"({"metadata":{"name":"web","namespace":"default","uid":"s1","creationTimestamp":"2024-01-01T00:00:00Z","labels":)",
        labels, R"(},"spec":)", spec, "}"));
}

const std::string_view plain =
    R"({"type":"ClusterIP","clusterIP":"10.96.0.7","selector":{"app":"a"},"ports":[{"name":"http","protocol":"TCP","port":80,"targetPort":"http"}]})";

const std::string_view terminating = R"(,"deletionTimestamp":"2024-01-01T00:00:00Z")";

// "ready|not ready" of each subset with its ports: "10.0.0.1,10.0.0.2|10.0.0.3:http/8080".
std::string subsets_text(const Plan& plan) {
    if (plan.writes.size() != 1) return concat(plan.writes.size(), " writes");
    const auto endpoints = of<view::Endpoints>(plan.writes[0].body);
    std::string text;
    for (const auto& subset : endpoints.subsets) {
        if (!text.empty()) text += ' ';
        for (size_t i = 0; i < subset.addresses.size(); ++i)
            append(text, i ? "," : "", subset.addresses[i].ip);
        text += '|';
        for (size_t i = 0; i < subset.notReadyAddresses.size(); ++i)
            append(text, i ? "," : "", subset.notReadyAddresses[i].ip);
        for (const auto& port : subset.ports) append(text, ":", port.name, "/", port.port);
    }
    return text;
}

// The endpoints of all slices that are written, "10.0.0.1 rst" (ready, serving, terminating).
std::string slices_text(const Plan& plan) {
    std::string text;
    for (const auto& write : plan.writes) {
        if (!text.empty()) text += "; ";
        if (write.verb == Verb::Delete) {
            append(text, "remove ", write.key.name);
            continue;
        }
        text += write.verb == Verb::Create ? "create" : "update " + write.key.name;
        const auto slice = of<view::EndpointSlice>(write.body);
        for (const auto& port : slice.ports)
            append(text, " ", port.name.value_or("-"), "/", port.port.value_or(0));
        for (const auto& endpoint : slice.endpoints) {
            append(text, " ", endpoint.addresses.front(), " ");
            const auto& conditions = endpoint.conditions;
            if (conditions.ready.value_or(false)) text += 'r';
            if (conditions.serving.value_or(false)) text += 's';
            if (conditions.terminating.value_or(false)) text += 't';
        }
    }
    return text;
}

struct Row {
    const char* name;
    std::string service;
    PodList pods;
    const char* endpoints;
    const char* slices;
};

TEST(Endpoints, what_is_published_of_pods) {
    const Row rows[] = {
        {"nobody", std::string{plain}, {}, "", "create"},
        {"ready and not",
         std::string{plain},
         {pod("a", "10.0.0.1"), pod("b", "10.0.0.2", "False")},
         "10.0.0.1|10.0.0.2:http/8080",
         "create http/8080 10.0.0.1 rs 10.0.0.2 "},
        {"one that ends is ready no more, and still serves",
         std::string{plain},
         {pod("a", "10.0.0.1"), pod("b", "10.0.0.2", "True", terminating)},
         "10.0.0.1|:http/8080",
         "create http/8080 10.0.0.1 rs 10.0.0.2 st"},
        {"what has ended or has no address is none of it",
         std::string{plain},
         {pod("a", ""), pod("b", "10.0.0.2", "True", "", "", "Failed"),
          pod("c", "10.0.0.3", "True", "", "", "Succeeded")},
         "",
         "create"},
        {"not ready ones when asked for",
         R"({"clusterIP":"None","selector":{"app":"a"},"publishNotReadyAddresses":true,"ports":[{"port":80,"protocol":"TCP","targetPort":8080}]})",
         {pod("a", "10.0.0.1", "False"), pod("b", "10.0.0.2", "True", terminating)},
         "10.0.0.1,10.0.0.2|:/8080",
         "create /8080 10.0.0.1 r 10.0.0.2 rst"},
        {"named ports differ from pod to pod",
         std::string{plain},
         {pod("a", "10.0.0.1"), pod("b", "10.0.0.2", "True", "", "", "Running", 9090)},
         "10.0.0.1|:http/8080 10.0.0.2|:http/9090",
         "create http/8080 10.0.0.1 rs; create http/9090 10.0.0.2 rs"},
        {"ports with the same addresses stand together",
         R"({"clusterIP":"10.96.0.7","selector":{"app":"a"},"ports":[{"name":"b","protocol":"TCP","port":81,"targetPort":81},{"name":"a","protocol":"TCP","port":80,"targetPort":"http"}]})",
         {pod("a", "10.0.0.1")},
         "10.0.0.1|:a/8080:b/81",
         "create b/81 a/8080 10.0.0.1 rs"},
        {"a port that the pod does not have",
         R"({"clusterIP":"10.96.0.7","selector":{"app":"a"},"ports":[{"protocol":"TCP","port":80,"targetPort":"none"}]})",
         {pod("a", "10.0.0.1")},
         "",
         "create 10.0.0.1 rs"},
        {"no ports at all, headless",
         R"({"clusterIP":"None","selector":{"app":"a"}})",
         {pod("a", "10.0.0.1")},
         "10.0.0.1|",
         "create 10.0.0.1 rs"},
        {"another selector",
         R"({"clusterIP":"10.96.0.7","selector":{"app":"a","tier":"x"},"ports":[{"port":80}]})",
         {pod("a", "10.0.0.1")},
         "",
         "create"},
    };
    for (const auto& row : rows) {
        const auto web = service(row.service);
        EXPECT_EQ(subsets_text(plan_endpoints(&web, row.pods, nullptr)), row.endpoints) << row.name;
        EXPECT_EQ(slices_text(plan_slices(&web, row.pods, {})), row.slices) << row.name;
    }
}

TEST(Endpoints, a_service_without_selector_is_left_to_its_owner) {
    for (const std::string_view spec :
         {R"({"clusterIP":"10.96.0.7","ports":[{"port":80}]})",
          R"({"type":"ExternalName","externalName":"a.b","selector":{"app":"a"}})"}) {
        const auto web = service(spec);
        EXPECT_TRUE(plan_endpoints(&web, {pod("a", "10.0.0.1")}, nullptr).empty());
        EXPECT_TRUE(plan_slices(&web, {pod("a", "10.0.0.1")}, {}).empty());
    }
}

TEST(Endpoints, they_carry_what_upstreams_carry) {
    const auto web = service(
        R"({"clusterIP":"None","selector":{"app":"a"},"ports":[{"name":"http","protocol":"TCP","port":80,"targetPort":8080,"appProtocol":"h2c"}]})");
    const PodList pods{
        pod("a", "10.0.0.1", "True", "", R"(,"hostname":"a-0","subdomain":"web")"),
        pod("b", "10.0.0.2", "True", "", R"(,"hostname":"b-0","subdomain":"other")")};
    const auto endpoints = plan_endpoints(&web, pods, nullptr);
    EXPECT_EQ(endpoints.writes[0].key, (client::ObjectKey{"default", "web"}));
    EXPECT_EQ(
        endpoints.writes[0].body,
        R"({"apiVersion":"v1","kind":"Endpoints","metadata":{"name":"web","namespace":"default","labels":{"endpoints.kubernetes.io/managed-by":"endpoint-controller","service.kubernetes.io/headless":"","x":"y"},"annotations":{"endpoints.kubernetes.io/last-change-trigger-time":"2024-01-01T00:00:01Z"}},"subsets":[{"addresses":[{"ip":"10.0.0.1","targetRef":{"kind":"Pod","namespace":"default","name":"a","uid":"uid-a"},"hostname":"a-0","nodeName":"n1"},{"ip":"10.0.0.2","targetRef":{"kind":"Pod","namespace":"default","name":"b","uid":"uid-b"},"nodeName":"n1"}],"ports":[{"name":"http","port":8080,"protocol":"TCP","appProtocol":"h2c"}]}]})");
    const auto slices = plan_slices(&web, pods, {});
    ASSERT_EQ(slices.writes.size(), 1u);
    const auto slice = of<view::EndpointSlice>(slices.writes[0].body);
    EXPECT_EQ(slice.metadata.generateName, "web-");
    EXPECT_EQ(
        slice.metadata.labels,
        (api::Labels{{"endpointslice.kubernetes.io/managed-by", "endpointslice-controller.k8s.io"},
                     {"kubernetes.io/service-name", "web"},
                     {"service.kubernetes.io/headless", ""},
                     {"x", "y"}}));
    ASSERT_EQ(slice.metadata.ownerReferences.size(), 1u);
    EXPECT_EQ(slice.metadata.ownerReferences[0].uid, "s1");
    EXPECT_EQ(slice.metadata.ownerReferences[0].controller, true);
    EXPECT_EQ(slice.addressType, "IPv4");
    EXPECT_EQ(slice.endpoints[0].hostname, "a-0");
    EXPECT_FALSE(slice.endpoints[1].hostname);
    EXPECT_EQ(slice.endpoints[0].nodeName, "n1");
    EXPECT_EQ(slice.ports[0].appProtocol, "h2c");
}

TEST(Endpoints, nothing_is_written_that_is_so_already) {
    const auto web = service(plain);
    const PodList pods{pod("a", "10.0.0.1"), pod("b", "10.0.0.2", "False")};
    const auto endpoints = of<view::Endpoints>(plan_endpoints(&web, pods, nullptr).writes[0].body);
    EXPECT_TRUE(plan_endpoints(&web, pods, &endpoints).empty());
    const auto slice = shared<view::EndpointSlice>(plan_slices(&web, pods, {}).writes[0].body);
    EXPECT_TRUE(plan_slices(&web, pods, {slice}).empty());
    // A change of the service's labels is one of theirs.
    const auto other = service(plain, R"({"z":"y"})");
    EXPECT_EQ(plan_endpoints(&other, pods, &endpoints).writes.size(), 1u);
    EXPECT_EQ(plan_slices(&other, pods, {slice}).writes.size(), 1u);
}

TEST(Endpoints, more_than_a_thousand_are_cut_and_it_says_so) {
    const auto web = service(plain);
    PodList pods;
    for (int i = 0; i < 1001; ++i)
        pods.push_back(
            pod(concat("p", i), concat("10.0.", i / 256, ".", i % 256), i < 10 ? "False" : "True"));
    const auto plan = plan_endpoints(&web, pods, nullptr);
    const auto endpoints = of<view::Endpoints>(plan.writes[0].body);
    EXPECT_EQ(endpoints.subsets[0].addresses.size(), 991u);
    EXPECT_EQ(endpoints.subsets[0].notReadyAddresses.size(), 9u);
    EXPECT_EQ(endpoints.metadata.annotations.get("endpoints.kubernetes.io/over-capacity"),
              "truncated");
    pods.resize(20);
    const auto again = plan_endpoints(&web, pods, &endpoints);
    EXPECT_FALSE(of<view::Endpoints>(again.writes[0].body)
                     .metadata.annotations.contains("endpoints.kubernetes.io/over-capacity"));
}

TEST(Endpoints, they_go_with_their_service) {
    const auto endpoints =
        of<view::Endpoints>(R"({"metadata":{"name":"web","namespace":"default","uid":"e1"}})");
    const auto plan = plan_endpoints(nullptr, {}, &endpoints);
    ASSERT_EQ(plan.writes.size(), 1u);
    EXPECT_EQ(plan.writes[0].verb, Verb::Delete);
    EXPECT_EQ(plan.writes[0].uid, "e1");
    EXPECT_TRUE(plan_endpoints(nullptr, {}, nullptr).empty());
}

// Slices as the server would have stored them, by name.
SliceList stored(const Plan& plan, int& next) {
    SliceList list;
    for (const auto& write : plan.writes) {
        auto slice = of<view::EndpointSlice>(write.body);
        slice.metadata.name = concat("web-", next++);
        list.push_back(std::make_shared<const view::EndpointSlice>(slice));
    }
    return list;
}

TEST(EndpointSlices, few_objects_change_when_few_endpoints_do) {
    const auto web = service(plain);
    PodList pods;
    for (int i = 0; i < 250; ++i) pods.push_back(pod(concat("p", 100 + i), concat("10.0.1.", i)));
    int next = 0;
    const auto first = plan_slices(&web, pods, {});
    EXPECT_EQ(first.writes.size(), 3u);
    const auto slices = stored(first, next);
    for (const auto& slice : slices) EXPECT_LE(slice->endpoints.size(), slice_endpoints_max);

    auto changed = pods;
    changed[7] = pod("p107", "10.0.1.7", "False");
    EXPECT_EQ(plan_slices(&web, changed, slices).writes.size(), 1u);   // in its place

    auto fewer = pods;
    fewer.erase(fewer.begin() + 7);
    EXPECT_EQ(plan_slices(&web, fewer, slices).writes.size(), 1u);

    auto more = pods;
    more.push_back(pod("new", "10.0.2.1"));
    const auto grown = plan_slices(&web, more, slices);
    ASSERT_EQ(grown.writes.size(), 1u);   // into the one with room
    EXPECT_EQ(of<view::EndpointSlice>(grown.writes[0].body).endpoints.size(), 51u);

    // What is replaced goes where something left.
    auto replaced = pods;
    replaced[7] = pod("new", "10.0.2.1");
    EXPECT_EQ(plan_slices(&web, replaced, slices).writes.size(), 1u);

    // All gone: one empty slice stays.
    const auto gone = plan_slices(&web, {}, slices);
    size_t removed = 0;
    for (const auto& write : gone.writes) removed += write.verb == Verb::Delete;
    EXPECT_EQ(removed + 1, gone.writes.size());
    EXPECT_EQ(plan_slices(nullptr, {}, slices).writes.size(), 3u);
}

TEST(EndpointSlices, endpoints_of_ones_own_making_are_mirrored) {
    const auto web = service(R"({"clusterIP":"10.96.0.7","ports":[{"port":80}]})");
    const auto endpoints = of<view::Endpoints>(
        R"({"metadata":{"name":"web","namespace":"default","uid":"e1","labels":{"a":"b"},"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"x","note":"y"}},"subsets":[{"addresses":[{"ip":"192.0.2.1"},{"ip":"2001:db8::1"}],"notReadyAddresses":[{"ip":"192.0.2.2"}],"ports":[{"port":8080,"protocol":"TCP"}]}]})");
    const auto plan = plan_mirror(&web, &endpoints, {});
    EXPECT_EQ(slices_text(plan), "create /8080 192.0.2.1 r 192.0.2.2 ; create /8080 2001:db8::1 r");
    const auto slice = of<view::EndpointSlice>(plan.writes[0].body);
    EXPECT_EQ(slice.metadata.labels.get("kubernetes.io/service-name"), "web");
    EXPECT_EQ(slice.metadata.labels.get("a"), "b");
    EXPECT_EQ(slice.metadata.annotations.get("note"), "y");
    EXPECT_EQ(slice.metadata.annotations.size(), 1u);
    EXPECT_EQ(slice.metadata.ownerReferences[0].kind, "Endpoints");
    int next = 0;
    const auto slices = stored(plan, next);
    EXPECT_TRUE(plan_mirror(&web, &endpoints, slices).empty());

    const auto selecting = service(plain);
    EXPECT_EQ(plan_mirror(&selecting, &endpoints, slices).writes.size(), 2u);   // both go
    EXPECT_EQ(plan_mirror(nullptr, &endpoints, slices).writes.size(), 2u);
    auto skipped = endpoints;
    skipped.metadata.labels["endpointslice.kubernetes.io/skip-mirror"] = "true";
    EXPECT_TRUE(plan_mirror(&web, &skipped, {}).empty());
}

TEST(EndpointSlices, endpoints_tell_their_zone_and_are_hinted_on_demand) {
    const PodList pods{pod("a", "10.0.0.1"), pod("b", "10.0.0.2", "False")};
    const auto zone = [](const std::string& node) { return node == "n1" ? "z" : ""; };
    const auto slice_of = [&](const view::Service& web, const ZoneOfNode& zones) {
        return of<view::EndpointSlice>(plan_slices(&web, pods, {}, zones).writes.at(0).body);
    };
    const auto told = slice_of(service(plain), zone);
    EXPECT_EQ(told.endpoints[0].zone, "z");
    EXPECT_FALSE(told.endpoints[0].hints);
    auto close = service(plain);
    close.spec.trafficDistribution = "PreferClose";
    const auto hinted = slice_of(close, zone);
    ASSERT_TRUE(hinted.endpoints[0].hints);
    EXPECT_EQ(hinted.endpoints[0].hints->forZones.at(0).name, "z");
    EXPECT_FALSE(hinted.endpoints[1].hints) << "it is not ready";
    EXPECT_FALSE(slice_of(close, {}).endpoints[0].hints) << "its node is in no zone";
    // What was hinted is no longer when the service does not ask for it.
    const SliceList stored{std::make_shared<view::EndpointSlice>(hinted)};
    const auto web = service(plain);
    EXPECT_EQ(plan_slices(&close, pods, stored, zone).writes.size(), 0u);
    EXPECT_EQ(plan_slices(&web, pods, stored, zone).writes.size(), 1u);
}

TEST(LoadBalancers, a_balanced_service_is_at_the_nodes_addresses) {
    const std::vector<client::Shared<view::Node>> nodes{
        shared<view::Node>(
            R"({"metadata":{"name":"b"},"status":{"addresses":[{"type":"InternalIP","address":"192.0.2.2"},{"type":"Hostname","address":"b"}]}})"),
        shared<view::Node>(
            R"({"metadata":{"name":"a"},"status":{"addresses":[{"type":"InternalIP","address":"192.0.2.1"},{"type":"ExternalIP","address":"198.51.100.1"}]}})")};
    auto web = service(R"({"type":"LoadBalancer","clusterIP":"10.96.0.7"})");
    const auto plan = plan_load_balancer(web, nodes);
    ASSERT_EQ(plan.writes.size(), 1u);
    EXPECT_EQ(plan.writes[0].subresource, "status");
    EXPECT_EQ(
        plan.writes[0].body,
        R"({"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.2","ipMode":"VIP"},{"ip":"198.51.100.1","ipMode":"VIP"}]}}})");
    web.status = of<view::Service>(plan.writes[0].body).status;
    EXPECT_TRUE(plan_load_balancer(web, nodes).empty());
    EXPECT_EQ(plan_load_balancer(web, {nodes[0]}).writes.size(), 1u);
    EXPECT_TRUE(plan_load_balancer(service(plain), nodes).empty());
    auto was = service(plain);
    was.status = web.status;
    EXPECT_EQ(plan_load_balancer(was, nodes).writes.at(0).body,
              R"({"status":{"loadBalancer":{"ingress":[]}}})");
    EXPECT_TRUE(
        plan_load_balancer(
            service(R"({"type":"LoadBalancer","loadBalancerClass":"example.com/x"})"), nodes)
            .empty());
}

TEST(ClusterServices, what_a_cluster_has_by_itself_is_made_and_repaired) {
    const ClusterServices cluster{.api_address = "192.0.2.1",
                                  .api_port = 6443,
                                  .api_service_address = "10.96.0.1",
                                  .dns_address = "10.96.0.10"};
    const auto made = plan_kubernetes_service(cluster, nullptr);
    ASSERT_EQ(made.writes.size(), 1u);
    auto api = of<view::Service>(made.writes[0].body);
    EXPECT_EQ(api.spec.clusterIP, "10.96.0.1");
    EXPECT_EQ(api.metadata.labels.get("component"), "apiserver");
    EXPECT_TRUE(plan_kubernetes_service(cluster, &api).empty());
    api.spec.ports[0].targetPort = 1;
    EXPECT_EQ(plan_kubernetes_service(cluster, &api).writes.size(), 1u);

    auto endpoints =
        of<view::Endpoints>(plan_kubernetes_endpoints(cluster, nullptr).writes[0].body);
    EXPECT_EQ(endpoints.subsets[0].addresses[0].ip, "192.0.2.1");
    EXPECT_TRUE(plan_kubernetes_endpoints(cluster, &endpoints).empty());
    endpoints.subsets.clear();
    EXPECT_EQ(plan_kubernetes_endpoints(cluster, &endpoints).writes[0].verb, Verb::Update);

    auto slice = of<view::EndpointSlice>(plan_kubernetes_slice(cluster, nullptr).writes[0].body);
    EXPECT_EQ(slice.metadata.labels.get("kubernetes.io/service-name"), "kubernetes");
    EXPECT_TRUE(plan_kubernetes_slice(cluster, &slice).empty());
    slice.ports[0].port = 1;
    EXPECT_EQ(plan_kubernetes_slice(cluster, &slice).writes[0].verb, Verb::Update);
    slice.addressType = "IPv6";
    EXPECT_EQ(plan_kubernetes_slice(cluster, &slice).writes[0].verb, Verb::Delete);

    const auto dns = plan_dns_service(cluster, nullptr);
    const auto kube_dns = of<view::Service>(dns.writes[0].body);
    EXPECT_EQ(kube_dns.spec.clusterIP, "10.96.0.10");
    EXPECT_EQ(kube_dns.spec.ports.size(), 2u);
    EXPECT_TRUE(plan_dns_service(cluster, &kube_dns).empty());
}

}   // namespace
}   // namespace skiff::controllers
