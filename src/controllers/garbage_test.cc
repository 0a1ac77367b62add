// What is garbage, by tables.
#include <gtest/gtest.h>

#include "base/text.h"
#include "controllers/garbage.h"

namespace skiff::controllers {
namespace {

using What = GarbageStep::What;
using enum OwnerState;

view::Owned object(size_t owners, std::string_view finalizers = "", bool ending = false) {
    view::Owned one;
    for (size_t i = 0; i < owners; ++i)
        one.metadata.ownerReferences.push_back({.apiVersion = "apps/v1",
                                                .kind = "ReplicaSet",
                                                .name = concat("o", i),
                                                .uid = concat("u", i),
                                                .blockOwnerDeletion = true});
    for (const auto word : split(finalizers, ' '))
        if (!word.empty()) one.metadata.finalizers.emplace_back(word);
    if (ending) one.metadata.deletionTimestamp = WallTime{};
    return one;
}

TEST(Garbage, an_object_goes_with_the_last_of_its_owners) {
    const struct {
        const char* why;
        std::vector<OwnerState> owners;
        const char* finalizers;
        bool has_dependents, in_circle;
        What what;
        const char* policy;
        size_t dropped;
    } rows[] = {
        {"nobody's", {}, "", true, false, What::Keep, "", 0},
        {"its owner is there", {Solid}, "", false, false, What::Keep, "", 0},
        {"one owner is enough", {Absent, Solid}, "", false, false, What::DropReferences, "", 1},
        {"also while another waits",
         {Waiting, Solid, Absent},
         "",
         true,
         false,
         What::DropReferences,
         "",
         2},
        {"its owner has gone", {Absent}, "", true, false, What::Delete, "Background", 0},
        {"all have gone", {Absent, Absent}, "", false, false, What::Delete, "Background", 0},
        {"its owner waits", {Waiting}, "", false, false, What::Delete, "Background", 0},
        {"its owner waits, and it has its own",
         {Waiting},
         "",
         true,
         false,
         What::Delete,
         "Foreground",
         0},
        {"two wait for each other", {Waiting}, "", true, true, What::Delete, "Foreground", 0},
        {"it lets its own go", {Absent}, "orphan", true, false, What::Delete, "Orphan", 0},
        {"it takes its own along",
         {Absent},
         "x foregroundDeletion",
         true,
         false,
         What::Delete,
         "Foreground",
         0},
    };
    for (const auto& row : rows) {
        const auto step = decide_garbage(object(row.owners.size(), row.finalizers), row.owners,
                                         row.has_dependents, row.in_circle);
        EXPECT_EQ(step.what, row.what) << row.why;
        EXPECT_EQ(step.policy, row.policy) << row.why;
        EXPECT_EQ(step.owner_uids.size(), row.dropped) << row.why;
        EXPECT_EQ(step.unblocks, row.in_circle) << row.why;
    }
}

TEST(Garbage, only_what_is_being_deleted_waits_for_its_dependents) {
    EXPECT_FALSE(deletes_dependents(object(0, "foregroundDeletion")));
    EXPECT_TRUE(deletes_dependents(object(0, "foregroundDeletion", true)));
    EXPECT_FALSE(orphans_dependents(object(0, "orphan")));
    EXPECT_TRUE(orphans_dependents(object(0, "x orphan", true)));
}

TEST(Garbage, patches_name_what_goes) {
    EXPECT_EQ(
        drop_references_patch({"a", "b"}),
        R"({"metadata":{"ownerReferences":[{"$patch":"delete","uid":"a"},{"$patch":"delete","uid":"b"}]}})");
    EXPECT_EQ(without_finalizer_patch(object(0, "x orphan y"), orphan_finalizer),
              R"({"metadata":{"finalizers":["x","y"]}})");
    EXPECT_EQ(unblock_patch(object(1)),
              R"({"metadata":{"ownerReferences":[{"uid":"u0","blockOwnerDeletion":false}]}})");
    EXPECT_EQ(reference_text(object(1).metadata.ownerReferences[0], "d"),
              "[apps/v1/ReplicaSet, namespace: d, name: o0, uid: u0]");
}

}   // namespace
}   // namespace skiff::controllers
