// Server-side apply (KEP-555): merges a configuration into the live object by the schema, removes
// what its manager applied before and nobody else owns, and refuses to change what others own
// unless told to.
#include <algorithm>
#include <tuple>

#include "api/field_set.h"
#include "api/managed_fields.h"
#include "api/managers.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

class Merger {
  public:
    explicit Merger(Arena& arena) : arena_{arena} {}

    Json merge(const Ownership& owned, const Json& live, const Json& applied) {
        switch (owned.kind) {
        case Ownership::Kind::Whole: return applied.deep_copy(arena_);
        case Ownership::Kind::Struct:
        case Ownership::Kind::Map:
            if (!live.is_object() || !applied.is_object()) return applied.deep_copy(arena_);
            return merge_members(owned, live, applied);
        default:
            if (!live.is_array() || !applied.is_array()) return applied.deep_copy(arena_);
            return merge_lists(owned, live, applied);
        }
    }

    // Takes out of `value` what `last` names and `kept` does not.
    void prune(const Ownership& owned, Json& value, const Json& last, const Json& kept) {
        const auto gone = [&](std::string_view element, const Ownership& inner, Json& child) {
            const Json* named = last.find(element);
            if (!named) return false;
            const Json* held = kept.find(element);
            if (!held) return true;
            prune(inner, child, *named, *held);
            return false;
        };
        if (owned.kind == Ownership::Kind::Whole) return;
        value.remove_members_if([&](Json::Member& member) {
            return gone(field_element(member.key, arena_), owned.child(member.key), member.value);
        });
        if (!value.is_array() || !owned.field) return;
        value.remove_items_if([&](Json& item) {
            return gone(list_element(owned, item, arena_), owned.element(), item);
        });
    }

  private:
    Json merge_members(const Ownership& owned, const Json& live, const Json& applied) {
        Json merged = Json::object();
        for (const auto& [key, value] : live.members()) merged.set_borrowed(arena_, key, value);
        for (const auto& [key, value] : applied.members()) {
            const Json* old = live.find(key);
            merged.set(arena_, key,
                       old ? merge(owned.child(key), *old, value) : value.deep_copy(arena_));
        }
        return merged;
    }

    // What is applied stands in its order; what only the live list has keeps its place among it.
    Json merge_lists(const Ownership& owned, const Json& live, const Json& applied) {
        Json live_places = Json::object();
        for (size_t i = 0; i < live.size(); ++i)
            live_places.set_borrowed(arena_, list_element(owned, live.items()[i], arena_),
                                     Json::integer(static_cast<int64_t>(i)));
        Json applied_elements = Json::object();
        for (const Json& item : applied.items())
            applied_elements.set_borrowed(arena_, list_element(owned, item, arena_), Json{});

        Json merged = Json::array();
        size_t next = 0;   // in the live list
        const auto take_live_until = [&](size_t end) {
            for (; next < end; ++next) {
                const Json& item = live.items()[next];
                if (!applied_elements.find(list_element(owned, item, arena_)))
                    merged.push(arena_, item);
            }
        };
        Json done = Json::object();
        for (const Json& item : applied.items()) {
            const auto element = list_element(owned, item, arena_);
            if (done.find(element)) continue;
            done.set_borrowed(arena_, element, Json{});
            const Json* place = live_places.find(element);
            if (!place) {
                merged.push(arena_, item.deep_copy(arena_));
                continue;
            }
            const auto at = static_cast<size_t>(place->as_int());
            take_live_until(at);
            merged.push(arena_, merge(owned.element(), live.items()[at], item));
        }
        take_live_until(live.size());
        return merged;
    }

    Arena& arena_;
};

void drop_nulls(Json& value) {
    value.remove_members_if([](const Json::Member& member) { return member.value.is_null(); });
    for (auto& member : value.members()) drop_nulls(member.value);
    for (Json& item : value.items()) drop_nulls(item);
}

// What a configuration means: generated ones carry `creationTimestamp: null` and `status: {}`.
Json meant_of(const Kind& kind, const Json& applied, std::string_view subresource, Arena& arena) {
    Json config = applied.deep_copy(arena);
    drop_nulls(config);
    if (subresource.empty() && kind.has_status) config.remove("status");
    if (subresource == "status")
        config.remove_members_if([](const Json::Member& member) {
            return member.key != "status" && member.key != "metadata" && member.key != "kind" &&
                   member.key != "apiVersion";
        });
    return config;
}

struct Conflict {
    std::string manager;   // as shown
    std::string path;
};

// Without those on `allowed` paths.
std::vector<Conflict> conflicts_of(Managers& managers, const Manager& mine, const Json& changed,
                                   const Json& allowed, Arena& arena) {
    std::vector<Conflict> conflicts;
    for (const Manager& other : managers.entries()) {
        if (&other == &mine) continue;
        std::vector<std::string> paths;
        Json both = intersection(other.fields, changed, arena);
        subtract(both, allowed);
        each_path(both, "", paths);
        for (auto& path : paths) conflicts.push_back({other.shown(), std::move(path)});
    }
    std::ranges::sort(conflicts, {}, [](const Conflict& c) { return std::tie(c.manager, c.path); });
    return conflicts;
}

// Who went from client-side to server-side apply with kubectl owns what was applied then and is
// still so. As upstream, for the manager "kubectl" only.
Json applied_by_client(const Kind& kind, const Json& live, std::string_view manager, Arena& arena) {
    const auto text = live.text_at(
        {"metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"});
    if (manager != "kubectl" || text.empty()) return Json::object();
    const auto last = codec::parse_json_into(arena, text);
    if (!last || !last->is_object()) return Json::object();
    Json set = field_set_of(*kind.message, *last, arena);
    const auto changes = compare_fields(*kind.message, &*last, live, arena);
    subtract(set, changes.changed);
    subtract(set, changes.removed);
    return set;
}

std::unexpected<Error> undeclared_error(const Kind& kind, const Json& applied,
                                        const std::vector<std::string>& paths) {
    const auto name_space = applied.text_at({"metadata", "namespace"});
    std::string message = concat("failed to create typed patch object (", name_space, "/",
                                 applied.text_at({"metadata", "name"}), "; ", kind.api_version(),
                                 ", Kind=", kind.kind, "):");
    if (paths.size() > 1) message += " errors:";
    for (const auto& path : paths)
        append(message, paths.size() > 1 ? "\n  " : " ", path, ": field not declared in schema");
    return fail(Reason::BadRequest, std::move(message));
}

std::unexpected<Error> conflict_error(const std::vector<Conflict>& conflicts) {
    Error error{.reason = Reason::Conflict};
    if (conflicts.size() == 1) {
        error.message = concat("Apply failed with 1 conflict: conflict with ", conflicts[0].manager,
                               ": ", conflicts[0].path);
    } else {
        error.message = concat("Apply failed with ", conflicts.size(), " conflicts: ");
        std::string_view manager;
        for (const auto& conflict : conflicts) {
            if (manager != conflict.manager)
                append(error.message, manager.empty() ? "" : "\n", "conflicts with ",
                       conflict.manager, ":");
            manager = conflict.manager;
            append(error.message, "\n- ", conflict.path);
        }
    }
    for (const auto& conflict : conflicts)
        error.causes.push_back({.type = "FieldManagerConflict",
                                .message = concat("conflict with ", conflict.manager),
                                .field = conflict.path});
    return std::unexpected{std::move(error)};
}

}   // namespace

Result<> apply_server_side(const Kind& kind, Json& live, const Json& applied,
                           const FieldsChange& change, Force force, Arena& arena) {
    if (!applied.is_object())
        return fail(Reason::BadRequest, "an applied configuration must be an object");
    if (const Json* brought = applied.at_path({"metadata", "managedFields"});
        brought && !brought->empty())
        return fail(Reason::BadRequest, "metadata.managedFields must be nil");
    if (const auto paths = undeclared_fields(*kind.message, applied); !paths.empty())
        return undeclared_error(kind, applied, paths);
    const bool creates = !live.is_object() || live.empty();
    if (creates) live = Json::object();
    Managers managers = Managers::of_live(&live, arena);
    if (Json* metadata = live.find("metadata")) metadata->remove("managedFields");

    const auto root = Ownership::of(*kind.message);
    Merger merger{arena};
    const Json config = meant_of(kind, applied, change.subresource, arena);
    Json merged = merger.merge(root, live, config);
    Json mine = field_set_of(*kind.message, config, arena);
    const auto api_version = kind.api_version();   // the id only looks at it
    const ManagerId id{.name = change.manager,
                       .operation = "Apply",
                       .api_version = api_version,
                       .subresource = change.subresource};
    if (const Manager* last = managers.find(id)) {
        Json kept = mine.deep_copy(arena);
        for (const Manager& other : managers.entries())
            if (&other != last) unite(kept, other.fields, arena);
        // The merged tree shares parts with the live one, which the comparison still needs.
        merged = merged.deep_copy(arena);
        merger.prune(root, merged, last->fields, kept);
    }
    strip_unowned(mine, kind, change.subresource);

    auto changes = compare_fields(*kind.message, creates ? nullptr : &live, merged, arena);
    strip_unowned(changes.changed, kind, change.subresource);
    const bool known = managers.find(id) != nullptr;
    Manager& entry = managers.entry(id);
    if (force == Force::No) {
        const Json allowed = applied_by_client(kind, live, change.manager, arena);
        const auto conflicts = conflicts_of(managers, entry, changes.changed, allowed, arena);
        if (!conflicts.empty()) return conflict_error(conflicts);
    }
    managers.take_away(changes.changed, &entry);
    managers.take_away(changes.removed, &entry);
    entry.fields = mine;
    if (!known || !changes.changed.empty() || !changes.removed.empty())
        entry.time = rfc3339(change.now);
    live = merged;
    if (Json* metadata = live.find("metadata"); metadata && metadata->is_object())
        managers.write_to(*metadata);
    return {};
}

}   // namespace skiff::api
