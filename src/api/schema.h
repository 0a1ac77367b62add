// The Kubernetes API as tables: one description of every message and kind, from which one walker
// each decodes, defaults, validates, patches, prints and documents. Built-in tables are constexpr,
// made from schema/*.api by tools/schemagen.py; a custom resource's are built at run time.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace skiff::api {

enum class Type : uint8_t {
    Bool,
    Int32,
    Int64,
    Double,
    String,
    Bytes,   // base64 in JSON
    Time,    // metav1.Time: RFC 3339 text, or null
    MicroTime,
    Duration,   // Go duration text
    Quantity,   // text; a number is accepted and kept as text
    IntOrString,
    Message,      // `message` says which
    Any,          // RawExtension, JSON: any value
    FieldsV1,     // any object
    StringList,   // a named list of strings in Go (ExtraValue, Verbs); a message in protobuf
};

enum class Shape : uint8_t { Single, List, Map };   // Map: from string

enum class Presence : uint8_t {
    Plain,      // Go zero value when absent; written without it when zero ("omitempty")
    Optional,   // a pointer: absent and zero differ
    Always,     // written even when zero or empty (no omitempty upstream, e.g. `status.replicas`)
};

enum class PatchStrategy : uint8_t { Replace, Merge, RetainKeys, MergeRetainKeys };
enum class ListType : uint8_t { Atomic, Set, Map };   // x-kubernetes-list-type; maps: MapType
enum class MapType : uint8_t { Granular, Atomic };    // also of structs

// A check on one field that a table can say. Others are functions beside the kind (rules.h).
enum class Format : uint8_t {
    None,
    Dns1123Label,
    Dns1123Subdomain,
    Dns1035Label,
    QualifiedName,   // label key
    LabelValue,
    PortNumber,
    PortName,
    Ip,
    Cidr,
    EnvVarName,
    ConfigMapKey,
    AbsolutePath,
    Uuid,
};

struct Message;

struct Field {
    uint32_t number = 0;     // Kubernetes' protobuf field number; 0: apiVersion and kind,
                             // which stand in the JSON only
    std::string_view name;   // the wire spelling
    Type type = Type::String;
    Shape shape = Shape::Single;
    Presence presence = Presence::Plain;
    bool required = false;
    bool immutable = false;
    bool inline_ = false;               // Go's json:",inline": its fields stand in the parent
    const Message* message = nullptr;   // Type::Message, or the values of a Map/List of messages
    std::string_view default_json;      // "" none; else JSON text, e.g. `10`, `"Always"`, `{}`
    std::span<const std::string_view> enum_values;   // empty: any
    bool has_min = false;
    bool has_max = false;
    int64_t min = 0;
    int64_t max = 0;
    Format format = Format::None;
    PatchStrategy patch = PatchStrategy::Replace;
    std::string_view merge_key;   // strategic merge patch
    ListType list_type = ListType::Atomic;
    std::span<const std::string_view> map_keys;   // ListType::Map
    MapType map_type = MapType::Granular;
    bool unique = false;        // a list's map_keys, or a set's elements, must differ: not
                                // said where upstream lets them repeat
    std::string_view doc;       // a sentence in our own words, for `kubectl explain`
    uint16_t since_minor = 0;   // the 1.x release the field came in; 0: long ago
};

struct Message {
    std::string_view name;   // "core.v1.PodSpec"; as OpenAPI's io.k8s.api.core.v1.PodSpec
    std::span<const Field> fields;
    std::string_view doc;
    std::string_view openapi_name;   // "io.k8s.api.core.v1.PodSpec"
    // Every field as JSON has it, those of inline_ messages in their place; empty for tables made
    // at run time, which have no inline_ ones. And its index by name (see field_of).
    std::span<const Field* const> all;
    std::span<const uint8_t> slots;
    uint32_t hash_seed = 0;

    std::string_view short_name() const { return name.substr(name.rfind('.') + 1); }   // "PodSpec"
    std::string_view go_name() const;   // "v1.PodSpec"
};
const Field* field_of(const Message& message, std::string_view name);   // also through inline_ ones
const Field* field_of(const Message& message, uint32_t number);   // its own, inline_ ones as such

struct Column {
    std::string_view name;     // "Ready"
    std::string_view type;     // "string", "integer", "date"
    std::string_view format;   // "name" for the first, else ""
    std::string_view doc;
    int priority = 0;        // 1: only with -o wide
    std::string_view cell;   // a template: "{status.readyReplicas}/{spec.replicas}" or
                             // "@function", a C++ function by that name (api/printers.h)
};

struct Subresource {
    std::string_view name;    // "status", "scale", "log", "binding", ...
    std::string_view kind;    // the kind it speaks: "Pod", "Scale", "Eviction", ...
    std::string_view group;   // of that kind
    std::string_view version;
    std::string_view verbs;   // "get,patch,update"
};

enum class Scope : uint8_t { Namespaced, Cluster };

// A difference of a served version from the stored one; most versions need only these.
struct Difference {
    enum class Kind : uint8_t { Rename, Move, Absent, Default, Function } kind;
    std::string_view path;          // in the served version: "spec.rollbackTo"
    std::string_view stored_path;   // Rename, Move
    std::string_view value;         // Default: JSON text; Function: its name (api/conversions.h)
};

// A kind as one served version. Several share a `stored`.
struct Kind {
    std::string_view group;       // "" for core
    std::string_view version;     // "v1"
    std::string_view kind;        // "Pod"
    std::string_view list_kind;   // "PodList"
    std::string_view plural;      // "pods"
    std::string_view singular;    // "pod"
    std::span<const std::string_view> short_names;
    std::span<const std::string_view> categories;
    Scope scope = Scope::Namespaced;
    std::string_view verbs;   // "create,delete,…", sorted; review kinds: "create"; stored
                              // nowhere when no get
    const Message* message = nullptr;
    std::span<const Subresource> subresources;
    std::span<const Column> columns;
    std::span<const std::string_view> selectable_fields;   // beyond metadata.name and .namespace
    std::string_view storage_prefix;                       // "/registry/pods/"
    const Kind* stored = nullptr;                          // null: this is the stored version
    std::span<const Difference> differences;
    bool has_status = false;   // status is split off (generation counts spec changes)
    bool has_generation = false;
    std::string_view rules;         // names the C++ functions of the kind (api/rules.h); "" none
    std::string_view name_format;   // "dns1123subdomain" (default), "dns1123label",
                                    // "dns1035label", "path"
    bool deprecated = false;
    std::string_view replacement;            // for the Warning header: "apps/v1 Deployment"
    std::string_view deprecated_since;       // "v1.22"
    const Message* list_message = nullptr;   // PodList; null when the kind cannot be listed
    // Changes when a field anywhere below the kind does (not its words): stored bytes that carry
    // another one are normalised before use. Never 0 for a built-in kind.
    uint32_t schema_revision = 0;

    std::string api_version() const;   // "v1", "apps/v1"
};

const Kind& stored_kind(const Kind& kind);

// Every built-in kind, stored and served versions, preferred version of a group first.
std::span<const Kind* const> builtin_kinds();
// A built-in kind by its names; null if there is none.
const Kind* builtin_kind(std::string_view group, std::string_view version, std::string_view kind);
// A built-in message by name ("meta.v1.ObjectMeta"); null if there is none.
const Message* builtin_message(std::string_view name);

}   // namespace skiff::api
