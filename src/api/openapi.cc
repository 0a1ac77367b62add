#include "api/openapi.h"

#include <algorithm>
#include <unordered_set>

#include "api/openapi_parts.h"
#include "base/text.h"
#include "codec/protobuf.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;
using openapi::Definitions;
using openapi::Dialect;

constexpr std::string_view title = "Kubernetes";
constexpr std::string_view api_level = "v1.33.0";

// FNV-1a. Stable between runs and machines, so that clients keep what they have.
class Hash {
  public:
    void add(std::string_view text) {
        for (const char byte : text) mix(static_cast<unsigned char>(byte));
        mix(0xff);
    }
    void add(uint64_t number) {
        for (int i = 0; i < 8; ++i, number >>= 8) mix(static_cast<unsigned char>(number));
    }
    std::string text() const {
        char bytes[16];
        for (size_t i = 0; i < 8; ++i) {
            bytes[i] = static_cast<char>(state_ >> (i * 8));
            bytes[i + 8] = static_cast<char>(other_ >> (i * 8));
        }
        return hex({bytes, sizeof bytes});
    }

  private:
    void mix(unsigned char byte) {
        state_ = (state_ ^ byte) * 0x100000001b3u;
        other_ = (other_ + byte) * 0x9e3779b97f4a7c15u ^ (other_ >> 29);
    }
    uint64_t state_ = 0xcbf29ce484222325u;
    uint64_t other_ = 0x84222325cbf29ce4u;
};

void hash_message(Hash& hash, const Message& message) {
    hash.add(message.openapi_name);
    hash.add(message.doc);
    for (const Field& field : message.fields) {
        hash.add(field.name);
        hash.add(field.doc);
        hash.add(field.default_json);
        hash.add(field.merge_key);
        if (field.message) hash.add(field.message->openapi_name);
        for (const auto value : field.enum_values) hash.add(value);
        for (const auto key : field.map_keys) hash.add(key);
        hash.add(static_cast<uint64_t>(field.type) | static_cast<uint64_t>(field.shape) << 8 |
                 static_cast<uint64_t>(field.patch) << 16 |
                 static_cast<uint64_t>(field.list_type) << 24 |
                 static_cast<uint64_t>(field.map_type) << 32 |
                 static_cast<uint64_t>(field.required) << 40);
    }
}

std::string hash_of(std::span<const Kind* const> kinds) {
    constexpr uint64_t form = 1;   // raised when the documents are made differently
    Hash hash;
    hash.add(form);
    for (const Kind* kind : kinds) {
        hash.add(kind->kind);
        hash.add(kind->plural);
        hash.add(kind->verbs);
        hash.add(static_cast<uint64_t>(kind->scope));
        for (const Subresource& sub : kind->subresources) {
            hash.add(sub.name);
            hash.add(sub.verbs);
            hash.add(sub.kind);
        }
    }
    const Definitions definitions{kinds};
    for (const auto& entry : definitions.entries()) {
        hash.add(entry.name);
        if (entry.message) hash_message(hash, *entry.message);
    }
    return hash.text();
}

std::vector<const Kind*> kinds_in(std::span<const Kind* const> kinds, GroupVersion gv) {
    std::vector<const Kind*> found;
    for (const Kind* kind : kinds)
        if (kind->group == gv.group && kind->version == gv.version) found.push_back(kind);
    return found;
}

std::vector<GroupVersion> group_versions(std::span<const Kind* const> kinds) {
    std::vector<GroupVersion> all;
    for (const Kind* kind : kinds) {
        const bool known = std::ranges::any_of(all, [&](const GroupVersion& gv) {
            return gv.group == kind->group && gv.version == kind->version;
        });
        if (!known) all.push_back({kind->group, kind->version});
    }
    return all;
}

std::string path_of(const GroupVersion& gv) {
    return gv.group.empty() ? concat("api/", gv.version)
                            : concat("apis/", gv.group, "/", gv.version);
}

// Calls `write(name, tree)` for each path of the kinds; one tree at a time is in memory.
template <class F>
void each_path_item(Dialect dialect, std::span<const Kind* const> kinds, F&& write) {
    // A kind whose paths another kind has taken (Eviction's are the pod's) shows nothing twice.
    std::unordered_set<std::string> seen;
    for (const Kind* kind : kinds) {
        const auto tag = openapi::tag_of(kind->group, kind->version);
        for (const auto& path : openapi::paths_of(*kind)) {
            if (!seen.insert(path.path).second) continue;
            Arena arena;
            write(path.path, openapi::path_item(dialect, path, tag, arena));
        }
    }
}

template <class F>
void each_definition(Dialect dialect, const Definitions& definitions, F&& write) {
    for (const auto& entry : definitions.entries()) {
        Arena arena;
        write(entry.name, openapi::definition(dialect, entry, arena));
    }
}

// Writes `"name":value` pairs with commas between.
struct MemberWriter {
    std::string& out;
    bool first = true;
    void operator()(std::string_view name, const Json& value) {
        if (!first) out += ',';
        first = false;
        codec::write_json_string(name, out);
        out += ':';
        codec::write_json(value, out);
    }
};

std::string info_json() {
    return concat(R"("info":{"title":")", title, R"(","version":")", api_level, R"("})");
}

}   // namespace

std::string openapi_v3_index(std::span<const Kind* const> kinds) {
    std::string out = R"({"paths":{)";
    bool first = true;
    for (const GroupVersion& gv : group_versions(kinds)) {
        const auto path = path_of(gv);
        append(out, first ? "\"" : ",\"", path, R"(":{"serverRelativeURL":"/openapi/v3/)", path,
               "?hash=", hash_of(kinds_in(kinds, gv)), "\"}");
        first = false;
    }
    return out + "}}";
}

std::string openapi_v3(std::span<const Kind* const> kinds, GroupVersion gv) {
    const auto own = kinds_in(kinds, gv);
    if (own.empty()) return "";
    std::string out = concat(R"({"openapi":"3.0.0",)", info_json(), R"(,"paths":{)");
    each_path_item(Dialect::V3, own, MemberWriter{out});
    out += R"(},"components":{"schemas":{)";
    each_definition(Dialect::V3, Definitions{own}, MemberWriter{out});
    return out + "}}}";
}

std::string openapi_v2(std::span<const Kind* const> kinds) {
    std::string out = concat(R"({"swagger":"2.0",)", info_json(), R"(,"paths":{)");
    each_path_item(Dialect::V2, kinds, MemberWriter{out});
    out += R"(},"definitions":{)";
    each_definition(Dialect::V2, Definitions{kinds}, MemberWriter{out});
    return out + "}}";
}

std::string openapi_v2_protobuf(std::span<const Kind* const> kinds) {
    std::string out;
    codec::ProtoWriter writer{out};
    writer.text(1, "2.0");
    writer.message(2, [&] {
        writer.text(1, title);
        writer.text(2, api_level);
    });
    writer.message(8, [&] {
        each_path_item(Dialect::V2, kinds, [&](std::string_view path, const Json& item) {
            writer.message(2, [&] {
                writer.text(1, path);
                writer.message(2, [&] { openapi::write_path_item_protobuf(item, out); });
            });
        });
    });
    writer.message(9, [&] {
        const Definitions definitions{kinds};
        each_definition(Dialect::V2, definitions, [&](std::string_view name, const Json& schema) {
            writer.message(1, [&] {
                writer.text(1, name);
                writer.message(2, [&] { openapi::write_schema_protobuf(schema, out); });
            });
        });
    });
    return out;
}

}   // namespace skiff::api
