#include "codec/json.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace skiff::codec {
namespace {

constexpr size_t elements_min = 4;     // first allocation of an array or object that grows
constexpr uint32_t indexed_min = 24;   // an object with this many members has an index

// Multiply and fold, seeded: which keys collide must not be for the client to choose.
uint64_t hash_of(std::string_view key, uint64_t seed) {
    constexpr uint64_t prime = 0x9e3779b97f4a7c15u;
    const auto mix = [](uint64_t a, uint64_t b) {
        __extension__ using Wide = unsigned __int128;
        const Wide product = Wide{a} * b;
        return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
    };
    uint64_t hash = seed ^ (key.size() * prime);
    const char* at = key.data();
    size_t left = key.size();
    for (; left >= 8; at += 8, left -= 8) {
        uint64_t word = 0;
        std::memcpy(&word, at, 8);
        hash = mix(hash ^ word, prime ^ seed);
    }
    uint64_t word = 0;
    std::memcpy(&word, at, left);
    return mix(hash ^ word, prime ^ seed);
}

}   // namespace

struct Json::Array {
    uint32_t size;
    uint32_t capacity;
    Json* elements;
};

// The index, there from indexed_min members on, is open addressing over the keys' places + 1.
struct Json::Object {
    uint32_t size;
    uint32_t capacity;
    Member* members;
    uint32_t* index;
    uint64_t index_mask;

    uint64_t seed() const { return reinterpret_cast<uintptr_t>(this) * 0xd6e8feb86659fd93u; }

    Member* find(std::string_view key) const {
        if (index) {
            for (uint64_t slot = hash_of(key, seed());; ++slot) {
                const uint32_t place = index[slot & index_mask];
                if (place == 0) return nullptr;
                if (members[place - 1].key == key) return &members[place - 1];
            }
        }
        for (uint32_t i = 0; i < size; ++i)
            if (members[i].key == key) return &members[i];
        return nullptr;
    }
    void enter(uint32_t place) {
        uint64_t slot = hash_of(members[place].key, seed());
        while (index[slot & index_mask] != 0) ++slot;
        index[slot & index_mask] = place + 1;
    }
    void make_index(Arena& arena) {
        const auto slots = std::bit_ceil(size_t{capacity} * 2);
        index = arena.array<uint32_t>(slots);
        index_mask = slots - 1;
        fill_index();
    }
    void fill_index() {
        std::memset(index, 0, (index_mask + 1) * sizeof *index);
        for (uint32_t i = 0; i < size; ++i) enter(i);
    }
    Member& append(Arena& arena, std::string_view key, Json value) {
        if (size == capacity) {
            const auto grown = std::max<size_t>(elements_min, size_t{capacity} * 2);
            auto* moved = arena.array<Member>(grown);
            if (size) std::memcpy(static_cast<void*>(moved), members, size * sizeof *members);
            members = moved;
            capacity = static_cast<uint32_t>(grown);
            if (size + 1 >= indexed_min) make_index(arena);
        }
        members[size] = Member{key, value};
        ++size;
        if (index)
            enter(size - 1);
        else if (size >= indexed_min)
            make_index(arena);
        return members[size - 1];
    }
};

Json Json::boolean(bool value) {
    Json json;
    json.type_ = Type::Bool;
    json.flag_ = value;
    return json;
}

Json Json::integer(int64_t value) {
    Json json;
    json.type_ = Type::Int;
    json.int_ = value;
    return json;
}

Json Json::unsigned_integer(uint64_t value) {
    if (value <= uint64_t{std::numeric_limits<int64_t>::max()})
        return integer(static_cast<int64_t>(value));
    Json json;
    json.type_ = Type::Uint;
    json.uint_ = value;
    return json;
}

Json Json::number(double value) {
    ASSERT(std::isfinite(value));
    Json json;
    json.type_ = Type::Double;
    json.double_ = value;
    return json;
}

Json Json::string_at(const char* text, size_t size) {
    Json json;
    json.type_ = Type::String;
    json.size_ = static_cast<uint32_t>(size);
    json.text_ = text;
    return json;
}

Json Json::string(Arena& arena, std::string_view text) { return borrowed(arena.copy(text)); }
Json Json::borrowed(std::string_view text) { return string_at(text.data(), text.size()); }

Json Json::array() {
    Json json;
    json.type_ = Type::Array;
    json.array_ = nullptr;
    return json;
}

Json Json::object() {
    Json json;
    json.type_ = Type::Object;
    json.object_ = nullptr;
    return json;
}

Json Json::array_of(Arena& arena, std::span<const Member> values) {
    Json json = array();
    if (values.empty()) return json;
    const auto size = static_cast<uint32_t>(values.size());
    auto* elements = arena.array<Json>(size);
    for (uint32_t i = 0; i < size; ++i) elements[i] = values[i].value;
    json.array_ = new (arena.array<Array>(1)) Array{size, size, elements};
    return json;
}

// The members' keys differ.
Json Json::object_of(Arena& arena, std::span<const Member> members) {
    Json json = object();
    if (members.empty()) return json;
    const auto size = static_cast<uint32_t>(members.size());
    auto* held = arena.array<Member>(size);
    std::memcpy(static_cast<void*>(held), members.data(), members.size_bytes());
    json.object_ = new (arena.array<Object>(1)) Object{size, size, held, nullptr, 0};
    if (size >= indexed_min) json.object_->make_index(arena);
    return json;
}

bool Json::as_bool() const {
    ASSERT(is_bool());
    return flag_;
}

int64_t Json::as_int() const {
    ASSERT(is_integer());
    return type_ == Type::Int ? int_ : std::numeric_limits<int64_t>::max();
}

uint64_t Json::as_uint() const {
    ASSERT(is_integer());
    if (type_ == Type::Uint) return uint_;
    return int_ < 0 ? 0 : static_cast<uint64_t>(int_);
}

double Json::as_double() const {
    ASSERT(is_number());
    if (type_ == Type::Int) return static_cast<double>(int_);
    return type_ == Type::Uint ? static_cast<double>(uint_) : double_;
}

std::string_view Json::as_string() const {
    ASSERT(is_string());
    return {text_, size_};
}

size_t Json::size() const {
    if (is_array()) return array_ ? array_->size : 0;
    return is_object() && object_ ? object_->size : 0;
}

std::span<Json> Json::items() {
    if (!is_array() || !array_) return {};
    return {array_->elements, array_->size};
}

std::span<const Json> Json::items() const { return const_cast<Json*>(this)->items(); }

Json& Json::push(Arena& arena, Json value) {
    ASSERT(is_array());
    if (!array_) array_ = new (arena.array<Array>(1)) Array{0, 0, nullptr};
    Array& block = *array_;
    if (block.size == block.capacity) {
        const auto grown = std::max<size_t>(elements_min, size_t{block.capacity} * 2);
        auto* moved = arena.array<Json>(grown);
        if (block.size)
            std::memcpy(static_cast<void*>(moved), block.elements, block.size * sizeof *moved);
        block.elements = moved;
        block.capacity = static_cast<uint32_t>(grown);
    }
    block.elements[block.size] = value;
    return block.elements[block.size++];
}

void Json::insert(Arena& arena, size_t index, Json value) {
    ASSERT(index <= size());
    push(arena, value);
    const auto all = items();
    std::rotate(all.begin() + static_cast<ptrdiff_t>(index), all.end() - 1, all.end());
}

void Json::remove_at(size_t index) {
    ASSERT(is_array() && index < size());
    const auto all = items();
    std::copy(all.begin() + static_cast<ptrdiff_t>(index) + 1, all.end(),
              all.begin() + static_cast<ptrdiff_t>(index));
    truncate(all.size() - 1);
}

void Json::truncate(size_t size) {
    if (is_array()) {
        array_->size = static_cast<uint32_t>(size);
        return;
    }
    object_->size = static_cast<uint32_t>(size);
    if (object_->index) object_->fill_index();
}

std::span<Json::Member> Json::members() {
    if (!is_object() || !object_) return {};
    return {object_->members, object_->size};
}

std::span<const Json::Member> Json::members() const { return const_cast<Json*>(this)->members(); }

Json* Json::find(std::string_view key) {
    if (!is_object() || !object_) return nullptr;
    Member* member = object_->find(key);
    return member ? &member->value : nullptr;
}

const Json* Json::find(std::string_view key) const { return const_cast<Json*>(this)->find(key); }

Json& Json::set_borrowed(Arena& arena, std::string_view key, Json value) {
    ASSERT(is_object());
    if (Json* present = find(key)) {
        *present = value;
        return *present;
    }
    if (!object_) object_ = new (arena.array<Object>(1)) Object{0, 0, nullptr, nullptr, 0};
    return object_->append(arena, key, value).value;
}

Json& Json::set(Arena& arena, std::string_view key, Json value) {
    ASSERT(is_object());
    if (Json* present = find(key)) {
        *present = value;
        return *present;
    }
    return set_borrowed(arena, arena.copy(key), value);
}

bool Json::remove(std::string_view key) {
    if (!is_object() || !object_) return false;
    const Member* member = object_->find(key);
    if (!member) return false;
    const auto all = members();
    std::copy(all.begin() + (member - all.data()) + 1, all.end(),
              all.begin() + (member - all.data()));
    truncate(all.size() - 1);
    return true;
}

void Json::sort_members() {
    const auto all = members();
    if (std::ranges::is_sorted(all, {}, &Member::key)) return;
    std::ranges::sort(all, {}, &Member::key);
    if (object_->index) object_->fill_index();
}

const Json* Json::at_path(std::initializer_list<std::string_view> keys) const {
    const Json* at = this;
    for (const auto key : keys) {
        at = at->find(key);
        if (!at) return nullptr;
    }
    return at;
}

Json* Json::at_path(std::initializer_list<std::string_view> keys) {
    return const_cast<Json*>(static_cast<const Json*>(this)->at_path(keys));
}

std::string_view Json::text_at(std::initializer_list<std::string_view> keys) const {
    const Json* found = at_path(keys);
    return found ? found->text() : std::string_view{};
}

Json& Json::make_object(Arena& arena, std::string_view key) {
    Json* found = find(key);
    if (!found || found->is_null()) return set(arena, key, object());
    return *found;
}

Json& Json::make_array(Arena& arena, std::string_view key) {
    Json* found = find(key);
    if (!found || found->is_null()) return set(arena, key, array());
    return *found;
}

Json Json::deep_copy(Arena& arena) const {
    if (is_string()) return string(arena, as_string());
    if (is_array()) {
        Json copy = array();
        if (empty()) return copy;
        const auto size = array_->size;
        auto* elements = arena.array<Json>(size);
        copy.array_ = new (arena.array<Array>(1)) Array{size, size, elements};
        for (uint32_t i = 0; i < size; ++i) elements[i] = array_->elements[i].deep_copy(arena);
        return copy;
    }
    if (is_object()) {
        Json copy = object();
        if (empty()) return copy;
        const auto size = object_->size;
        auto* held = arena.array<Member>(size);
        copy.object_ = new (arena.array<Object>(1)) Object{size, size, held, nullptr, 0};
        for (uint32_t i = 0; i < size; ++i) {
            const Member& member = object_->members[i];
            held[i] = Member{arena.copy(member.key), member.value.deep_copy(arena)};
        }
        if (size >= indexed_min) copy.object_->make_index(arena);
        return copy;
    }
    return *this;
}

namespace {

bool equal_numbers(const Json& left, const Json& right) {
    if (left.type() == right.type() || (left.is_integer() && right.is_integer())) {
        if (left.type() == Json::Type::Double) return left.as_double() == right.as_double();
        return left.type() == right.type() && left.as_int() == right.as_int() &&
               left.as_uint() == right.as_uint();
    }
    const Json& real = left.is_integer() ? right : left;
    const Json& whole = left.is_integer() ? left : right;
    const double value = real.as_double();
    if (value != std::trunc(value)) return false;
    if (value >= -0x1p63 && value < 0x1p63)
        return whole.type() == Json::Type::Int && static_cast<int64_t>(value) == whole.as_int();
    if (value >= 0 && value < 0x1p64)
        return whole.type() == Json::Type::Uint && static_cast<uint64_t>(value) == whole.as_uint();
    return false;
}

bool equal_objects(const Json& left, const Json& right) {
    if (left.size() != right.size()) return false;
    const auto mine = left.members();
    const auto others = right.members();
    for (size_t i = 0; i < mine.size(); ++i) {
        const Json* other =
            mine[i].key == others[i].key ? &others[i].value : right.find(mine[i].key);
        if (!other || !(mine[i].value == *other)) return false;
    }
    return true;
}

}   // namespace

bool operator==(const Json& left, const Json& right) {
    if (left.is_number() && right.is_number()) return equal_numbers(left, right);
    if (left.type() != right.type()) return false;
    switch (left.type()) {
    case Json::Type::Bool: return left.as_bool() == right.as_bool();
    case Json::Type::String: return left.as_string() == right.as_string();
    case Json::Type::Array: return std::ranges::equal(left.items(), right.items());
    case Json::Type::Object: return equal_objects(left, right);
    default: return true;
    }
}

}   // namespace skiff::codec
