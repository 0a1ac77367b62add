// Between served versions and the stored one, by the differences that the schema lists. What it
// does not list is equal; what only the stored form can say survives a PUT of the other.
#include <algorithm>

#include "api/conversions.h"
#include "api/normalize.h"
#include "api/tree_path.h"
#include "base/text.h"

namespace skiff::api {
namespace {

bool moves(const Difference& difference) {
    return difference.kind == Difference::Kind::Rename || difference.kind == Difference::Kind::Move;
}

// All values are taken before the first is put, so that two fields can change places.
template <class From, class To>
void move_values(const Kind& served, Json& object, Arena& arena, From from, To to) {
    std::vector<Json> taken;
    for (const Difference& difference : served.differences)
        if (moves(difference)) taken.push_back(take_path(object, from(difference)));
    size_t next = 0;
    for (const Difference& difference : served.differences) {
        if (!moves(difference)) continue;
        const Json value = taken[next++];
        if (!value.is_null()) set_path(object, to(difference), value, arena);
    }
}

// The stored object's part that a served version cannot say, copied from `existing`.
class Keeper {
  public:
    Keeper(const Kind& served, Arena& arena) : served_{served}, arena_{arena} {}

    void keep(const Message& served, const Message& stored, Json& object, const Json& existing,
              const std::string& path) {
        for (const auto& [key, value] : existing.members()) {
            const Field* there = field_of(stored, key);
            if (!there || there->number == 0) continue;
            const std::string at = path.empty() ? std::string{key} : concat(path, ".", key);
            if (is_placed_by_a_move(at)) continue;
            const Field* here = is_taken_by_a_move(at) ? nullptr : field_of(served, key);
            if (!here || is_absent(at)) {
                if (!object.find(key)) object.set(arena_, key, value.deep_copy(arena_));
                continue;
            }
            keep_below(*here, *there, object.find(key), value, at);
        }
    }

  private:
    void keep_below(const Field& here, const Field& there, Json* value, const Json& existing,
                    const std::string& path) {
        if (!value || !here.message || !there.message) return;
        const bool same = here.message == there.message && !differs_below(path);
        if (same || here.shape != there.shape) return;
        if (there.shape == Shape::Single && value->is_object() && existing.is_object())
            keep(*here.message, *there.message, *value, existing, path);
        const auto keys = !there.map_keys.empty()    ? there.map_keys
                          : !there.merge_key.empty() ? std::span{&there.merge_key, 1}
                                                     : std::span<const std::string_view>{};
        if (there.shape != Shape::List || keys.empty()) return;
        for (Json& item : value->items()) {
            const auto olds = existing.items();
            const auto old = std::ranges::find_if(olds, [&](const Json& one) {
                return std::ranges::all_of(keys, [&](std::string_view key) {
                    const Json *left = item.find(key), *right = one.find(key);
                    return left && right && *left == *right;
                });
            });
            if (old != olds.end() && item.is_object())
                keep(*here.message, *there.message, item, *old, path);
        }
    }

    // Whether the served version says it under another name.
    bool is_placed_by_a_move(const std::string& stored_path) const {
        return std::ranges::any_of(served_.differences, [&](const Difference& difference) {
            return moves(difference) && difference.stored_path == stored_path;
        });
    }
    // Whether the served version means something else by this name.
    bool is_taken_by_a_move(const std::string& stored_path) const {
        return std::ranges::any_of(served_.differences, [&](const Difference& difference) {
            return moves(difference) && difference.path == stored_path;
        });
    }
    bool is_absent(const std::string& stored_path) const {
        return std::ranges::any_of(served_.differences, [&](const Difference& difference) {
            return difference.kind == Difference::Kind::Absent &&
                   difference.stored_path == stored_path;
        });
    }
    bool differs_below(const std::string& stored_path) const {
        const std::string prefix = stored_path + ".";
        return std::ranges::any_of(served_.differences, [&](const Difference& difference) {
            return difference.stored_path.starts_with(prefix);
        });
    }

    const Kind& served_;
    Arena& arena_;
};

const Conversion* function_of(const Difference& difference) {
    if (difference.kind != Difference::Kind::Function) return nullptr;
    const Conversion* conversion = conversion_of(difference.value);
    ASSERT(conversion != nullptr);   // the schema names only what conversions.cc has
    return conversion;
}

void set_type(const Kind& kind, Json& object, Arena& arena) {
    const Json version = Json::string(arena, kind.api_version());
    if (object.find("kind") && object.find("apiVersion")) {
        object.set_borrowed(arena, "kind", Json::borrowed(kind.kind));
        object.set_borrowed(arena, "apiVersion", version);
        return;
    }
    Json typed = Json::object();
    typed.set_borrowed(arena, "kind", Json::borrowed(kind.kind));
    typed.set_borrowed(arena, "apiVersion", version);
    for (const auto& [key, value] : object.members())
        if (key != "kind" && key != "apiVersion") typed.set_borrowed(arena, key, value);
    object = typed;
}

}   // namespace

Result<> to_stored(const Kind& served, Json& object, const Json* existing, Arena& arena) {
    const Kind& stored = stored_kind(served);
    if (served.stored) {
        move_values(
            served, object, arena, [](const Difference& d) { return d.path; },
            [](const Difference& d) { return d.stored_path; });
        for (const Difference& difference : served.differences)
            if (const auto* function = function_of(difference); function && function->to_stored)
                TRY_OK(function->to_stored(object, existing, arena));
        if (existing)
            Keeper{served, arena}.keep(*served.message, *stored.message, object, *existing, "");
        NormalizeReport ignored;
        TRY_OK(normalize(*stored.message, object, arena, ignored));
        apply_defaults(stored, object, arena);
    }
    set_type(stored, object, arena);
    return {};
}

Result<> from_stored(const Kind& served, Json& object, Arena& arena) {
    if (served.stored) {
        for (const Difference& difference : served.differences) {
            if (difference.kind == Difference::Kind::Absent)
                take_path(object, difference.stored_path);
            if (const auto* function = function_of(difference); function && function->from_stored)
                TRY_OK(function->from_stored(object, arena));
        }
        move_values(
            served, object, arena, [](const Difference& d) { return d.stored_path; },
            [](const Difference& d) { return d.path; });
        NormalizeReport ignored;
        TRY_OK(normalize(*served.message, object, arena, ignored));   // drops what it cannot say
    }
    set_type(served, object, arena);
    return {};
}

}   // namespace skiff::api
