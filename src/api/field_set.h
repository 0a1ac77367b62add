// Sets of field paths, in the form that managedFields has them (FieldsV1): an object whose keys are
// path elements ("f:name" a field or map key, "k:{…}" a list element by its keys, "v:…" a list
// element by its value) and whose values are the sets below. A path is a member when its node is
// empty or holds ".". Semantics: structured-merge-diff, KEP-555.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/schema.h"
#include "codec/json.h"

namespace skiff::api {

bool is_member(const codec::Json& node);
void unite(codec::Json& set, const codec::Json& other, codec::Arena& arena);
void subtract(codec::Json& set, const codec::Json& other);   // exactly the members of `other`
codec::Json intersection(const codec::Json& left, const codec::Json& right, codec::Arena& arena);
bool overlaps(const codec::Json& left, const codec::Json& right);
void sort_set(codec::Json& set);   // as upstream writes it, at every level
// ".spec.containers[name=\"a\"].image", one for each member.
void each_path(const codec::Json& set, const std::string& prefix, std::vector<std::string>& paths);

// How the value at one place of the schema is owned: as a whole, or by its parts.
struct Ownership {
    enum class Kind : uint8_t { Whole, Struct, Map, SetList, KeyedList } kind = Kind::Whole;
    const Message* message = nullptr;   // Struct: its own; else of what is inside, if any
    const Field* field = nullptr;

    static Ownership of(const Field& field);
    static Ownership of(const Message& message) { return {Kind::Struct, &message, nullptr}; }
    Ownership child(std::string_view key) const;   // Struct, Map
    Ownership element() const;                     // lists
};

// The path elements, in the arena.
std::string_view field_element(std::string_view name, codec::Arena& arena);
std::string_view list_element(const Ownership& list, const codec::Json& item, codec::Arena& arena);

// What differs between two values: members of `changed` were added or modified, of `removed` taken
// away. `before` null: the zero object, as Go has it, was there.
struct FieldChanges {
    codec::Json changed = codec::Json::object();
    codec::Json removed = codec::Json::object();
};
FieldChanges compare_fields(const Message& message, const codec::Json* before,
                            const codec::Json& after, codec::Arena& arena);
// All that an applied configuration names.
codec::Json field_set_of(const Message& message, const codec::Json& value, codec::Arena& arena);
// The paths in `value` that the schema does not have.
std::vector<std::string> undeclared_fields(const Message& message, const codec::Json& value);
// Takes out what is never owned: apiVersion, kind, metadata.name, metadata.uid and their like, and
// what a write of this subresource cannot set: the status by a write of the object, all but the
// status and the metadata by one of the status.
void strip_unowned(codec::Json& set, const Kind& kind, std::string_view subresource);

}   // namespace skiff::api
