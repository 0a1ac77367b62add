// A JSON value in an arena: 16 bytes, trivially copyable (a copy shares what is below), key order
// kept. Whatever makes it longer takes the arena. Numbers are int64, uint64 above that, or double.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

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

    // Each asserts its type; `text` also for keys' ease: "" when not a string.
    bool as_bool() const;
    int64_t as_int() const;
    double as_double() const;       // any number
    std::string_view as_string() const;
    std::string_view text() const { return is_string() ? as_string() : std::string_view{}; }

    // Arrays and objects: how many elements or members; 0 for all else.
    size_t size() const;
    bool empty() const { return size() == 0; }

    // Arrays.
    std::span<Json> items();
    std::span<const Json> items() const;   // empty when it is no array
    Json& push(Arena& arena, Json value);  // the element as stored
    void insert(Arena& arena, size_t index, Json value);
    void remove_at(size_t index);

    // Objects. Null and absent differ: find gives the null.
    std::span<Member> members();
    std::span<const Member> members() const;   // empty when it is no object
    Json* find(std::string_view key);
    const Json* find(std::string_view key) const;
    Json& set(Arena& arena, std::string_view key, Json value);   // copies the key; replaces in place or appends
    Json& set_borrowed(Arena& arena, std::string_view key, Json value);   // the key must outlive it
    bool remove(std::string_view key);

    // Walks nested objects; null pointer when anything on the way is missing or no object.
    const Json* at_path(std::initializer_list<std::string_view> keys) const;
    Json* at_path(std::initializer_list<std::string_view> keys);
    std::string_view text_at(std::initializer_list<std::string_view> keys) const;   // "" if absent
    Json& make_object(Arena& arena, std::string_view key);   // the member, made {} if absent or null
    Json& make_array(Arena& arena, std::string_view key);

    Json deep_copy(Arena& arena) const;
    // Structural: objects as sets of members, numbers by value.
    friend bool operator==(const Json& left, const Json& right);

  private:
    Type type_ = Type::Null;
    bool flag_ = false;
    uint32_t size_ = 0;
    union {
        int64_t int_ = 0;
        uint64_t uint_;
        double double_;
        const char* text_;
        struct Array* array_;     // {capacity, elements}, in the arena
        struct Object* object_;
    };
};

struct Json::Member {
    std::string_view key;
    Json value;
};

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

// BadRequest with line-free text as Go's encoding/json would give it where that is practical:
// what was wrong and at which byte offset. The whole input must be one value.
Result<Document> parse_json(std::string_view text, const ParseOptions& options = {});
Result<Json> parse_json_into(Arena& arena, std::string_view text, const ParseOptions& options = {});

void write_json(const Json& value, std::string& out);   // compact; as Go writes floats; HTML left alone
std::string to_json(const Json& value);
void write_json_string(std::string_view text, std::string& out);   // quoted and escaped
// Indented for people.
void write_json_pretty(const Json& value, std::string& out, unsigned indent = 2);

}   // namespace skiff::codec
