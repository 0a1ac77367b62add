// The parts that both OpenAPI versions are put together from. Each is a small tree that is written
// out and thrown away, so that a whole document never stands in memory as a tree.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/openapi.h"
#include "api/schema.h"
#include "codec/json.h"

namespace skiff::api::openapi {

enum class Dialect : uint8_t { V2, V3 };

// A group, version and kind, as x-kubernetes-group-version-kind tells it.
struct GroupVersionKind {
    std::string_view group;
    std::string_view version;
    std::string_view kind;
};
codec::Json gvk_json(const GroupVersionKind& gvk, codec::Arena& arena);
// What a subresource speaks; null when the schema does not have it (PodExecOptions …).
const Message* message_of(const Kind& kind, const Subresource& sub);

// What a document defines: every message that its kinds reach, by name, and the built-in names
// that are no messages (Time, Quantity …).
class Definitions {
  public:
    explicit Definitions(std::span<const Kind* const> kinds);   // of the document
    struct Entry {
        std::string_view name;              // "io.k8s.api.core.v1.Pod"
        const Message* message = nullptr;   // null: one of the built-in names
        std::vector<GroupVersionKind> kinds;
    };
    std::span<const Entry> entries() const { return entries_; }   // sorted by name

  private:
    void reach(const Message& message);
    void note(std::string_view name, const Message* message);
    void note_kind(const Message* message, const GroupVersionKind& gvk);

    std::vector<Entry> entries_;
};

codec::Json definition(Dialect dialect, const Definitions::Entry& entry, codec::Arena& arena);
codec::Json reference(Dialect dialect, std::string_view name, codec::Arena& arena);

// The paths of a kind and its subresources.
struct Path {
    std::string path;   // "/api/v1/namespaces/{namespace}/pods/{name}"
    struct Operation {
        std::string_view method;   // "get", "put", "post", "patch", "delete"
        std::string_view action;   // x-kubernetes-action
        std::string id;            // "readCoreV1NamespacedPod"
        GroupVersionKind gvk;
        std::string_view body;     // a definition's name; "" none
        std::string_view answer;   // likewise; "" text
    };
    std::vector<Operation> operations;
    bool named = false;
    bool namespaced = false;
};
std::vector<Path> paths_of(const Kind& kind);
codec::Json path_item(Dialect dialect, const Path& path, std::string_view tag, codec::Arena& arena);
std::string tag_of(std::string_view group, std::string_view version);   // "core_v1"

// From a version 2 tree to gnostic's messages, appended to `out`.
void write_schema_protobuf(const codec::Json& schema, std::string& out);
void write_path_item_protobuf(const codec::Json& item, std::string& out);

}   // namespace skiff::api::openapi
