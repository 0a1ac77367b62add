#include "api/field_set.h"

#include <algorithm>
#include <vector>

#include "base/text.h"

namespace skiff::api {

using codec::Arena;
using codec::Json;

bool is_member(const Json& node) { return node.empty() || node.find("."); }

void unite(Json& set, const Json& other, Arena& arena) {
    for (const auto& [key, theirs] : other.members()) {
        Json* mine = set.find(key);
        if (!mine) {
            set.set(arena, key, theirs.deep_copy(arena));
            continue;
        }
        if (key == ".") continue;
        const bool member = is_member(*mine) || is_member(theirs);
        unite(*mine, theirs, arena);
        if (member && !mine->empty() && !mine->find(".")) mine->set(arena, ".", Json::object());
    }
}

void subtract(Json& set, const Json& other) {
    set.remove_members_if([&](Json::Member& member) {
        if (member.key == ".") return false;   // the parent's business
        const Json* theirs = other.find(member.key);
        if (!theirs) return false;
        Json& mine = member.value;
        const bool stays = is_member(mine) && !is_member(*theirs);
        subtract(mine, *theirs);
        if (!stays) mine.remove(".");
        // A node that is left with "." alone is the same as an empty one.
        if (mine.size() == 1 && mine.find(".")) mine = Json::object();
        return mine.empty() && !stays;
    });
}

Json intersection(const Json& left, const Json& right, Arena& arena) {
    Json both = Json::object();
    for (const auto& [key, mine] : left.members()) {
        const Json* theirs = key == "." ? nullptr : right.find(key);
        if (!theirs) continue;
        Json inner = intersection(mine, *theirs, arena);
        const bool member = is_member(mine) && is_member(*theirs);
        if (!member && inner.empty()) continue;
        if (member && !inner.empty()) inner.set(arena, ".", Json::object());
        both.set(arena, key, inner);
    }
    return both;
}

bool overlaps(const Json& left, const Json& right) {
    return std::ranges::any_of(left.members(), [&](const Json::Member& member) {
        const Json* theirs = member.key == "." ? nullptr : right.find(member.key);
        return theirs &&
               ((is_member(member.value) && is_member(*theirs)) || overlaps(member.value, *theirs));
    });
}

void sort_set(Json& set) {
    // Fields, then keys, then values: "." < "f" < "k" < "v".
    set.sort_members();
    for (auto& member : set.members()) sort_set(member.value);
}

namespace {

std::string shown_element(std::string_view element) {
    const auto rest = element.substr(std::min<size_t>(2, element.size()));
    if (element.starts_with("f:")) return concat(".", rest);
    if (!element.starts_with("k:")) return concat("[", rest, "]");
    const auto keys = codec::parse_json(rest);
    std::string shown = "[";
    if (!keys) return concat("[", rest, "]");
    for (const auto& [key, value] : keys->root.members())
        append(shown, shown.size() > 1 ? "," : "", key, "=", codec::to_json(value));
    return shown + "]";
}

}   // namespace

void each_path(const Json& set, const std::string& prefix, std::vector<std::string>& paths) {
    for (const auto& [key, inner] : set.members()) {
        if (key == ".") continue;
        const auto path = prefix + shown_element(key);
        if (is_member(inner)) paths.push_back(path);
        each_path(inner, path, paths);
    }
}

Ownership Ownership::of(const Field& field) {
    const bool structured = field.type == Type::Message && field.message;
    switch (field.shape) {
    case Shape::List:
        if (field.list_type == ListType::Set) return {Kind::SetList, field.message, &field};
        if (field.list_type == ListType::Map && structured)
            return {Kind::KeyedList, field.message, &field};
        return {Kind::Whole, nullptr, &field};
    case Shape::Map:
        if (field.map_type == MapType::Atomic) return {Kind::Whole, nullptr, &field};
        return {Kind::Map, structured ? field.message : nullptr, &field};
    case Shape::Single: break;
    }
    if (structured && field.map_type == MapType::Granular)
        return {Kind::Struct, field.message, &field};
    return {Kind::Whole, nullptr, &field};
}

Ownership Ownership::child(std::string_view key) const {
    if (kind == Kind::Map) return element();
    const Field* found = message ? field_of(*message, key) : nullptr;
    return found ? of(*found) : Ownership{};
}

Ownership Ownership::element() const { return message ? of(*message) : Ownership{}; }

std::string_view field_element(std::string_view name, Arena& arena) {
    char* text = arena.array<char>(name.size() + 2);
    text[0] = 'f';
    text[1] = ':';
    std::ranges::copy(name, text + 2);
    return {text, name.size() + 2};
}

std::string_view list_element(const Ownership& list, const Json& item, Arena& arena) {
    std::string element;
    if (list.kind == Ownership::Kind::SetList) {
        element = "v:";
        codec::write_json(item, element);
        return arena.copy(element);
    }
    std::vector<std::string_view> keys{list.field->map_keys.begin(), list.field->map_keys.end()};
    std::ranges::sort(keys);
    element = "k:{";
    for (const auto key : keys) {
        const Json* value = item.find(key);
        const Field* field = list.message ? field_of(*list.message, key) : nullptr;
        if (!value && (!field || field->default_json.empty())) continue;
        if (element.size() > 3) element += ',';
        codec::write_json_string(key, element);
        element += ':';
        if (value)
            codec::write_json(*value, element);
        else
            element += field->default_json;   // as if it had been written
    }
    element += '}';
    return arena.copy(element);
}

namespace {

constexpr std::string_view unowned_metadata[] = {
    "f:name",       "f:namespace",         "f:uid",      "f:resourceVersion",
    "f:generation", "f:creationTimestamp", "f:selfLink", "f:managedFields",
    "f:clusterName"};

bool is_list(const Ownership& owned) {
    return owned.kind == Ownership::Kind::SetList || owned.kind == Ownership::Kind::KeyedList;
}

class FieldWalker {
  public:
    explicit FieldWalker(Arena& arena) : arena_{arena} {}

    // Of a value that came or went as a whole: every node below is a member, containers too.
    Json all_below(const Ownership& owned, const Json& value) {
        Json set = Json::object();
        if (owned.kind == Ownership::Kind::Whole || value.empty()) return set;
        set.set_borrowed(arena_, ".", Json::object());
        each_child(owned, value,
                   [&](std::string_view element, const Ownership& inner, const Json& child) {
                       set.set_borrowed(arena_, element, all_below(inner, child));
                   });
        return set;
    }

    // Of a configuration: leaves, elements and map keys; structs only when empty.
    Json named_by(const Ownership& owned, const Json& value) {
        Json set = Json::object();
        if (owned.kind == Ownership::Kind::Whole || value.empty()) return set;
        each_child(owned, value,
                   [&](std::string_view element, const Ownership& inner, const Json& child) {
                       Json below = named_by(inner, child);
                       const bool field = owned.kind == Ownership::Kind::Struct;
                       // An empty list of elements names nothing.
                       if (field && below.empty() && is_list(inner) && child.is_array()) return;
                       if (!field && !below.empty())
                           below.set_borrowed(arena_, ".", Json::object());
                       set.set_borrowed(arena_, element, below);
                   });
        return set;
    }

    // `before` null: Go's zero value.
    FieldChanges compare(const Ownership& owned, const Json* before, const Json& after,
                         bool& modified) {
        FieldChanges changes;
        modified = false;
        const bool empty = after.empty() && (!before || before->empty());
        if (owned.kind == Ownership::Kind::Whole || empty) {
            modified = before ? !(*before == after) : !empty && !is_zero(after);
            return changes;
        }
        if (is_list(owned))
            compare_lists(owned, before, after, changes);
        else
            compare_members(owned, before, after, changes);
        return changes;
    }

  private:
    template <class F>
    void each_child(const Ownership& owned, const Json& value, F&& visit) {
        if (is_list(owned)) {
            for (const Json& item : value.items())
                visit(list_element(owned, item, arena_), owned.element(), item);
            return;
        }
        for (const auto& [key, child] : value.members())
            visit(field_element(key, arena_), owned.child(key), child);
    }

    static bool is_zero(const Json& value) {
        switch (value.type()) {
        case Json::Type::Null: return true;
        case Json::Type::Bool: return !value.as_bool();
        case Json::Type::String: return value.as_string().empty();
        case Json::Type::Array:
        case Json::Type::Object: return value.empty();
        default: return value.as_double() == 0;
        }
    }

    // Whether Go's zero value of the parent has this field in its JSON.
    static bool in_zero_value(const Ownership& parent, std::string_view key) {
        const Field* field = parent.kind == Ownership::Kind::Struct && parent.message
                                 ? field_of(*parent.message, key)
                                 : nullptr;
        if (!field) return false;
        if (field->presence == Presence::Always) return true;
        return field->presence == Presence::Plain && field->shape == Shape::Single &&
               field->type == Type::Message;
    }

    void enter(Json& set, std::string_view element, bool member, Json below) {
        if (!member && below.empty()) return;
        if (member && !below.empty()) below.set_borrowed(arena_, ".", Json::object());
        set.set_borrowed(arena_, element, below);
    }

    void compare_child(const Ownership& inner, const Json* before, const Json& after,
                       std::string_view element, FieldChanges& changes) {
        bool modified = false;
        const auto below = compare(inner, before, after, modified);
        enter(changes.changed, element, modified, below.changed);
        enter(changes.removed, element, false, below.removed);
    }

    void compare_members(const Ownership& owned, const Json* before, const Json& after,
                         FieldChanges& changes) {
        for (const auto& [key, value] : after.members()) {
            const Json* old = before ? before->find(key) : nullptr;
            const auto inner = owned.child(key);
            if (old || (!before && in_zero_value(owned, key)))
                compare_child(inner, old, value, field_element(key, arena_), changes);
            else
                changes.changed.set_borrowed(arena_, field_element(key, arena_),
                                             all_below(inner, value));
        }
        if (!before) return;
        for (const auto& [key, value] : before->members()) {
            if (after.find(key)) continue;
            changes.removed.set_borrowed(arena_, field_element(key, arena_),
                                         all_below(owned.child(key), value));
        }
    }

    void compare_lists(const Ownership& owned, const Json* before, const Json& after,
                       FieldChanges& changes) {
        Json places = Json::object();   // of the old elements
        const auto old_items = before ? before->items() : std::span<const Json>{};
        for (size_t i = 0; i < old_items.size(); ++i) {
            const auto element = list_element(owned, old_items[i], arena_);
            if (!places.find(element))
                places.set_borrowed(arena_, element, Json::integer(static_cast<int64_t>(i)));
        }
        Json seen = Json::object();
        for (const Json& item : after.items()) {
            const auto element = list_element(owned, item, arena_);
            if (seen.find(element)) continue;   // one path, whatever stands there twice
            seen.set_borrowed(arena_, element, Json{});
            if (const Json* place = places.find(element))
                compare_child(owned.element(), &old_items[static_cast<size_t>(place->as_int())],
                              item, element, changes);
            else
                changes.changed.set_borrowed(arena_, element, all_below(owned.element(), item));
        }
        for (const auto& [element, place] : places.members()) {
            if (seen.find(element)) continue;
            changes.removed.set_borrowed(
                arena_, element,
                all_below(owned.element(), old_items[static_cast<size_t>(place.as_int())]));
        }
    }

    Arena& arena_;
};

}   // namespace

FieldChanges compare_fields(const Message& message, const Json* before, const Json& after,
                            Arena& arena) {
    bool modified = false;
    return FieldWalker{arena}.compare(Ownership::of(message), before, after, modified);
}

Json field_set_of(const Message& message, const Json& value, Arena& arena) {
    return FieldWalker{arena}.named_by(Ownership::of(message), value);
}

namespace {

void collect_undeclared(const Message& message, const Json& value, const std::string& prefix,
                        std::vector<std::string>& paths, Arena& arena) {
    for (const auto& [key, inner] : value.members()) {
        const auto path = concat(prefix, ".", key);
        const Field* field = field_of(message, key);
        if (!field) {
            paths.push_back(path);
            continue;
        }
        if (field->type != Type::Message || !field->message) continue;
        if (field->shape == Shape::Single) {
            collect_undeclared(*field->message, inner, path, paths, arena);
            continue;
        }
        for (const auto& [name, child] : inner.members())
            collect_undeclared(*field->message, child, concat(path, ".", name), paths, arena);
        const auto owned = Ownership::of(*field);
        for (size_t i = 0; i < inner.size() && inner.is_array(); ++i) {
            const Json& item = inner.items()[i];
            const auto element = is_list(owned) ? shown_element(list_element(owned, item, arena))
                                                : concat("[", i, "]");
            collect_undeclared(*field->message, item, path + element, paths, arena);
        }
    }
}

}   // namespace

std::vector<std::string> undeclared_fields(const Message& message, const Json& value) {
    std::vector<std::string> paths;
    Arena arena;
    collect_undeclared(message, value, "", paths, arena);
    return paths;
}

void strip_unowned(Json& set, const Kind& kind, std::string_view subresource) {
    set.remove("f:apiVersion");
    set.remove("f:kind");
    if (subresource.empty() && kind.has_status) set.remove("f:status");
    if (subresource == "status")
        set.remove_members_if([](const Json::Member& member) {
            return member.key != "f:status" && member.key != "f:metadata";
        });
    Json* metadata = set.find("f:metadata");
    if (!metadata) return;
    for (const auto name : unowned_metadata) metadata->remove(name);
    metadata->remove(".");
    if (metadata->empty()) set.remove("f:metadata");
}

}   // namespace skiff::api
