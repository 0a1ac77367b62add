// JSON patch (RFC 6902) and JSON merge patch (RFC 7386).
#include "api/patch.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

constexpr size_t operations_max = 10'000;
// What all copy operations of a patch may add; else ten of them make a gigabyte. Upstream allows
// the largest body; here it depends on what there is, too.
constexpr size_t copied_bytes_max = limits::request_body_bytes_max;
constexpr size_t copied_bytes_free = 128u << 10;
constexpr size_t copied_bytes_per_byte = 4;

std::unexpected<Error> malformed(std::string message) {
    return fail(Reason::BadRequest, concat("error decoding patch: ", message));
}

std::unexpected<Error> does_not_apply(std::string_view operation, std::string_view detail) {
    return fail(Reason::Invalid,
                concat("the server rejected our request due to an error in our request: ",
                       operation, " operation does not apply: ", detail));
}

// RFC 6901.
struct Pointer {
    std::string_view text;
    std::vector<std::string> tokens;
};

Result<Pointer> parse_pointer(const Json& operation, std::string_view member) {
    const Json* path = operation.find(member);
    if (!path || !path->is_string()) return malformed(concat("operation has no ", member));
    Pointer pointer{.text = path->as_string(), .tokens = {}};
    if (pointer.text.empty()) return pointer;
    if (pointer.text[0] != '/')
        return malformed(concat("'", pointer.text, "' must be empty or begin with '/'"));
    for (const auto part : split(pointer.text.substr(1), '/')) {
        auto& token = pointer.tokens.emplace_back();
        for (size_t i = 0; i < part.size(); ++i) {
            const bool escape =
                part[i] == '~' && i + 1 < part.size() && (part[i + 1] == '0' || part[i + 1] == '1');
            token += !escape ? part[i] : part[i + 1] == '0' ? '~' : '/';
            i += escape ? 1 : 0;
        }
    }
    return pointer;
}

std::optional<size_t> index_of(std::string_view token) {
    if (token.size() > 1 && token[0] == '0') return std::nullopt;
    const auto number = parse_number<uint32_t>(token);
    if (!number) return std::nullopt;
    return *number;
}

Json* child_of(Json& parent, std::string_view token) {
    if (parent.is_object()) return parent.find(token);
    const auto index = parent.is_array() ? index_of(token) : std::nullopt;
    return index && *index < parent.size() ? &parent.items()[*index] : nullptr;
}

// The value at the pointer without its last `short_of` tokens; null when something is missing.
Json* resolve(Json& root, const Pointer& pointer, size_t short_of = 0) {
    Json* at = &root;
    for (size_t i = 0; at && i + short_of < pointer.tokens.size(); ++i)
        at = child_of(*at, pointer.tokens[i]);
    return at;
}

size_t text_size(const Json& value) {
    size_t size = 8 + value.text().size();
    for (const auto& item : value.items()) size += text_size(item);
    for (const auto& member : value.members()) size += member.key.size() + text_size(member.value);
    return size;
}

class JsonPatch {
  public:
    JsonPatch(Json& root, const Json& patch, Arena& arena)
        : root_{root},
          arena_{arena},
          copied_most_{std::min(
              copied_bytes_max,
              copied_bytes_free + copied_bytes_per_byte * (text_size(root) + text_size(patch)))} {}

    Result<> apply(const Json& operation) {
        if (!operation.is_object()) return malformed("an operation must be an object");
        const auto op = operation.text_at({"op"});
        TRY(const auto path, parse_pointer(operation, "path"));
        if (op == "remove") return remove(op, path);
        if (op == "move" || op == "copy") {
            TRY(const auto from, parse_pointer(operation, "from"));
            return op == "move" ? move(from, path) : copy(from, path);
        }
        if (op != "add" && op != "replace" && op != "test")
            return malformed(concat("unexpected kind of operation: '", op, "'"));
        const Json* value = operation.find("value");
        static const Json null;
        // Go's decoder does not tell a null value from none.
        if (!value) value = &null;
        if (op == "test") return test(path, *value);
        if (op == "add") return add(op, path, value->deep_copy(arena_));
        Json* found = resolve(root_, path);
        if (!found) return missing(op, path);
        *found = value->deep_copy(arena_);
        return {};
    }

  private:
    static std::unexpected<Error> missing(std::string_view op, const Pointer& path) {
        return does_not_apply(op, concat("doc is missing path: ", path.text, ": missing value"));
    }

    Result<> add(std::string_view op, const Pointer& path, Json value) {
        if (path.tokens.empty()) {
            root_ = value;
            return {};
        }
        Json* parent = resolve(root_, path, 1);
        if (!parent) return missing(op, path);
        const auto& last = path.tokens.back();
        if (parent->is_object()) {
            parent->set(arena_, last, value);
            return {};
        }
        if (!parent->is_array()) return missing(op, path);
        const auto index = last == "-" ? parent->size() : index_of(last);
        if (!index || *index > parent->size())
            return does_not_apply(
                op, concat("doc is missing index: ", path.text, ": invalid index referenced"));
        parent->insert(arena_, *index, value);
        return {};
    }

    Result<> remove(std::string_view op, const Pointer& path) {
        Json* parent = path.tokens.empty() ? nullptr : resolve(root_, path, 1);
        if (!parent || !child_of(*parent, path.tokens.back())) return missing(op, path);
        if (parent->is_object())
            parent->remove(path.tokens.back());
        else
            parent->remove_at(*index_of(path.tokens.back()));
        return {};
    }

    Result<> move(const Pointer& from, const Pointer& path) {
        if (path.text.starts_with(concat(from.text, "/")))
            return does_not_apply("move", "a value cannot be moved into itself");
        const Json* found = resolve(root_, from);
        if (!found) return missing("move", from);
        const Json value = *found;
        if (from.text == path.text) return {};
        TRY_OK(remove("move", from));
        return add("move", path, value);
    }

    Result<> copy(const Pointer& from, const Pointer& path) {
        const Json* found = resolve(root_, from);
        if (!found) return missing("copy", from);
        copied_bytes_ += text_size(*found);
        if (copied_bytes_ > copied_most_)
            return does_not_apply("copy",
                                  concat("the copied size would exceed ", copied_most_, " bytes"));
        return add("copy", path, found->deep_copy(arena_));
    }

    Result<> test(const Pointer& path, const Json& value) {
        const Json* found = resolve(root_, path);
        if (found ? *found == value : value.is_null()) return {};
        return fail(Reason::Invalid,
                    concat("the server rejected our request due to an error in our request: "
                           "testing value ",
                           path.text, " failed: test failed"));
    }

    Json& root_;
    Arena& arena_;
    size_t copied_most_;
    size_t copied_bytes_ = 0;
};

// The patch's value for a member that was not there: as it is, without its nulls.
Json without_nulls(const Json& value, Arena& arena) {
    Json copy = value.deep_copy(arena);
    const auto clean = [](auto&& self, Json& at) -> void {
        at.remove_members_if([](const Json::Member& member) { return member.value.is_null(); });
        for (auto& member : at.members()) self(self, member.value);
    };
    clean(clean, copy);
    return copy;
}

}   // namespace

Result<> apply_json_patch(Json& target, const Json& patch, Arena& arena) {
    if (!patch.is_array()) return malformed("a JSON patch must be an array of operations");
    if (patch.size() > operations_max)
        return fail(Reason::RequestEntityTooLarge,
                    concat("The allowed maximum operations in a JSON patch is ", operations_max,
                           ", got ", patch.size()));
    JsonPatch applied{target, patch, arena};
    for (const auto& operation : patch.items()) TRY_OK(applied.apply(operation));
    return {};
}

void apply_merge_patch(Json& target, const Json& patch, Arena& arena) {
    if (!patch.is_object()) {
        target = patch.deep_copy(arena);
        return;
    }
    if (!target.is_object()) {
        target = without_nulls(patch, arena);
        return;
    }
    for (const auto& [key, value] : patch.members()) {
        if (value.is_null())
            target.remove(key);
        else if (Json* member = target.find(key))
            apply_merge_patch(*member, value, arena);
        else
            target.set(arena, key, without_nulls(value, arena));
    }
}

}   // namespace skiff::api
