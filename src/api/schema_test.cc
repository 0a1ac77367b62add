#include "api/schema.h"

#include <gtest/gtest.h>

#include <set>

namespace skiff::api {
namespace {

TEST(Schema, every_field_is_found_by_name_and_by_number) {
    for (const Kind* kind : builtin_kinds()) {
        for (const Field* field : kind->message->all)
            EXPECT_EQ(field_of(*kind->message, field->name), field) << kind->kind << field->name;
        for (const Field& field : kind->message->fields) {
            if (field.number != 0) {
                EXPECT_EQ(field_of(*kind->message, field.number), &field) << field.name;
            }
        }
    }
    const Message& metadata = *builtin_message("meta.v1.ObjectMeta");
    for (const Field* field : metadata.all)
        EXPECT_EQ(field_of(metadata, field->name), field) << field->name;
    EXPECT_EQ(field_of(metadata, "namee"), nullptr);
    EXPECT_EQ(field_of(metadata, ""), nullptr);
    EXPECT_EQ(field_of(metadata, 15u), nullptr);
    EXPECT_EQ(field_of(metadata, 17u)->name, "managedFields");
}

TEST(Schema, a_kind_has_its_list_and_its_names) {
    const Kind* map = builtin_kind("", "v1", "ConfigMap");
    ASSERT_NE(map, nullptr);
    EXPECT_EQ(map->plural, "configmaps");
    EXPECT_EQ(map->api_version(), "v1");
    EXPECT_EQ(map->storage_prefix, "/registry/configmaps/");
    ASSERT_NE(map->list_message, nullptr);
    EXPECT_EQ(map->list_message->openapi_name, "io.k8s.api.core.v1.ConfigMapList");
    EXPECT_EQ(field_of(*map->list_message, "items")->message, map->message);
    EXPECT_EQ(field_of(*map->message, "apiVersion")->number, 0u);
    EXPECT_EQ(map->message->go_name(), "v1.ConfigMap");
}

TEST(Schema, a_served_version_names_the_stored_one) {
    const Kind* served = builtin_kind("events.k8s.io", "v1", "Event");
    ASSERT_NE(served, nullptr);
    EXPECT_EQ(&stored_kind(*served), builtin_kind("", "v1", "Event"));
    EXPECT_EQ(served->api_version(), "events.k8s.io/v1");
    EXPECT_EQ(served->storage_prefix, stored_kind(*served).storage_prefix);
}

TEST(Schema, kinds_have_revisions_of_their_own) {
    std::set<uint32_t> seen;
    for (const Kind* kind : builtin_kinds()) {
        if (kind->stored) continue;
        EXPECT_NE(kind->schema_revision, 0u);
        EXPECT_TRUE(seen.insert(kind->schema_revision).second) << kind->kind;
    }
}

TEST(Schema, plural_names_are_unique_in_a_group_version) {
    std::set<std::string> seen;
    for (const Kind* kind : builtin_kinds())
        EXPECT_TRUE(seen.insert(kind->api_version() + "/" + std::string{kind->plural}).second)
            << kind->plural;
}

}   // namespace
}   // namespace skiff::api
