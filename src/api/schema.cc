#include "api/schema.h"

#include <algorithm>

#include "api/schema_tables.h"

namespace skiff::api {
namespace {

// The same as field_hash in tools/schema_tables.py, which chose the seed: five letters tell the
// names of one message apart.
uint32_t field_hash(std::string_view name, uint32_t seed) {
    const size_t size = name.size();
    auto value = static_cast<uint32_t>(size);
    for (const size_t at : {size_t{0}, size / 4, size / 2, size - 1 - size / 4, size - 1})
        value = value * seed + static_cast<unsigned char>(name[at]);
    return value ^ (value >> 13);
}

const Field* scan(const Message& message, std::string_view name) {
    for (const Field& field : message.fields) {
        if (!field.inline_ && field.name == name) return &field;
        if (!field.inline_) continue;
        if (const Field* inner = field_of(*field.message, name)) return inner;
    }
    return nullptr;
}

}   // namespace

std::string_view Message::go_name() const {
    const size_t last = name.rfind('.');
    const size_t before = last == std::string_view::npos || last == 0 ? std::string_view::npos
                                                                      : name.rfind('.', last - 1);
    return before == std::string_view::npos ? name : name.substr(before + 1);
}

std::string Kind::api_version() const {
    std::string text{group};
    if (!text.empty()) text += '/';
    return text += version;
}

const Field* field_of(const Message& message, std::string_view name) {
    if (message.slots.empty()) return scan(message, name);
    if (name.empty()) return nullptr;
    const size_t mask = message.slots.size() - 1;   // a power of two, never full
    for (size_t at = field_hash(name, message.hash_seed) & mask; message.slots[at] != 0;
         at = (at + 1) & mask) {
        const Field* field = message.all[message.slots[at] - 1u];
        if (field->name == name) return field;
    }
    return nullptr;
}

const Field* field_of(const Message& message, uint32_t number) {
    if (number == 0) return nullptr;
    // Numbers mostly run with the fields, behind apiVersion and kind where there are any.
    for (const size_t guess : {size_t{number} - 1, size_t{number} + 1})
        if (guess < message.fields.size() && message.fields[guess].number == number)
            return &message.fields[guess];
    for (const Field& field : message.fields)
        if (field.number == number) return &field;
    return nullptr;
}

const Kind& stored_kind(const Kind& kind) { return kind.stored ? *kind.stored : kind; }

std::span<const Kind* const> builtin_kinds() { return tables::all_kinds(); }

const Kind* builtin_kind(std::string_view group, std::string_view version, std::string_view kind) {
    for (const Kind* one : tables::all_kinds())
        if (one->kind == kind && one->version == version && one->group == group) return one;
    return nullptr;
}

const Message* builtin_message(std::string_view name) {
    const auto all = tables::all_messages();
    const auto found = std::ranges::lower_bound(all, name, {}, &Message::name);
    return found != all.end() && (*found)->name == name ? *found : nullptr;
}

}   // namespace skiff::api
