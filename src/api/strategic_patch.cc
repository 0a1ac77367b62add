// Kubernetes' strategic merge patch: merge patch that knows from the schema which lists merge by
// which key, with directives for what a merge cannot say. Semantics from the API conventions and
// apimachinery's strategicpatch package, server side.
#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "api/patch.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

constexpr std::string_view patch_directive = "$patch";
constexpr std::string_view retain_directive = "$retainKeys";
constexpr std::string_view order_prefix = "$setElementOrder/";
constexpr std::string_view delete_prefix = "$deleteFromPrimitiveList/";

// What stands at one place of the tree. Nothing is known below a field the schema does not have:
// objects merge there, lists are replaced.
struct Place {
    const Message* message = nullptr;
    bool map = false;   // an object of such messages by any key

    const Field* field(std::string_view key) const {
        return message && !map ? field_of(*message, key) : nullptr;
    }
    Place child(std::string_view key) const {
        if (map) return {message, false};
        const Field* found = field(key);
        return found ? Place{found->message, found->shape == Shape::Map} : Place{};
    }
};

std::unexpected<Error> malformed(std::string message) {
    return fail(Reason::BadRequest, std::move(message));
}

bool is_directive(std::string_view key) {
    return key == patch_directive || key == retain_directive || key.starts_with(order_prefix) ||
           key.starts_with(delete_prefix);
}

// A patch's value as content: a copy without nulls and directives. Nothing when the value itself
// is a directive.
std::optional<Json> content_of(const Json& patch, Arena& arena) {
    if (patch.is_object()) {
        if (patch.find(patch_directive)) return std::nullopt;
        Json content = Json::object();
        for (const auto& [key, value] : patch.members()) {
            if (value.is_null() || is_directive(key)) continue;
            if (const auto inner = content_of(value, arena)) content.set(arena, key, *inner);
        }
        return content;
    }
    if (patch.is_array()) {
        Json content = Json::array();
        for (const auto& item : patch.items())
            if (const auto inner = content_of(item, arena)) content.push(arena, *inner);
        return content;
    }
    return patch.deep_copy(arena);
}

// Tells elements apart: by the merge key's value, or by the value itself.
class Identity {
  public:
    explicit Identity(std::string_view merge_key) : merge_key_{merge_key} {}

    Result<std::string> of(const Json& item) const {
        if (merge_key_.empty()) return codec::to_json(item);
        const Json* key = item.find(merge_key_);
        if (!key)
            return malformed(concat("map: ", codec::to_json(item),
                                    " does not contain declared merge key: ", merge_key_));
        return codec::to_json(*key);
    }

  private:
    std::string_view merge_key_;
};

// Places by identity; of equal ones the first.
using Ranks = std::unordered_map<std::string, size_t>;

Result<Ranks> ranks_of(const Identity& identity, std::span<const Json> items) {
    Ranks ranks;
    for (size_t i = 0; i < items.size(); ++i) {
        if (items[i].find(patch_directive)) continue;
        TRY(auto id, identity.of(items[i]));
        ranks.emplace(std::move(id), i);
    }
    return ranks;
}

struct ListPatch {
    const Field* field = nullptr;
    std::string_view name;
    const Json* items = nullptr;   // null: the list is only ordered
    const Json* order = nullptr;   // of $setElementOrder
};

class StrategicMerge {
  public:
    explicit StrategicMerge(Arena& arena) : arena_{arena} {}
    Result<> merge_object(Place place, Json& target, const Json& patch);

  private:
    Result<bool> follow_directive(Json& target, const Json& patch);
    Result<> retain_keys(Json& target, const Json& patch);
    Result<> merge_ordered_list(Place place, Json& target, const Json& patch, std::string_view name,
                                const Json& order);
    Result<> merge_member(Place place, Json& target, std::string_view key, const Json& value);
    Result<> merge_list(Place element, Json& target, const ListPatch& patch);
    Result<std::vector<Json>> merge_elements(Place element, const Identity& identity,
                                             std::vector<Json> live, const ListPatch& patch);
    Result<> delete_values(Json& target, std::string_view name, const Json& values);
    static Result<> check_order(const Identity& identity, const ListPatch& patch);

    Arena& arena_;
};

Result<> StrategicMerge::merge_object(Place place, Json& target, const Json& patch) {
    TRY(const bool done, follow_directive(target, patch));
    if (done) return {};
    TRY_OK(retain_keys(target, patch));
    for (const auto& [key, value] : patch.members()) {
        if (!key.starts_with(order_prefix)) continue;
        TRY_OK(merge_ordered_list(place, target, patch, key.substr(order_prefix.size()), value));
    }
    for (const auto& [key, value] : patch.members()) {
        if (key.starts_with(delete_prefix)) {
            TRY_OK(delete_values(target, key.substr(delete_prefix.size()), value));
            continue;
        }
        if (is_directive(key)) continue;
        if (value.is_array() && patch.find(concat(order_prefix, key))) continue;   // merged above
        TRY_OK(merge_member(place, target, key, value));
    }
    return {};
}

// True when the object's own $patch has said all.
Result<bool> StrategicMerge::follow_directive(Json& target, const Json& patch) {
    const Json* directive = patch.find(patch_directive);
    if (!directive) return false;
    if (directive->text() == "delete") {
        target = Json::object();
    } else if (directive->text() == "replace") {
        Json content = Json::object();
        for (const auto& [key, value] : patch.members()) {
            if (value.is_null() || is_directive(key)) continue;
            if (const auto inner = content_of(value, arena_)) content.set(arena_, key, *inner);
        }
        target = content;
    } else {
        return malformed(
            concat("unknown patch type: ", directive->text(), " in map: ", codec::to_json(patch)));
    }
    return true;
}

Result<> StrategicMerge::retain_keys(Json& target, const Json& patch) {
    const Json* retained = patch.find(retain_directive);
    if (!retained) return {};
    if (!retained->is_array()) return malformed("invalid patch format of retainKeys");
    std::unordered_set<std::string_view> keys;
    for (const auto& key : retained->items()) keys.insert(key.text());
    for (const auto& [key, value] : patch.members()) {
        if (value.is_null() || is_directive(key)) continue;
        if (!keys.contains(key)) return malformed("invalid patch format of retainKeys");
    }
    target.remove_members_if(
        [&](const Json::Member& member) { return !keys.contains(member.key); });
    return {};
}

Result<> StrategicMerge::merge_ordered_list(Place place, Json& target, const Json& patch,
                                            std::string_view name, const Json& order) {
    if (!order.is_array()) return malformed("invalid patch format of setElementOrder list");
    const Json* items = patch.find(name);
    if (items && !items->is_array()) items = nullptr;   // null or wrong: as if it stood alone
    Json* live = target.find(name);
    if (live && !live->is_array()) live = nullptr;
    if (!items && !live) return {};
    if (!live) live = &target.set(arena_, name, Json::array());
    const Field* field = place.field(name);
    return merge_list(place.child(name), *live, {field, name, items, &order});
}

Result<> StrategicMerge::merge_member(Place place, Json& target, std::string_view key,
                                      const Json& value) {
    if (value.is_null()) {
        target.remove(key);
        return {};
    }
    Json* live = target.find(key);
    if (live && live->is_object() && value.is_object())
        return merge_object(place.child(key), *live, value);
    const Field* field = place.field(key);
    const bool merges =
        field && field->shape == Shape::List &&
        (field->patch == PatchStrategy::Merge || field->patch == PatchStrategy::MergeRetainKeys);
    if (live && live->is_array() && value.is_array() && merges)
        return merge_list(place.child(key), *live, {field, key, &value, nullptr});
    if (const auto content = content_of(value, arena_))
        target.set(arena_, key, *content);
    else
        target.remove(key);
    return {};
}

// Every element that the patch names must stand in the order, and in this order.
Result<> StrategicMerge::check_order(const Identity& identity, const ListPatch& patch) {
    if (!patch.items || !patch.order || patch.order->empty()) return {};
    const auto ordered = patch.order->items();
    size_t next = 0;
    for (const auto& item : patch.items->items()) {
        if (item.find(patch_directive)) continue;
        TRY(const auto id, identity.of(item));
        for (; next < ordered.size(); ++next) {
            TRY(const auto other, identity.of(ordered[next]));
            if (other == id) break;
        }
        if (next == ordered.size())
            return malformed(concat("The order in patch list:\n", codec::to_json(*patch.items),
                                    "\n doesn't match $setElementOrder list:\n",
                                    codec::to_json(*patch.order), "\n"));
        ++next;
    }
    return {};
}

Result<> StrategicMerge::merge_list(Place element, Json& target, const ListPatch& patch) {
    const bool objects =
        patch.field ? patch.field->message != nullptr
                    : std::ranges::any_of(target.items(), [](auto& i) { return i.is_object(); });
    const std::string_view merge_key = patch.field ? patch.field->merge_key : std::string_view{};
    if (objects && merge_key.empty())
        return malformed(concat("cannot merge lists without merge key for ", patch.name));
    const Identity identity{merge_key};
    TRY_OK(check_order(identity, patch));
    const std::span<const Json> live = target.items();
    TRY(const auto live_ranks, ranks_of(identity, live));
    std::vector<Json> merged{live.begin(), live.end()};
    if (patch.items) {
        TRY(merged, merge_elements(element, identity, std::move(merged), patch));
    }

    // What the patch names goes in its order; the rest of the live list keeps its own, each before
    // the first named one that stood behind it.
    const Json& order = patch.order ? *patch.order : *patch.items;
    TRY(const auto order_ranks, ranks_of(identity, order.items()));
    struct Ranked {
        Json item;
        std::optional<size_t> order;
        std::optional<size_t> live;
    };
    const auto rank_in = [](const Ranks& ranks, const std::string& id) {
        const auto at = ranks.find(id);
        return at == ranks.end() ? std::nullopt : std::optional{at->second};
    };
    std::vector<Ranked> named;
    std::vector<Ranked> others;
    for (const auto& item : merged) {
        TRY(const auto id, identity.of(item));
        const Ranked ranked{item, rank_in(order_ranks, id), rank_in(live_ranks, id)};
        (ranked.order ? named : others).push_back(ranked);
    }
    std::ranges::stable_sort(named, {}, &Ranked::order);
    Json result = Json::array();
    for (size_t i = 0, j = 0; i < others.size() || j < named.size();) {
        const bool other = j == named.size() || (i < others.size() && others[i].live &&
                                                 named[j].live && *others[i].live < *named[j].live);
        result.push(arena_, other ? others[i++].item : named[j++].item);
    }
    target = result;
    return {};
}

Result<std::vector<Json>> StrategicMerge::merge_elements(Place element, const Identity& identity,
                                                         std::vector<Json> live,
                                                         const ListPatch& patch) {
    std::unordered_set<std::string> deleted;
    for (const auto& item : patch.items->items()) {
        const Json* directive = item.find(patch_directive);
        if (!directive) continue;
        if (directive->text() == "replace") {
            live.clear();
        } else if (directive->text() == "delete") {
            TRY(auto id, identity.of(item));
            deleted.insert(std::move(id));
        } else if (directive->text() == "merge") {
            return malformed("merging lists cannot yet be specified in the patch");
        } else {
            return malformed(concat("unknown patch type: ", directive->text(),
                                    " in map: ", codec::to_json(item)));
        }
    }
    std::vector<Json> merged;
    Ranks places;
    for (const auto& item : live) {
        TRY(auto id, identity.of(item));
        if (deleted.contains(id)) continue;
        places.emplace(std::move(id), merged.size());
        merged.push_back(item);
    }
    for (const auto& item : patch.items->items()) {
        if (item.find(patch_directive)) continue;
        TRY(auto id, identity.of(item));
        const auto [at, added] = places.emplace(std::move(id), merged.size());
        if (added)
            merged.push_back(*content_of(item, arena_));
        else if (item.is_object())
            TRY_OK(merge_object(element, merged[at->second], item));
    }
    return merged;
}

Result<> StrategicMerge::delete_values(Json& target, std::string_view name, const Json& values) {
    if (!values.is_array()) return malformed("invalid patch format of primitive list");
    Json* live = target.find(name);
    if (!live || !live->is_array()) return {};
    std::unordered_set<std::string> gone;
    for (const auto& value : values.items()) gone.insert(codec::to_json(value));
    live->remove_items_if([&](const Json& item) { return gone.contains(codec::to_json(item)); });
    return {};
}

}   // namespace

Result<> apply_strategic_merge_patch(const Message& message, Json& target, const Json& patch,
                                     Arena& arena) {
    if (!patch.is_object()) return malformed("invalid JSON document");
    if (!target.is_object()) target = Json::object();
    return StrategicMerge{arena}.merge_object({&message, false}, target, patch);
}

}   // namespace skiff::api
