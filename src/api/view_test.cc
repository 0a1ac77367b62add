#include <gtest/gtest.h>

#include "api/view_test.h"

#include <thread>

#include "api/selectors.h"

namespace skiff::api {
namespace {

constexpr std::string_view pod_text = R"({
  "apiVersion": "v1", "kind": "Pod",
  "metadata": {
    "name": "web-1", "namespace": "shop", "uid": "u-1", "resourceVersion": "42",
    "managedFields": [{"manager": "x", "fieldsV1": {"f:a\"]": {}}}],
    "labels": {"tier": "back\n\u00e9\ud83d\ude00", "app": "web"},
    "annotations": {"note": "a \"quoted\" one"},
    "ownerReferences": [{"kind": "ReplicaSet", "uid": "r-1", "controller": true}]
  },
  "spec": {
    "nodeName": "n1", "priority": 0, "unknownThing": [{"a": "}]"}],
    "containers": [
      {"name": "c", "image": "i", "resources": {"requests": {"cpu": "250m", "memory": "1Gi"}},
       "ports": [{"containerPort": 80, "protocol": "TCP"}]},
      {"name": "d", "command": ["x", null]}
    ],
    "initContainers": [{"name": "i", "restartPolicy": "Always"}],
    "affinity": {"podAffinity": {}, "nodeAffinity": {
       "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
         {"matchExpressions": [{"key": "k", "operator": "In", "values": ["v"]}]}]}}},
    "tolerations": [{"key": "k", "tolerationSeconds": 300}],
    "volumes": null
  },
  "status": {"phase": "Running", "startTime": "2026-01-02T03:04:05Z",
             "conditions": [{"type": "Ready", "status": "True"}]}
})";

void check_pod(const view::Pod& pod) {
    EXPECT_EQ(pod.metadata.name, "web-1");
    EXPECT_EQ(pod.metadata.namespace_, "shop");
    EXPECT_EQ(pod.metadata.labels.get("tier"), "back\n\u00e9\U0001F600");
    EXPECT_EQ(pod.metadata.labels.begin()->first, "app");
    EXPECT_EQ(*pod.metadata.annotations.find("note"), "a \"quoted\" one");
    EXPECT_FALSE(pod.metadata.deletionTimestamp);
    ASSERT_EQ(pod.metadata.ownerReferences.size(), 1u);
    EXPECT_EQ(pod.metadata.ownerReferences[0].controller, true);
    EXPECT_EQ(pod.spec.priority, 0);
    ASSERT_EQ(pod.spec.containers.size(), 2u);
    EXPECT_EQ(pod.spec.containers[0].resources.requests.get("cpu").milli_value(), 250);
    EXPECT_EQ(pod.spec.containers[0].ports[0].containerPort, 80);
    EXPECT_EQ(pod.spec.initContainers[0].restartPolicy, "Always");
    ASSERT_TRUE(pod.spec.affinity);
    EXPECT_EQ(pod.spec.affinity->nodeAffinity->requiredDuringSchedulingIgnoredDuringExecution
                  ->nodeSelectorTerms[0]
                  .matchExpressions[0]
                  .operator_,
              "In");
    EXPECT_EQ(pod.spec.tolerations[0].tolerationSeconds, 300);
    ASSERT_TRUE(pod.status.startTime);
    EXPECT_EQ(rfc3339(*pod.status.startTime), "2026-01-02T03:04:05Z");
    EXPECT_EQ(pod.status.conditions[0].type, "Ready");
}

TEST(View, bytes_and_trees_give_the_same) {
    const auto pod = decode<view::Pod>(pod_text);
    ASSERT_TRUE(pod) << pod.error().message;
    check_pod(*pod);
    const auto document = codec::parse_json(pod_text);
    ASSERT_TRUE(document);
    const auto same = decode<view::Pod>(document->root);
    ASSERT_TRUE(same) << same.error().message;
    EXPECT_TRUE(*pod == *same);
    view::Pod other = *same;
    other.spec.affinity->nodeAffinity.reset();
    EXPECT_FALSE(*pod == other);
}

TEST(View, what_is_encoded_decodes_to_the_same) {
    const auto pod = decode<view::Pod>(pod_text);
    ASSERT_TRUE(pod);
    codec::Arena arena;
    const auto tree = encode(*pod, arena);
    EXPECT_EQ(tree.text_at({"apiVersion"}), "v1");
    EXPECT_EQ(tree.text_at({"kind"}), "Pod");
    EXPECT_NE(tree.at_path({"spec", "priority"}), nullptr) << "an optional zero is said";
    EXPECT_EQ(tree.at_path({"spec", "overhead"}), nullptr);
    const auto again = decode<view::Pod>(codec::to_json(tree));
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_TRUE(*pod == *again);
}

TEST(View, other_leaves) {
    const auto service = decode<view::Service>(std::string_view{
        R"({"spec":{"ports":[{"port":80,"targetPort":"http"},{"port":81,"targetPort":8081}]}})"});
    ASSERT_TRUE(service);
    EXPECT_EQ(service->spec.ports[0].targetPort, IntOrString{"http"});
    EXPECT_EQ(service->spec.ports[1].targetPort, IntOrString{8081});
    const auto secret =
        decode<view::Secret>(std::string_view{R"({"data":{"a":"AAE="},"immutable":false})"});
    ASSERT_TRUE(secret);
    EXPECT_EQ(*secret->data.find("a"), (std::string{"\0\1", 2}));
    EXPECT_EQ(secret->immutable, false);
    codec::Arena arena;
    EXPECT_EQ(codec::to_json(encode(*secret, arena)),
              R"({"apiVersion":"v1","kind":"Secret","data":{"a":"AAE="},"immutable":false})");
    static_assert(view::Event::group == "events.k8s.io" && view::Event::resource == "events");
}

TEST(View, bad_text_is_an_error_that_says_where) {
    const std::pair<std::string_view, std::string_view> rows[] = {
        {R"({"spec":{"nodeName":7}})", "spec: nodeName: cannot be the number 7"},
        {R"({"spec":{"priority":"x"}})", "spec: priority: cannot be the string 'x'"},
        {R"({"spec":{"priority":3000000000}})", "spec: priority: cannot be the number 3000000000"},
        {R"({"spec":{"containers":{}}})", "spec: containers: expected a list at byte 22"},
        {R"({"spec":{"containers":["x"]}})", "spec: containers: expected an object at byte 23"},
        {R"({"spec":)", "spec: expected an object at byte 8"},
        {R"({"other":[{"a":1})", "an object or list does not end at byte 17"},
        {R"({"metadata":{"name":"a)", "metadata: name: a string does not end at byte 21"},
        {R"({"metadata":{"name":"\)", "metadata: name: a string does not end at byte 21"},
        {R"({} x)", "something follows the object at byte 3"},
        {"", "expected an object at byte 0"},
    };
    for (const auto& [text, wanted] : rows) {
        const auto pod = decode<view::Pod>(text);
        ASSERT_FALSE(pod) << text;
        EXPECT_EQ(pod.error().message, wanted) << text;
    }
}

TEST(View, lists_and_watch_events_are_split_without_reading_the_objects) {
    const std::string text =
        R"({"kind":"PodList","metadata":{"resourceVersion":"7","continue":"c\u0041",)"
        R"("remainingItemCount":3},"items":[{"metadata":{"name":"a"}},{}]})";
    const auto list = decode_list<view::Pod>(text);
    ASSERT_TRUE(list) << list.error().message;
    EXPECT_EQ(list->resourceVersion, "7");
    EXPECT_EQ(list->continue_, "cA");
    EXPECT_EQ(list->remainingItemCount, 3);
    ASSERT_EQ(list->items.size(), 2u);
    EXPECT_EQ(list->items[0].metadata.name, "a");
    const auto event = split_watch_event(R"({"type":"ADDED","object":{"a":[1,"]"]}})");
    ASSERT_TRUE(event);
    EXPECT_EQ(event->type, "ADDED");
    EXPECT_EQ(event->object, R"({"a":[1,"]"]})");
    EXPECT_FALSE(split_watch_event(R"({"type":"ADDED"})"));
}

TEST(View, labels_of_a_view_meet_selectors) {
    const auto pod =
        decode<view::Pod>(std::string_view{R"({"metadata":{"labels":{"app":"web","tier":""}}})"});
    ASSERT_TRUE(pod);
    const std::pair<std::string_view, bool> rows[] = {
        {"app=web", true},        {"app!=web", false}, {"tier=", true}, {"!zone", true},
        {"app in (a,web)", true}, {"zone", false},     {"", true},      {"app=web,zone=a", false}};
    for (const auto& [text, wanted] : rows) {
        const auto selector = LabelSelector::parse(text);
        ASSERT_TRUE(selector) << text;
        EXPECT_EQ(selector->matches(pod->metadata.labels), wanted) << text;
    }
}

TEST(View, interned_strings_are_shared_and_given_back) {
    const size_t before = interned_count();
    {
        const Interned one{"a-name-for-this-test"};
        const Interned two{std::string{"a-name-for-this-test"}};
        EXPECT_EQ(one, two);
        EXPECT_EQ(one.view().data(), two.view().data());
        EXPECT_LT(Interned{"a"}, one.view().substr(0, 3));
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([] {
                for (int round = 0; round < 2000; ++round) {
                    const Interned mine{"another-name-for-this-test"};
                    const Interned copy = mine;
                    ASSERT_EQ(copy, mine);
                }
            });
        }
        for (auto& thread : threads) thread.join();
        EXPECT_EQ(interned_count(), before + 1);
    }
    EXPECT_EQ(interned_count(), before);
}

}   // namespace
}   // namespace skiff::api
