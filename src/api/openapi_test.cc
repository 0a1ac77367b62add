#include "api/openapi.h"

#include <set>

#include <gtest/gtest.h>

#include "base/text.h"
#include "codec/json.h"
#include "codec/protobuf.h"

namespace skiff::api {
namespace {

using codec::Json;

codec::Document parsed(std::string_view text) {
    std::vector<std::string> duplicates;
    auto document = codec::parse_json(text, {.duplicate_keys = &duplicates});
    EXPECT_TRUE(document) << (document ? "" : document.error().message);
    EXPECT_EQ(duplicates, std::vector<std::string>{});
    return document ? *std::move(document) : codec::Document{};
}

void collect_references(const Json& value, std::set<std::string>& found) {
    for (const auto& [key, inner] : value.members()) {
        if (key == "$ref" && inner.is_string()) found.insert(std::string{inner.as_string()});
        collect_references(inner, found);
    }
    for (const Json& item : value.items()) collect_references(item, found);
}

void expect_references_resolve(const Json& document, const Json& definitions,
                               std::string_view prefix) {
    std::set<std::string> references;
    collect_references(document, references);
    EXPECT_FALSE(references.empty());
    for (const auto& reference : references) {
        ASSERT_TRUE(reference.starts_with(prefix)) << reference;
        EXPECT_TRUE(definitions.find(reference.substr(prefix.size()))) << reference;
    }
}

bool has_parameter(const Json& operation, std::string_view name) {
    const Json* list = operation.find("parameters");
    for (const Json& parameter : list ? list->items() : std::span<const Json>{})
        if (parameter.text_at({"name"}) == name) return true;
    return false;
}

TEST(ApiOpenapi, the_index_names_every_group_version_with_a_stable_hash) {
    const auto index = openapi_v3_index(builtin_kinds());
    EXPECT_EQ(index, openapi_v3_index(builtin_kinds()));
    const auto document = parsed(index);
    const auto url = document.root.text_at({"paths", "api/v1", "serverRelativeURL"});
    EXPECT_TRUE(url.starts_with("/openapi/v3/api/v1?hash=")) << url;
    EXPECT_EQ(url.size(), std::string_view{"/openapi/v3/api/v1?hash="}.size() + 32);
    const auto other =
        document.root.text_at({"paths", "apis/coordination.k8s.io/v1", "serverRelativeURL"});
    EXPECT_TRUE(other.starts_with("/openapi/v3/apis/coordination.k8s.io/v1?hash=")) << other;
    EXPECT_NE(other.substr(other.size() - 32), url.substr(url.size() - 32));
}

TEST(ApiOpenapi, version_3_of_core_has_what_clients_look_for) {
    const auto document = parsed(openapi_v3(builtin_kinds(), {.group = "", .version = "v1"}));
    const Json* schemas = document.root.at_path({"components", "schemas"});
    ASSERT_TRUE(schemas);
    expect_references_resolve(document.root, *schemas, "#/components/schemas/");

    const Json* pod = schemas->find("io.k8s.api.core.v1.Pod");
    ASSERT_TRUE(pod);
    EXPECT_EQ(codec::to_json(*pod->find("x-kubernetes-group-version-kind")),
              R"([{"group":"","kind":"Pod","version":"v1"}])");
    const Json* containers =
        schemas->at_path({"io.k8s.api.core.v1.PodSpec", "properties", "containers"});
    ASSERT_TRUE(containers);
    EXPECT_EQ(containers->text_at({"type"}), "array");
    EXPECT_EQ(containers->text_at({"items", "$ref"}),
              "#/components/schemas/io.k8s.api.core.v1.Container");
    EXPECT_EQ(containers->text_at({"x-kubernetes-list-type"}), "map");
    EXPECT_EQ(containers->text_at({"x-kubernetes-patch-merge-key"}), "name");
    EXPECT_EQ(containers->text_at({"x-kubernetes-patch-strategy"}), "merge");
    const Json* list = schemas->find("io.k8s.api.core.v1.PodList");
    ASSERT_TRUE(list);
    EXPECT_TRUE(list->find("x-kubernetes-group-version-kind"));
    const Json* required = schemas->at_path({"io.k8s.api.core.v1.PodSpec", "required"});
    ASSERT_TRUE(required);
    EXPECT_EQ(codec::to_json(*required), R"(["containers"])");

    const Json* object =
        document.root.at_path({"paths", "/api/v1/namespaces/{namespace}/pods/{name}"});
    ASSERT_TRUE(object);
    const Json* patch = object->find("patch");
    ASSERT_TRUE(patch);
    for (const auto name : {"fieldValidation", "dryRun", "fieldManager", "force"})
        EXPECT_TRUE(has_parameter(*patch, name)) << name;
    EXPECT_EQ(patch->text_at({"x-kubernetes-action"}), "patch");
    EXPECT_EQ(codec::to_json(*patch->find("x-kubernetes-group-version-kind")),
              R"({"group":"","kind":"Pod","version":"v1"})");
    EXPECT_TRUE(patch->at_path({"requestBody", "content", "application/apply-patch+yaml"}));
    EXPECT_TRUE(has_parameter(*object, "namespace"));
    EXPECT_EQ(document.root.text_at({"paths", "/api/v1/namespaces/{namespace}/pods/{name}/eviction",
                                     "post", "requestBody", "content", "*/*", "schema", "$ref"}),
              "#/components/schemas/io.k8s.api.policy.v1.Eviction");
    for (const auto path :
         {"/api/v1/pods", "/api/v1/namespaces/{namespace}/pods", "/api/v1/namespaces/{name}",
          "/api/v1/namespaces/{namespace}/pods/{name}/status",
          "/api/v1/namespaces/{namespace}/pods/{name}/log",
          "/api/v1/namespaces/{namespace}/pods/{name}/exec", "/api/v1/nodes/{name}"})
        EXPECT_TRUE(document.root.at_path({"paths", path})) << path;
}

TEST(ApiOpenapi, what_is_not_there_is_empty) {
    EXPECT_EQ(openapi_v3(builtin_kinds(), {.group = "nope", .version = "v1"}), "");
}

TEST(ApiOpenapi, operation_ids_are_unique) {
    const auto document = parsed(openapi_v2(builtin_kinds()));
    std::set<std::string> seen;
    for (const auto& [path, item] : document.root.find("paths")->members())
        for (const auto& [method, operation] : item.members()) {
            const auto id = operation.text_at({"operationId"});
            if (id.empty()) continue;
            EXPECT_TRUE(seen.insert(std::string{id}).second) << path << " " << id;
        }
    EXPECT_TRUE(seen.contains("listCoreV1NamespacedPod"));
    EXPECT_TRUE(seen.contains("connectCoreV1PostNamespacedPodExec"));
    EXPECT_TRUE(seen.contains("createAuthorizationV1SelfSubjectAccessReview"));
}

size_t fields_with(std::string_view bytes, uint32_t number) {
    size_t count = 0;
    codec::ProtoReader reader{bytes};
    while (reader.next())
        if (reader.number() == number) ++count;
    EXPECT_TRUE(reader.finish());
    return count;
}

TEST(ApiOpenapi, version_2_is_the_same_in_json_and_protobuf) {
    const auto document = parsed(openapi_v2(builtin_kinds()));
    const Json* definitions = document.root.find("definitions");
    ASSERT_TRUE(definitions);
    expect_references_resolve(document.root, *definitions, "#/definitions/");
    EXPECT_EQ(document.root.text_at({"swagger"}), "2.0");

    const auto bytes = openapi_v2_protobuf(builtin_kinds());
    codec::ProtoReader reader{bytes};
    size_t parts = 0;
    while (reader.next()) {
        if (reader.number() == 8) {
            EXPECT_EQ(fields_with(reader.bytes(), 2), document.root.find("paths")->size());
            ++parts;
        } else if (reader.number() == 9) {
            EXPECT_EQ(fields_with(reader.bytes(), 1), definitions->size());
            ++parts;
        }
    }
    EXPECT_TRUE(reader.finish());
    EXPECT_EQ(parts, 2u);
    EXPECT_NE(bytes.find("io.k8s.api.core.v1.PodSpec"), std::string::npos);
    EXPECT_NE(bytes.find("x-kubernetes-patch-merge-key"), std::string::npos);
}

}   // namespace
}   // namespace skiff::api
