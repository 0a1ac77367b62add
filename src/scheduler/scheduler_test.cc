// The scheduler's pure parts, by tables.
#include <gtest/gtest.h>

#include "base/text.h"
#include "codec/json.h"
#include "scheduler/decide.h"
#include "scheduler/queue.h"

namespace skiff::scheduler {
namespace {

PodPtr pod(const std::string& spec, const std::string& name = "p") {
    auto view = api::decode<view::Pod>(concat(R"({"metadata":{"name":")", name,
                                              R"(","namespace":"default","uid":"uid-)", name,
                                              R"("},"spec":)", spec, "}"));
    EXPECT_TRUE(view) << spec;
    return std::make_shared<const view::Pod>(view ? *view : view::Pod{});
}

NodeInfo node(
    const std::string& name, const std::string& spec = "{}", const std::string& labels = "{}",
    const std::string& allocatable =
        R"({"cpu":"2","memory":"4Gi","pods":"3","ephemeral-storage":"10Gi","example.com/gpu":"1"})") {
    auto view = api::decode<view::Node>(concat(R"({"metadata":{"name":")", name, R"(","labels":)",
                                               labels, R"(},"spec":)", spec,
                                               R"(,"status":{"allocatable":)", allocatable, "}}"));
    EXPECT_TRUE(view);
    NodeInfo info;
    info.node = std::make_shared<const view::Node>(*view);
    return info;
}

std::string asks(const std::string& requests) {
    return concat(R"({"containers":[{"resources":{"requests":)", requests, "}}]}");
}

// "" when the pod fits on the only node, else the message without its head.
std::string verdict(const view::Pod& what, const NodeInfo& where) {
    const NodeInfo* nodes[] = {&where};
    const auto decision = decide(what, nodes, 0);
    if (!decision.node.empty()) return {};
    const std::string head = "0/1 nodes are available: 1 ";
    const auto message = decision.message(1);
    EXPECT_TRUE(message.starts_with(head)) << message;
    return message.substr(head.size());
}

TEST(SchedulerDecision, a_pod_goes_where_it_fits_and_is_told_why_not) {
    const std::string selector = "node(s) didn't match Pod's node affinity/selector.";
    const std::string ports = "node(s) didn't have free ports for the requested pod ports.";
    auto busy = node("busy");
    busy.add(pod(
        R"({"containers":[{"resources":{"requests":{"cpu":"1500m","memory":"3Gi"}},"ports":[{"hostPort":80,"protocol":"TCP"},
                   {"hostPort":53,"hostIP":"10.0.0.1","protocol":"UDP"}]}]})",
        "held"));
    auto full = node("full");
    for (const auto* name : {"a", "b", "c"}) full.add(pod("{}", name));
    const auto plain = node("plain", "{}", R"({"disk":"ssd","size":"10"})");
    const auto tainted =
        node("tainted", R"({"taints":[{"key":"k","value":"v","effect":"NoSchedule"}]})");
    const auto evicting = node("evicting", R"({"taints":[{"key":"k","effect":"NoExecute"}]})");
    const auto soft = node("soft", R"({"taints":[{"key":"k","effect":"PreferNoSchedule"}]})");
    const auto cordoned = node("cordoned", R"({"unschedulable":true})");
    struct {
        std::string spec;
        const NodeInfo& node;
        std::string why;
    } const table[] = {
        {"{}", plain, ""},
        {"{}", full, "Too many pods."},
        {"{}", cordoned, "node(s) were unschedulable."},
        {R"({"tolerations":[{"key":"node.kubernetes.io/unschedulable","operator":"Exists"}]})",
         cordoned, ""},
        {"{}", tainted, "node(s) had untolerated taint {k: v}."},
        {"{}", evicting, "node(s) had untolerated taint {k: }."},
        {"{}", soft, ""},
        {R"({"tolerations":[{"key":"k","value":"v"}]})", tainted, ""},
        {asks(R"({"cpu":"500m"})"), busy, ""},
        {asks(R"({"cpu":"501m"})"), busy, "Insufficient cpu."},
        {asks(R"({"memory":"1Gi"})"), busy, ""},
        {asks(R"({"memory":"1025Mi"})"), busy, "Insufficient memory."},
        {asks(R"({"ephemeral-storage":"11Gi"})"), busy, "Insufficient ephemeral-storage."},
        {asks(R"({"example.com/gpu":"1"})"), plain, ""},
        {asks(R"({"example.com/gpu":"2"})"), plain, "Insufficient example.com/gpu."},
        {asks(R"({"example.com/none":"1"})"), plain, "Insufficient example.com/none."},
        {asks(R"({"example.com/none":"0"})"), plain, ""},
        {R"({"nodeSelector":{"disk":"ssd"}})", plain, ""},
        {R"({"nodeSelector":{"disk":"hdd"}})", plain, selector},
        {R"({"nodeSelector":{"zone":""}})", plain, selector},
        {R"({"containers":[{"ports":[{"hostPort":80,"protocol":"TCP"}]}]})", busy, ports},
        {R"({"containers":[{"ports":[{"hostPort":80,"protocol":"UDP"}]}]})", busy, ""},
        {R"({"containers":[{"ports":[{"hostPort":80,"hostIP":"10.0.0.2","protocol":"TCP"}]}]})",
         busy, ports},
        {R"({"containers":[{"ports":[{"hostPort":53,"hostIP":"10.0.0.2","protocol":"UDP"}]}]})",
         busy, ""},
        {R"({"containers":[{"ports":[{"hostPort":53,"hostIP":"10.0.0.1","protocol":"UDP"}]}]})",
         busy, ports},
        {R"({"containers":[{"ports":[{"hostPort":53,"hostIP":"0.0.0.0","protocol":"UDP"}]}]})",
         busy, ports},
        {R"({"containers":[{"ports":[{"containerPort":80}]}]})", busy, ""},
        {R"({"initContainers":[{"ports":[{"hostPort":80,"protocol":"TCP"}]}]})", busy, ""},
        {R"({"initContainers":[{"restartPolicy":"Always","ports":[{"hostPort":80,"protocol":"TCP"}]}]})",
         busy, ports},
    };
    for (const auto& row : table) EXPECT_EQ(verdict(*pod(row.spec), row.node), row.why) << row.spec;
}

TEST(SchedulerDecision, affinity_operators) {
    const auto where = node("one", "{}", R"({"disk":"ssd","size":"10","empty":""})");
    struct {
        const char* term;
        bool selected;
    } const table[] = {
        {R"({"matchExpressions":[{"key":"disk","operator":"In","values":["hdd","ssd"]}]})", true},
        {R"({"matchExpressions":[{"key":"disk","operator":"In","values":["hdd"]}]})", false},
        {R"({"matchExpressions":[{"key":"none","operator":"In","values":["hdd"]}]})", false},
        {R"({"matchExpressions":[{"key":"disk","operator":"NotIn","values":["hdd"]}]})", true},
        {R"({"matchExpressions":[{"key":"disk","operator":"NotIn","values":["ssd"]}]})", false},
        {R"({"matchExpressions":[{"key":"none","operator":"NotIn","values":["ssd"]}]})", true},
        {R"({"matchExpressions":[{"key":"empty","operator":"Exists"}]})", true},
        {R"({"matchExpressions":[{"key":"none","operator":"Exists"}]})", false},
        {R"({"matchExpressions":[{"key":"none","operator":"DoesNotExist"}]})", true},
        {R"({"matchExpressions":[{"key":"disk","operator":"DoesNotExist"}]})", false},
        {R"({"matchExpressions":[{"key":"size","operator":"Gt","values":["9"]}]})", true},
        {R"({"matchExpressions":[{"key":"size","operator":"Gt","values":["10"]}]})", false},
        {R"({"matchExpressions":[{"key":"size","operator":"Lt","values":["11"]}]})", true},
        {R"({"matchExpressions":[{"key":"size","operator":"Lt","values":["10"]}]})", false},
        {R"({"matchExpressions":[{"key":"disk","operator":"Gt","values":["1"]}]})", false},
        {R"({"matchExpressions":[{"key":"none","operator":"Lt","values":["1"]}]})", false},
        {R"({"matchExpressions":[{"key":"disk","operator":"Like","values":["ssd"]}]})", false},
        {R"({"matchExpressions":[{"key":"disk","operator":"Exists"},{"key":"none","operator":"Exists"}]})",
         false},
        {R"({"matchFields":[{"key":"metadata.name","operator":"In","values":["one"]}]})", true},
        {R"({"matchFields":[{"key":"metadata.name","operator":"In","values":["two"]}]})", false},
        {R"({"matchFields":[{"key":"metadata.name","operator":"In","values":["one"]}],"matchExpressions":[{"key":"none","operator":"Exists"}]})",
         false},
        {R"({})", false},
    };
    const auto required = [](const std::string& terms) {
        return pod(concat(
            R"({"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[)",
            terms, "]}}}}"));
    };
    for (const auto& row : table)
        EXPECT_EQ(node_selected(*required(row.term), *where.node), row.selected) << row.term;
    EXPECT_TRUE(node_selected(*required(concat(table[1].term, ",", table[0].term)), *where.node))
        << "terms are alternatives";
    EXPECT_FALSE(node_selected(*required(""), *where.node)) << "no term selects nothing";
    EXPECT_TRUE(node_selected(*pod(R"({"affinity":{}})"), *where.node));
}

TEST(SchedulerDecision, tolerations) {
    struct {
        const char* toleration;
        bool tolerated;   // of k=v:NoSchedule
    } const table[] = {
        {R"({"operator":"Exists"})", true},
        {R"({"operator":"Exists","effect":"NoExecute"})", false},
        {R"({"operator":"Exists","effect":"NoSchedule"})", true},
        {R"({"key":"k","operator":"Exists"})", true},
        {R"({"key":"j","operator":"Exists"})", false},
        {R"({"key":"k","operator":"Equal","value":"v"})", true},
        {R"({"key":"k","value":"v","effect":"NoSchedule"})", true},
        {R"({"key":"k","value":"w"})", false},
        {R"({"key":"k"})", false},
        {R"({"value":"v"})", false},
        {R"({})", false},
    };
    for (const auto& row : table)
        EXPECT_EQ(tolerates(*pod(concat(R"({"tolerations":[)", row.toleration, "]}")), "k", "v",
                            "NoSchedule"),
                  row.tolerated)
            << row.toleration;
    EXPECT_TRUE(
        tolerates(*pod(R"({"tolerations":[{"key":"a","value":"b"},{"key":"k","value":"v"}]})"), "k",
                  "v", "NoSchedule"));
}

TEST(SchedulerDecision, what_a_pod_asks_for) {
    const auto cpu = [](const char* amount, const char* more = "") {
        return concat(R"({"resources":{"requests":{"cpu":")", amount, R"("}})", more, "}");
    };
    const char* sidecar = R"(,"restartPolicy":"Always")";
    struct {
        const char* what;
        std::string containers, init, overhead;
        int64_t milli;
    } const table[] = {
        {"nothing", "{}", "", "0", 0},
        {"sum", cpu("100m") + "," + cpu("0.2"), "", "0", 300},
        {"rounded up", cpu("100u"), "", "0", 1},
        {"small init", cpu("500m"), cpu("300m"), "0", 500},
        {"large init", cpu("500m"), cpu("700m") + "," + cpu("600m"), "0", 700},
        {"sidecar beside containers", cpu("500m"), cpu("100m", sidecar), "0", 600},
        {"sidecar beside a later init", cpu("100m"), cpu("100m", sidecar) + "," + cpu("700m"), "0",
         800},
        {"sidecar after an init", cpu("100m"), cpu("700m") + "," + cpu("100m", sidecar), "0", 700},
        {"two sidecars", cpu("100m"), cpu("1", sidecar) + "," + cpu("2", sidecar) + "," + cpu("1"),
         "0", 4000},
        {"overhead", cpu("500m"), cpu("700m"), "50m", 750},
    };
    for (const auto& row : table) {
        const auto asked =
            requests_of(*pod(concat(R"({"containers":[)", row.containers, R"(],"initContainers":[)",
                                    row.init, R"(],"overhead":{"cpu":")", row.overhead, R"("}})")));
        EXPECT_EQ(asked.cpu_milli, row.milli) << row.what;
    }
}

TEST(SchedulerDecision, what_pods_take_is_given_back) {
    auto where = node("one");
    const auto first = pod(
        R"({"containers":[{"resources":{"requests":{"cpu":"1","example.com/gpu":"1"}},"ports":[{"hostPort":80,"protocol":"TCP"}]}]})",
        "first");
    where.add(first);
    where.add(first);   // again: a change of the same pod
    EXPECT_EQ(where.pods(), 1u);
    EXPECT_EQ(where.requested().cpu_milli, 1000);
    EXPECT_FALSE(where.ports_free(host_ports_of(*first)));
    where.remove("uid-first");
    where.remove("uid-first");
    EXPECT_EQ(where.pods(), 0u);
    EXPECT_EQ(where.requested().cpu_milli, 0);
    EXPECT_EQ(where.requested().others.at("example.com/gpu"), 0);
    EXPECT_TRUE(where.ports_free(host_ports_of(*first)));
    EXPECT_FALSE(where.empty());
    where.node = nullptr;
    EXPECT_TRUE(where.empty());
}

TEST(SchedulerDecision, the_emptier_preferred_untainted_node_is_better) {
    auto used = node("used");
    used.add(pod(asks(R"({"cpu":"1","memory":"2Gi"})"), "held"));
    const auto idle = node("idle");
    const auto soft = node("soft", R"({"taints":[{"key":"k","effect":"PreferNoSchedule"}]})");
    const auto liked = node("liked", "{}", R"({"disk":"ssd"})");
    const auto chosen = [](const PodPtr& what, std::initializer_list<const NodeInfo*> nodes,
                           uint64_t tie = 0) {
        const std::vector<const NodeInfo*> all{nodes};
        return decide(*what, all, tie).node;
    };
    EXPECT_EQ(chosen(pod(asks(R"({"cpu":"100m"})")), {&used, &idle}), "idle");
    EXPECT_EQ(chosen(pod(asks(R"({"cpu":"100m"})")), {&soft, &idle}), "idle");
    EXPECT_EQ(chosen(pod(R"({"tolerations":[{"operator":"Exists"}]})"), {&soft, &used}), "soft");
    EXPECT_EQ(
        chosen(
            pod(R"({"affinity":{"nodeAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[
        {"weight":10,"preference":{"matchExpressions":[{"key":"disk","operator":"In","values":["ssd"]}]}}]}}})"),
            {&idle, &liked}),
        "liked");
    // Equals: any number chooses.
    EXPECT_EQ(chosen(pod("{}"), {&idle, &liked}, 0), "idle");
    EXPECT_EQ(chosen(pod("{}"), {&idle, &liked}, 7), "liked");
    EXPECT_EQ(chosen(pod("{}"), {}), "");
}

TEST(SchedulerDecision, scores_are_percentages) {
    auto over = node("over", R"({"taints":[{"key":"k","effect":"PreferNoSchedule"}]})", "{}",
                     R"({"cpu":"1","memory":"1Mi","pods":"1"})");
    over.add(pod(asks(R"({"cpu":"3","memory":"3Gi"})"), "a"));
    over.add(pod("{}", "b"));
    const auto bare = node("bare", "{}", "{}", "{}");
    for (const NodeInfo* where : std::initializer_list<const NodeInfo*>{&over, &bare}) {
        for (const auto& [name, score, weight] : scores()) {
            const auto points = score(*pod(asks(R"({"cpu":"1"})")), *where);
            EXPECT_GE(points, 0) << name;
            EXPECT_LE(points, 100) << name;
            EXPECT_GT(weight, 0) << name;
        }
    }
}

TEST(SchedulerDecision, the_message_counts_the_reasons) {
    const auto cordoned = node("a", R"({"unschedulable":true})");
    const auto small = node("b", "{}", "{}", R"({"cpu":"1","pods":"10"})");
    const auto smaller = node("c", "{}", "{}", R"({"cpu":"500m","pods":"10"})");
    const NodeInfo* nodes[] = {&cordoned, &small, &smaller};
    EXPECT_EQ(decide(*pod(asks(R"({"cpu":"2"})")), nodes, 0).message(3),
              "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu.");
    EXPECT_EQ(decide(*pod("{}"), {}, 0).message(0), "no nodes available to schedule pods");
}

constexpr MonoTime start{std::chrono::hours{1}};

PodPtr with_priority(const std::string& name, int priority) {
    return pod(concat(R"({"priority":)", priority, "}"), name);
}

TEST(SchedulerQueue, the_higher_priority_first_then_the_older) {
    PodQueue queue;
    EXPECT_EQ(queue.take(start), nullptr);
    for (const auto& [name, priority] :
         {std::pair{"low", -5}, {"first", 0}, {"high", 1000}, {"second", 0}})
        queue.put(with_priority(name, priority), start);
    queue.put(with_priority("first", 0), start + 1s);   // a change keeps its place
    std::vector<std::string> order;
    while (const auto next = queue.take(start + 1s)) order.push_back(next->metadata.name);
    EXPECT_EQ(order, (std::vector<std::string>{"high", "first", "second", "low"}));
    EXPECT_EQ(queue.size(), 4u);
    EXPECT_FALSE(queue.next_ready());
    queue.remove("uid-high");
    queue.remove("uid-none");
    EXPECT_EQ(queue.size(), 3u);
}

TEST(SchedulerQueue, who_finds_no_node_waits_for_a_change_and_its_back_off) {
    PodQueue queue;
    const auto one = with_priority("one", 0);
    queue.put(one, start);
    auto now = start;
    for (const auto seconds : {1, 2, 4, 8, 10, 10}) {
        ASSERT_EQ(queue.take(now), one) << seconds;
        queue.park(one, now);
        EXPECT_FALSE(queue.next_ready()) << "nothing has changed";
        EXPECT_EQ(queue.take(now + 1h), nullptr);
        queue.wake(now);
        EXPECT_EQ(queue.take(now), nullptr) << "its back-off";
        now += std::chrono::seconds{seconds};
        EXPECT_EQ(queue.next_ready(), now);
        EXPECT_EQ(queue.take(now - 1ns), nullptr);
    }
}

TEST(SchedulerQueue, a_change_wakes_one_or_all) {
    PodQueue queue;
    for (const auto* name : {"one", "two"}) queue.put(with_priority(name, 0), start);
    while (const auto next = queue.take(start)) queue.park(next, start);
    queue.wake_one("uid-two");
    queue.wake_one("uid-none");
    EXPECT_EQ(queue.take(start + 1s)->metadata.name, "two");
    EXPECT_EQ(queue.take(start + 1s), nullptr);
    queue.park(with_priority("two", 0), start);
    queue.wake_if([](const view::Pod& one) { return one.metadata.name == "two"; });
    EXPECT_EQ(queue.take(start + 10s)->metadata.name, "two");
    EXPECT_EQ(queue.take(start + 10s), nullptr) << "a change that is none of its business";
    queue.wake(start);
    EXPECT_EQ(queue.take(start + 1s)->metadata.name, "one");
    // Parked while it was taken out: nothing happens.
    queue.remove("uid-two");
    queue.park(with_priority("two", 0), start);
    EXPECT_EQ(queue.size(), 1u);
}

}   // namespace
}   // namespace skiff::scheduler
