// Which claim gets which volume, and what becomes of a volume whose claim goes, by tables.
#include <gtest/gtest.h>

#include "api/view_testing.h"
#include "base/text.h"
#include "controllers/volume_plan.h"

namespace skiff::controllers {
namespace {

using api::of;

// Spec members that a row replaces come last: the last of two equal names counts nowhere, so they
// are put together here.
struct Of {
    std::string_view name;
    std::string_view spec = {};       // more members of the spec, with a leading comma
    std::string_view metadata = {};   // likewise of the metadata
    std::string_view phase = {};
    std::string_view size = "5Gi";
    std::string_view modes = R"(["ReadWriteOnce"])";
};

view::PersistentVolume volume_of(const Of& is) {
    return of<view::PersistentVolume>(
        concat(R"({"metadata":{"name":")", is.name, R"(","uid":"u-)", is.name,
               R"(","resourceVersion":"7")", is.metadata, R"(},"spec":{"capacity":{"storage":")",
               is.size, R"("},"accessModes":)", is.modes, is.spec, R"(},"status":{"phase":")",
               is.phase.empty() ? "Available" : is.phase, "\"}}"));
}
VolumePtr volume(const Of& is) { return std::make_shared<view::PersistentVolume>(volume_of(is)); }

view::PersistentVolumeClaim claim(const Of& is) {
    return of<view::PersistentVolumeClaim>(concat(
        R"({"metadata":{"name":")", is.name, R"(","namespace":"d","uid":"u-)", is.name,
        R"(","resourceVersion":"9")", is.metadata,
        R"(},"spec":{"resources":{"requests":{"storage":")", is.size, R"("}},"accessModes":)",
        is.modes, is.spec, R"(},"status":{"phase":")", is.phase, "\"}}"));
}

std::string claimed_by(std::string_view name, std::string_view uid) {
    return concat(R"(,"claimRef":{"namespace":"d","name":")", name, R"(","uid":")", uid, "\"}");
}
constexpr std::string_view completed =
    R"(,"annotations":{"pv.kubernetes.io/bind-completed":"yes","pv.kubernetes.io/bound-by-controller":"yes"})";

// "pv/a set aside" "pvc/c -> a" "pvc/c Bound" "pv/a Released" …, in the order of the writes, and
// what is told of it, each "!" or "." and its reason.
std::string shown(const VolumePlan& plan) {
    std::string out;
    for (const auto& write : plan.plan.writes) {
        const auto document = codec::parse_json(write.body);
        EXPECT_TRUE(document) << write.body;
        const bool is_volume = write.resource.resource == "persistentvolumes";
        append(out, out.empty() ? "" : ", ", is_volume ? "pv/" : "pvc/", write.key.name, " ");
        const auto& root = document->root;
        const auto* reference = root.at_path({"spec", "claimRef"});
        EXPECT_FALSE(write.uid.empty());
        if (write.subresource == "status") {
            append(out, root.text_at({"status", "phase"}));
            continue;
        }
        // Whose it is may only be written onto the volume that was looked at.
        EXPECT_FALSE(write.resource_version.empty()) << write.body;
        if (!is_volume && !root.text_at({"spec", "storageClassName"}).empty())
            append(out, "of class ", root.text_at({"spec", "storageClassName"}));
        else if (!is_volume)
            append(out, "-> ", root.text_at({"spec", "volumeName"}));
        else if (reference && reference->is_object() && reference->text_at({"uid"}).empty())
            append(out, "kept for its name");
        else
            append(out, reference && reference->is_object() ? "set aside" : "let go");
    }
    for (const auto& event : plan.events)
        append(out, out.empty() ? "" : ", ", event.warning ? "!" : ".", event.reason);
    return out;
}

const ClassPtr wait_class = std::make_shared<view::StorageClass>(of<view::StorageClass>(
    R"({"metadata":{"name":"wait"},"provisioner":"p","volumeBindingMode":"WaitForFirstConsumer"})"));
const ClassPtr now_class = std::make_shared<view::StorageClass>(of<view::StorageClass>(
    R"({"metadata":{"name":"now"},"provisioner":"p","volumeBindingMode":"Immediate"})"));
const ClassPtr none_class = std::make_shared<view::StorageClass>(of<view::StorageClass>(
    R"({"metadata":{"name":"none"},"provisioner":"kubernetes.io/no-provisioner","volumeBindingMode":"Immediate"})"));

std::string planned(const Of& wanted, const std::vector<Of>& there) {
    std::vector<VolumePtr> volumes;
    for (const auto& one : there) volumes.push_back(volume(one));
    return shown(plan_claim(claim(wanted),
                            {.volumes = volumes, .classes = {wait_class, now_class, none_class}}));
}

constexpr std::string_view none_for_it = "pvc/c Pending, .FailedBinding";

TEST(Claim, gets_the_smallest_free_volume_that_fits) {
    const struct {
        const char* why;
        Of claim;
        std::vector<Of> volumes;
        std::string bound;   // the volume; "" for none
    } rows[] = {
        {"an equal", {.name = "c"}, {{.name = "a"}}, "a"},
        {"the smaller of two", {.name = "c"}, {{.name = "a", .size = "9Gi"}, {.name = "b"}}, "b"},
        {"by name among equals", {.name = "c"}, {{.name = "b"}, {.name = "a"}}, "a"},
        {"a larger one", {.name = "c"}, {{.name = "a", .size = "1Ti"}}, "a"},
        {"none too small", {.name = "c"}, {{.name = "a", .size = "5G"}}, ""},
        {"units are numbers", {.name = "c", .size = "1Gi"}, {{.name = "a", .size = "1024Mi"}}, "a"},
        {"all modes are wanted",
         {.name = "c", .modes = R"(["ReadWriteOnce","ReadOnlyMany"])"},
         {{.name = "a"}, {.name = "b", .modes = R"(["ReadOnlyMany","ReadWriteOnce"])"}},
         "b"},
        {"another mode", {.name = "c", .modes = R"(["ReadWriteMany"])"}, {{.name = "a"}}, ""},
        {"another class",
         {.name = "c"},
         {{.name = "a", .spec = R"(,"storageClassName":"now")"}},
         ""},
        {"its class",
         {.name = "c", .spec = R"(,"storageClassName":"now")"},
         {{.name = "a"}, {.name = "b", .spec = R"(,"storageClassName":"now")"}},
         "b"},
        {"the annotation of old is a class",
         {.name = "c",
          .metadata = R"(,"annotations":{"volume.beta.kubernetes.io/storage-class":"now"})"},
         {{.name = "a"}, {.name = "b", .spec = R"(,"storageClassName":"now")"}},
         "b"},
        {"an empty class is none",
         {.name = "c", .spec = R"(,"storageClassName":"")"},
         {{.name = "a"}},
         "a"},
        {"block is not a file system",
         {.name = "c", .spec = R"(,"volumeMode":"Block")"},
         {{.name = "a"}},
         ""},
        {"a label selects",
         {.name = "c", .spec = R"(,"selector":{"matchLabels":{"type":"local"}})"},
         {{.name = "a"}, {.name = "b", .metadata = R"(,"labels":{"type":"local"})", .size = "9Gi"}},
         "b"},
        {"an expression selects",
         {.name = "c",
          .spec =
              R"(,"selector":{"matchExpressions":[{"key":"type","operator":"NotIn","values":["local"]}]})"},
         {{.name = "a", .metadata = R"(,"labels":{"type":"local"})"}, {.name = "b"}},
         "b"},
        {"not what is another's",
         {.name = "c"},
         {{.name = "a", .spec = R"(,"claimRef":{"namespace":"d","name":"o","uid":"u-o"})"}},
         ""},
        {"not what was set aside for another",
         {.name = "c"},
         {{.name = "a", .spec = R"(,"claimRef":{"namespace":"d","name":"o"})"}},
         ""},
        {"what was set aside for it, also a larger",
         {.name = "c"},
         {{.name = "a"},
          {.name = "b", .spec = R"(,"claimRef":{"namespace":"d","name":"c"})", .size = "9Gi"}},
         "b"},
        {"not what is being deleted",
         {.name = "c"},
         {{.name = "a", .metadata = R"(,"deletionTimestamp":"2024-06-01T12:00:00Z")"}},
         ""},
        {"not what was released", {.name = "c"}, {{.name = "a", .phase = "Released"}}, ""},
        {"not what nobody looked at yet", {.name = "c"}, {{.name = "a", .phase = "Pending"}}, ""},
    };
    for (const auto& row : rows) {
        const auto all = planned(row.claim, row.volumes);
        if (row.bound.empty()) {
            EXPECT_EQ(all, none_for_it) << row.why;
        } else {
            EXPECT_EQ(all,
                      concat("pv/", row.bound, " set aside, pvc/c -> ", row.bound, ", pvc/c Bound"))
                << row.why;
        }
    }
}

TEST(Claim, without_a_volume_tells_what_it_waits_for) {
    EXPECT_EQ(planned({.name = "c", .phase = "Pending"}, {}), ".FailedBinding");
    EXPECT_EQ(planned({.name = "c", .spec = R"(,"storageClassName":"wait")"}, {}),
              "pvc/c Pending, .WaitForFirstConsumer");
    EXPECT_EQ(planned({.name = "c", .spec = R"(,"storageClassName":"wait")"},
                      {{.name = "a", .spec = R"(,"storageClassName":"wait")"}}),
              "pvc/c Pending, .WaitForFirstConsumer")
        << "a fitting one is for the scheduler to choose";
    EXPECT_EQ(planned({.name = "c", .spec = R"(,"storageClassName":"nowhere")"}, {}),
              "pvc/c Pending, !ProvisioningFailed");
    EXPECT_EQ(planned({.name = "c", .spec = R"(,"storageClassName":"none")"}, {}),
              "pvc/c Pending, !ProvisioningFailed");
    EXPECT_EQ(planned({.name = "c", .spec = R"(,"storageClassName":"now")"}, {}),
              "pvc/c -> , pvc/c Pending, .ExternalProvisioning")
        << "the provisioner is named in an annotation";
}

TEST(Claim, that_says_nothing_gets_the_default_class_once_there_is_one) {
    const auto marked = std::make_shared<view::StorageClass>(of<view::StorageClass>(
        R"({"metadata":{"name":"std","annotations":{"storageclass.kubernetes.io/is-default-class":"true"}},"provisioner":"p"})"));
    const auto with_default = [&](const Of& wanted, const std::vector<Of>& there) {
        std::vector<VolumePtr> volumes;
        for (const auto& one : there) volumes.push_back(volume(one));
        return shown(
            plan_claim(claim(wanted), {.volumes = volumes, .classes = {now_class, marked}}));
    };
    EXPECT_EQ(with_default({.name = "c"}, {}), "pvc/c of class std, pvc/c Pending");
    EXPECT_EQ(with_default({.name = "c"}, {{.name = "a"}}),
              "pv/a set aside, pvc/c -> a, pvc/c Bound")
        << "one without a class serves it as well";
    EXPECT_EQ(with_default({.name = "c", .spec = R"(,"storageClassName":"")"}, {}), none_for_it)
        << "it chose none";
    EXPECT_EQ(with_default(
                  {.name = "c",
                   .metadata = R"(,"annotations":{"volume.beta.kubernetes.io/storage-class":""})"},
                  {}),
              none_for_it);
    EXPECT_EQ(with_default({.name = "c", .spec = R"(,"volumeName":"a")"}, {}), "pvc/c Pending");
}

TEST(Claim, that_names_a_volume_gets_that_or_none) {
    constexpr std::string_view wish = R"(,"volumeName":"a")";
    EXPECT_EQ(planned({.name = "c", .spec = wish}, {{.name = "b"}}), "pvc/c Pending");
    EXPECT_EQ(planned({.name = "c", .spec = wish}, {{.name = "b"}, {.name = "a"}}),
              "pv/a set aside, pvc/c -> a, pvc/c Bound");
    EXPECT_EQ(planned({.name = "c", .spec = wish, .size = "9Gi"}, {{.name = "a"}}),
              "pvc/c Pending, !VolumeMismatch");
    EXPECT_EQ(planned({.name = "c", .spec = wish},
                      {{.name = "a", .spec = R"(,"claimRef":{"namespace":"d","name":"o"})"}}),
              "pvc/c Pending, !FailedBinding");
}

TEST(Claim, goes_on_where_a_crash_left_it) {
    const auto mine = claimed_by("c", "u-c");
    EXPECT_EQ(planned({.name = "c"}, {{.name = "b"}, {.name = "a", .spec = mine, .size = "9Gi"}}),
              "pvc/c -> a, pvc/c Bound")
        << "the volume knew already";
    EXPECT_EQ(planned({.name = "c", .spec = R"(,"volumeName":"a")", .metadata = completed},
                      {{.name = "a", .spec = mine}}),
              "pvc/c Bound")
        << "the status was missing";
    const auto bound = of<view::PersistentVolumeClaim>(concat(
        R"({"metadata":{"name":"c","namespace":"d","uid":"u-c","resourceVersion":"9")", completed,
        R"(},"spec":{"volumeName":"a","accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"5Gi"}}},)",
        R"("status":{"phase":"Bound","accessModes":["ReadWriteOnce"],"capacity":{"storage":"5Gi"}}})"));
    const std::vector<VolumePtr> volumes{volume({.name = "a", .spec = mine, .phase = "Bound"})};
    EXPECT_EQ(shown(plan_claim(bound, {.volumes = volumes, .classes = {}})), "") << "all is done";
}

TEST(Claim, is_concerned_by_volumes_that_may_become_its_own) {
    const auto plain = volume_of({.name = "a"});
    const auto classy = volume_of({.name = "a", .spec = R"(,"storageClassName":"now")"});
    const auto mine = volume_of({.name = "a", .spec = claimed_by("c", "u-c")});
    const Of other_class{.name = "c", .spec = R"(,"storageClassName":"now")"};
    EXPECT_TRUE(api::concerns(plain, claim({.name = "c"})));
    EXPECT_FALSE(api::concerns(classy, claim({.name = "c"})));
    EXPECT_TRUE(api::concerns(classy, claim(other_class)));
    EXPECT_FALSE(api::concerns(plain, claim(other_class)));
    EXPECT_TRUE(api::concerns(mine, claim(other_class))) << "it was set aside for it";
    EXPECT_TRUE(api::concerns(classy, claim({.name = "c", .spec = R"(,"volumeName":"a")"})));
    EXPECT_FALSE(api::concerns(plain, claim({.name = "c", .spec = R"(,"volumeName":"b")"})));
}

TEST(Claim, that_lost_its_volume_says_so) {
    const Of bound{
        .name = "c", .spec = R"(,"volumeName":"a")", .metadata = completed, .phase = "Bound"};
    EXPECT_EQ(planned(bound, {{.name = "b"}}), "pvc/c Lost, !ClaimLost");
    EXPECT_EQ(
        planned(bound, {{.name = "a",
                         .spec = R"(,"claimRef":{"namespace":"d","name":"c","uid":"older"})"}}),
        "pvc/c Lost, !ClaimMisbound");
    auto again = bound;
    again.phase = "Lost";
    EXPECT_EQ(planned(again, {}), "") << "told once";
}

TEST(Volume, follows_its_claim) {
    const auto mine = claimed_by("c", "u-c");
    const std::string policy = R"(,"persistentVolumeReclaimPolicy":")";
    constexpr std::string_view chosen =
        R"(,"annotations":{"pv.kubernetes.io/bound-by-controller":"yes"})";
    constexpr std::string_view made =
        R"(,"annotations":{"pv.kubernetes.io/provisioned-by":"p","pv.kubernetes.io/bound-by-controller":"yes"})";
    const auto with_policy = [&](const char* name) { return concat(mine, policy, name, "\""); };
    const auto retain = with_policy("Retain"), remove = with_policy("Delete"),
               recycle = with_policy("Recycle");
    const auto here = claim({.name = "c", .spec = R"(,"volumeName":"a")"});
    const auto elsewhere = claim({.name = "c", .spec = R"(,"volumeName":"b")"});
    const auto undecided = claim({.name = "c"});
    const struct {
        const char* why;
        Of volume;
        const view::PersistentVolumeClaim* claim;
        const char* does;
    } rows[] = {
        {"a new one", {.name = "a", .phase = "Pending"}, nullptr, "pv/a Available"},
        {"set aside for a name",
         {.name = "a", .spec = R"(,"claimRef":{"namespace":"d","name":"c"})", .phase = "Pending"},
         nullptr,
         "pv/a Available"},
        {"bound", {.name = "a", .spec = retain}, &here, "pv/a Bound"},
        {"half bound: the claim's half comes", {.name = "a", .spec = retain}, &undecided, ""},
        {"Retain", {.name = "a", .spec = retain, .phase = "Bound"}, nullptr, "pv/a Released"},
        {"Retain, again", {.name = "a", .spec = retain, .phase = "Released"}, nullptr, ""},
        {"Delete of one made by hand",
         {.name = "a", .spec = remove, .phase = "Bound"},
         nullptr,
         "pv/a Failed, !VolumeFailedDelete"},
        {"Delete of a provisioned one",
         {.name = "a", .spec = remove, .metadata = made, .phase = "Bound"},
         nullptr,
         "pv/a Released"},
        {"Recycle",
         {.name = "a", .spec = recycle, .phase = "Bound"},
         nullptr,
         "pv/a Failed, !VolumeFailedRecycle"},
        {"its claim went to another",
         {.name = "a", .spec = retain, .metadata = chosen},
         &elsewhere,
         "pv/a let go"},
        {"its claim went to another, and a user had set it aside",
         {.name = "a", .spec = retain},
         &elsewhere,
         "pv/a kept for its name"},
        {"made for a claim that went to another",
         {.name = "a", .spec = remove, .metadata = made, .phase = "Bound"},
         &elsewhere,
         "pv/a Released"},
    };
    for (const auto& row : rows)
        EXPECT_EQ(shown(plan_volume(volume_of(row.volume), row.claim)), row.does) << row.why;
}

TEST(StorageClasses, the_newest_default_counts) {
    const auto one = [](std::string_view name, std::string_view since, std::string_view value,
                        std::string_view more = "") {
        return std::make_shared<view::StorageClass>(of<view::StorageClass>(
            concat(R"({"metadata":{"name":")", name, R"(","creationTimestamp":")", since,
                   R"(","annotations":{"storageclass.kubernetes.io/is-default-class":")", value,
                   "\"}", more, R"(},"provisioner":"p"})")));
    };
    const auto old = one("old", "2024-06-01T12:00:00Z", "true");
    const auto young = one("young", "2024-06-02T12:00:00Z", "true");
    const auto twin = one("twin", "2024-06-02T12:00:00Z", "true");
    const auto other = one("other", "2024-06-03T12:00:00Z", "false");
    const auto going = one("going", "2024-06-03T12:00:00Z", "true",
                           R"(,"deletionTimestamp":"2024-06-03T13:00:00Z")");
    EXPECT_EQ(default_class({}), nullptr);
    EXPECT_EQ(default_class({other, going}), nullptr);
    EXPECT_EQ(default_class({old, young, other}), young);
    EXPECT_EQ(default_class({young, twin}), twin) << "by name among equals";
}

}   // namespace
}   // namespace skiff::controllers
