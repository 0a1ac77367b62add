// What claims ask of a node, by tables.
#include "scheduler/volumes.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace skiff::scheduler {
namespace {

template <class V>
std::shared_ptr<const V> of(std::string_view json) {
    auto view = api::decode<V>(json);
    EXPECT_TRUE(view) << json;
    return std::make_shared<const V>(view ? *view : V{});
}

ClaimPtr claim(std::string_view name, std::string_view spec, std::string_view metadata = "") {
    return of<view::PersistentVolumeClaim>(
        concat(R"({"metadata":{"namespace":"d","uid":"u-)", name, R"(","name":")", name, '"',
               metadata, R"(},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":)",
               R"({"storage":"1Gi"}})", spec, "}}"));
}
VolumePtr volume(std::string_view name, std::string_view node, std::string_view spec = "",
                 std::string_view size = "1Gi") {
    return of<view::PersistentVolume>(
        concat(R"({"metadata":{"name":")", name,
               R"("},"spec":{"accessModes":["ReadWriteOnce"],"capacity":{"storage":")", size, "\"}",
               spec, R"(,"nodeAffinity":{"required":{"nodeSelectorTerms":[{"matchExpressions":)",
               R"([{"key":"kubernetes.io/hostname","operator":"In","values":[")", node,
               R"("]}]}]}}},"status":{"phase":"Available"}})"));
}

constexpr std::string_view completed =
    R"(,"annotations":{"pv.kubernetes.io/bind-completed":"yes"})";
constexpr std::string_view waits = R"(,"storageClassName":"wait")";

struct World {
    std::vector<ClaimPtr> claims;
    std::vector<VolumePtr> volumes;
    std::vector<ClassPtr> classes{
        of<view::StorageClass>(
            R"({"metadata":{"name":"wait"},"provisioner":"p","volumeBindingMode":"WaitForFirstConsumer"})"),
        of<view::StorageClass>(
            R"({"metadata":{"name":"local"},"provisioner":"kubernetes.io/no-provisioner","volumeBindingMode":"WaitForFirstConsumer"})"),
        of<view::StorageClass>(R"({"metadata":{"name":"now"},"provisioner":"p"})"),
        of<view::StorageClass>(
            R"({"metadata":{"name":"near"},"provisioner":"p","volumeBindingMode":"WaitForFirstConsumer","allowedTopologies":[{"matchLabelExpressions":[{"key":"zone","values":["y","z"]}]},{"matchLabelExpressions":[{"key":"kubernetes.io/hostname","values":["n1"]},{"key":"rack","values":["3"]}]}]})"),
        of<view::StorageClass>(
            R"({"metadata":{"name":"far"},"provisioner":"p","volumeBindingMode":"WaitForFirstConsumer","allowedTopologies":[{"matchLabelExpressions":[{"key":"zone","values":["y"]}]},{}]})")};
    bool in_use = false;

    // "" or why not n1; `chosen`: "claim=volume" or "claim=" for one to be made.
    std::string why(std::string* chosen = nullptr, std::string_view names = "a") const {
        std::string list;
        for (const auto name : split(names, ','))
            append(list, list.empty() ? "" : ",", R"({"name":"v-)", name,
                   R"(","persistentVolumeClaim":{"claimName":")", name, "\"}}");
        const auto pod = of<view::Pod>(
            concat(R"({"metadata":{"name":"p","namespace":"d","uid":"p"},"spec":{"volumes":[)",
                   list, "]}}"));
        const VolumeFacts facts{
            .claim =
                [&](std::string_view, std::string_view name) {
                    const auto found = std::ranges::find_if(
                        claims, [&](const auto& one) { return one->metadata.name == name; });
                    return found == claims.end() ? nullptr : *found;
                },
            .volumes = volumes,
            .classes = classes,
            .in_use = [&](const auto&) { return in_use; }};
        EXPECT_TRUE(has_claims(*pod));
        const auto needs = volume_needs(*pod, facts);
        if (!needs.refusal.empty()) return needs.refusal;
        const auto node = of<view::Node>(
            R"({"metadata":{"name":"n1","labels":{"kubernetes.io/hostname":"n1","zone":"z"}}})");
        const auto fit = fit_volumes(needs, facts, *node);
        if (chosen)
            for (const auto& choice : fit.choices)
                append(*chosen, chosen->empty() ? "" : ",", choice.claim->metadata.name, "=",
                       choice.volume ? choice.volume->metadata.name : "");
        return fit.refusal;
    }
};

TEST(PodVolumes, a_pod_goes_where_its_volumes_are) {
    const std::string elsewhere = "node(s) had volume node affinity conflict";
    const auto bound = claim("a", R"(,"volumeName":"v")", completed);
    const struct {
        const char* what;
        World world;
        std::string why;
    } rows[] = {
        {"no claim", {}, "persistentvolumeclaim \"a\" not found"},
        {"unbound",
         {.claims = {claim("a", "")}},
         "pod has unbound immediate PersistentVolumeClaims"},
        {"unbound, of a class that does not wait",
         {.claims = {claim("a", R"(,"storageClassName":"now")")}},
         "pod has unbound immediate PersistentVolumeClaims"},
        {"bound, and reached from here", {.claims = {bound}, .volumes = {volume("v", "n1")}}, ""},
        {"bound elsewhere", {.claims = {bound}, .volumes = {volume("v", "n2")}}, elsewhere},
        {"bound, its volume gone", {.claims = {bound}}, "persistentvolume \"v\" not found"},
        {"half bound",
         {.claims = {claim("a", R"(,"volumeName":"v")")}, .volumes = {volume("v", "n1")}},
         "pod has unbound immediate PersistentVolumeClaims"},
        {"going",
         {.claims = {claim("a", "", R"(,"deletionTimestamp":"2024-06-01T12:00:00Z")")}},
         "persistentvolumeclaim \"a\" is being deleted"},
        {"for one pod, and another has it",
         {.claims = {of<view::PersistentVolumeClaim>(
              R"({"metadata":{"name":"a","annotations":{"pv.kubernetes.io/bind-completed":"yes"}},"spec":{"volumeName":"v","accessModes":["ReadWriteOncePod"]}})")},
          .volumes = {volume("v", "n1")},
          .in_use = true},
         "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access "
         "mode"},
    };
    for (const auto& row : rows) EXPECT_EQ(row.world.why(), row.why) << row.what;
}

TEST(PodVolumes, what_waits_for_its_pod_gets_a_volume_of_the_node) {
    const std::string none = "node(s) didn't find available persistent volumes to bind";
    const auto local = R"(,"storageClassName":"local")";
    const struct {
        const char* what;
        World world;
        std::string why;
        std::string chosen;
    } rows[] = {
        {"one is made", {.claims = {claim("a", waits)}}, "", "a="},
        {"one that is there",
         {.claims = {claim("a", waits)}, .volumes = {volume("v", "n1", waits)}},
         "",
         "a=v"},
        {"the smallest",
         {.claims = {claim("a", waits)},
          .volumes = {volume("v", "n1", waits, "9Gi"), volume("w", "n1", waits)}},
         "",
         "a=w"},
        {"one may be made in the node's zone",
         {.claims = {claim("a", R"(,"storageClassName":"near")")}},
         "",
         "a="},
        {"none may be made in the node's zone",
         {.claims = {claim("a", R"(,"storageClassName":"far")")}},
         none,
         ""},
        {"one that is there may be anywhere",
         {.claims = {claim("a", R"(,"storageClassName":"far")")},
          .volumes = {volume("v", "n1", R"(,"storageClassName":"far")")}},
         "",
         "a=v"},
        {"none here and none can be made",
         {.claims = {claim("a", local)}, .volumes = {volume("v", "n2", local)}},
         none,
         ""},
        {"it was promised elsewhere",
         {.claims = {claim("a", waits,
                           R"(,"annotations":{"volume.kubernetes.io/selected-node":"n2"})")}},
         none,
         ""},
        {"it was promised here",
         {.claims = {claim("a", waits,
                           R"(,"annotations":{"volume.kubernetes.io/selected-node":"n1"})")}},
         "",
         "a="},
    };
    for (const auto& row : rows) {
        std::string chosen;
        EXPECT_EQ(row.world.why(&chosen), row.why) << row.what;
        EXPECT_EQ(chosen, row.chosen) << row.what;
    }
    const World two{.claims = {claim("a", local), claim("b", local)},
                    .volumes = {volume("v", "n1", local)}};
    EXPECT_EQ(two.why(nullptr, "a,b"), none) << "one volume is not for two claims";
}

}   // namespace
}   // namespace skiff::scheduler
