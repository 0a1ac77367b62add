// A JSON value in an arena: 16 bytes, trivially copyable, key order kept. Whatever makes it longer
// takes the arena. Numbers are int64, uint64 above that, or double.
//
// A copy of an array or object is another name of the same one, as in JavaScript; deep_copy makes a
// second one. One exception: as long as it is empty and new (array(), object()) there is nothing to
// share, so put it where it belongs first and fill it through what set and push return. References
// to elements and members hold until something is added beside them.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "base/result.h"
#include "codec/arena.h"

namespace skiff::codec {

class Json {
  public:
    enum class Type : uint8_t { Null, Bool, Int, Uint, Double, String, Array, Object };
    struct Member;

    Json() = default;   // null
    static Json boolean(bool value);
    static Json integer(int64_t value);
    static Json unsigned_integer(uint64_t value);   // Int when it fits
    static Json number(double value);
    static Json string(Arena& arena, std::string_view text);   // copies
    static Json borrowed(std::string_view text);   // the text must outlive it (literals)
    static Json array();
    static Json object();

    Type type() const { return type_; }
    bool is_null() const { return type_ == Type::Null; }
    bool is_bool() const { return type_ == Type::Bool; }
    bool is_integer() const { return type_ == Type::Int || type_ == Type::Uint; }
    bool is_number() const { return is_integer() || type_ == Type::Double; }
    bool is_string() const { return type_ == Type::String; }
    bool is_array() const { return type_ == Type::Array; }
    bool is_object() const { return type_ == Type::Object; }

    // Each asserts its type; `text` does not: "" when it is no string.
    bool as_bool() const;
    int64_t as_int() const;     // an integer; the largest int64 for what is above
    uint64_t as_uint() const;   // as as_int; 0 for what is negative
    double as_double() const;   // any number
    std::string_view as_string() const;
    std::string_view text() const { return is_string() ? as_string() : std::string_view{}; }

    // Arrays and objects: how many elements or members; 0 for all else.
    size_t size() const;
    bool empty() const { return size() == 0; }

    // Arrays.
    std::span<Json> items();
    std::span<const Json> items() const;    // empty when it is no array
    Json& push(Arena& arena, Json value);   // the element as stored
    void insert(Arena& arena, size_t index, Json value);
    void remove_at(size_t index);
    template <class F>
    void remove_items_if(F&& unwanted);   // F(Json&) -> bool; one pass

    // Objects. Null and absent differ: find gives the null.
    std::span<Member> members();
    std::span<const Member> members() const;   // empty when it is no object
    Json* find(std::string_view key);
    const Json* find(std::string_view key) const;
    // Replaces in place or appends, then with a copy of the key.
    Json& set(Arena& arena, std::string_view key, Json value);
    Json& set_borrowed(Arena& arena, std::string_view key, Json value);   // the key must outlive it
    bool remove(std::string_view key);
    template <class F>
    void remove_members_if(F&& unwanted);   // F(Member&) -> bool; one pass
    void sort_members();                    // by key

    // Walks nested objects; null pointer when anything on the way is missing or no object.
    const Json* at_path(std::initializer_list<std::string_view> keys) const;
    Json* at_path(std::initializer_list<std::string_view> keys);
    std::string_view text_at(std::initializer_list<std::string_view> keys) const;   // "" if absent
    // The member, made {} or [] if absent or null.
    Json& make_object(Arena& arena, std::string_view key);
    Json& make_array(Arena& arena, std::string_view key);

    Json deep_copy(Arena& arena) const;
    // Structural: objects as sets of members, numbers by value.
    friend bool operator==(const Json& left, const Json& right);

  private:
    struct Array;   // both in the arena; null while empty and new
    struct Object;
    friend class JsonParser;

    static Json string_at(const char* text, size_t size);
    static Json array_of(Arena& arena, std::span<const Member> values);
    static Json object_of(Arena& arena, std::span<const Member> members);
    void truncate(size_t size);   // keeps the first `size` elements or members

    Type type_ = Type::Null;
    bool flag_ = false;
    uint32_t size_ = 0;   // of a string, in bytes
    union {
        int64_t int_ = 0;
        uint64_t uint_;
        double double_;
        const char* text_;
        Array* array_;
        Object* object_;
    };
};

struct Json::Member {
    std::string_view key;
    Json value;
};

template <class F>
void Json::remove_items_if(F&& unwanted) {
    size_t kept = 0;
    const auto all = items();
    for (Json& item : all)
        if (!unwanted(item)) all[kept++] = item;
    if (kept != all.size()) truncate(kept);
}

template <class F>
void Json::remove_members_if(F&& unwanted) {
    size_t kept = 0;
    const auto all = members();
    for (Member& member : all)
        if (!unwanted(member)) all[kept++] = member;
    if (kept != all.size()) truncate(kept);
}

static_assert(sizeof(Json) == 16);

struct Document {
    Arena arena;
    Json root;
};

struct ParseOptions {
    unsigned depth_max = limits::json_depth_max;
    // Duplicate keys: the last wins; their paths are collected here when set ("spec.a", as
    // Kubernetes' strict decoding names them).
    std::vector<std::string>* duplicate_keys = nullptr;
};

// BadRequest in the words of Go's encoding/json and the byte offset. The whole input must be one
// value. Stricter than Go: invalid UTF-8 is an error. As Go: an escaped lone surrogate is U+FFFD.
// The text is copied.
Result<Document> parse_json(std::string_view text, const ParseOptions& options = {});
Result<Json> parse_json_into(Arena& arena, std::string_view text, const ParseOptions& options = {});

// Compact. As Go's encoding/json without its HTML escaping: floats, U+2028 and U+2029 escaped,
// U+FFFD for bytes that are no UTF-8.
void write_json(const Json& value, std::string& out);
std::string to_json(const Json& value);
void write_json_string(std::string_view text, std::string& out);   // quoted and escaped
// Indented for people.
void write_json_pretty(const Json& value, std::string& out, unsigned indent = 2);

}   // namespace skiff::codec
