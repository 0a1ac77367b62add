// Causes in apimachinery's words: what is wrong with one field of an object, and where it stands.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "codec/json.h"

namespace skiff::api {

using Causes = std::vector<Cause>;

// spec.containers[0].name, as a chain on the stack: only a path that is reported becomes a text.
// A child refers to its parent, so a parent is always a named variable.
class FieldPath {
  public:
    FieldPath() = default;   // the object itself
    explicit FieldPath(std::string_view name) : name_(name) {}

    FieldPath child(std::string_view name) const& { return {*this, name, none, {}}; }
    FieldPath child(std::string_view name, size_t index) const& { return {*this, name, index, {}}; }
    FieldPath child(std::string_view name, std::string_view key) const& {
        return {*this, name, keyed, key};
    }
    FieldPath index(size_t index) const& { return {*this, {}, index, {}}; }
    FieldPath key(std::string_view key) const& { return {*this, {}, keyed, key}; }
    FieldPath child(std::string_view) const&& = delete;
    FieldPath child(std::string_view, size_t) const&& = delete;
    FieldPath child(std::string_view, std::string_view) const&& = delete;
    FieldPath index(size_t) const&& = delete;
    FieldPath key(std::string_view) const&& = delete;

    std::string text() const;

  private:
    static constexpr size_t none = static_cast<size_t>(-1);
    static constexpr size_t keyed = none - 1;
    FieldPath(const FieldPath& parent, std::string_view name, size_t index, std::string_view key)
        : parent_(&parent), name_(name), key_(key), index_(index) {}
    void append_to(std::string& out) const;

    const FieldPath* parent_ = nullptr;
    std::string_view name_;
    std::string_view key_;
    size_t index_ = none;
};

void add_required(Causes& causes, const FieldPath& path, std::string_view detail = {});
void add_invalid(Causes& causes, const FieldPath& path, std::string_view value,
                 std::string_view detail);
void add_invalid(Causes& causes, const FieldPath& path, const char* value, std::string_view detail);
void add_invalid(Causes& causes, const FieldPath& path, const codec::Json& value,
                 std::string_view detail);
void add_invalid(Causes& causes, const FieldPath& path, int64_t value, std::string_view detail);
void add_not_supported(Causes& causes, const FieldPath& path, std::string_view value,
                       std::span<const std::string_view> supported);
void add_not_supported(Causes& causes, const FieldPath& path, std::string_view value,
                       std::initializer_list<std::string_view> supported);
void add_duplicate(Causes& causes, const FieldPath& path, std::string_view value);
void add_duplicate(Causes& causes, const FieldPath& path, const codec::Json& value);
void add_not_found(Causes& causes, const FieldPath& path, std::string_view value);
void add_forbidden(Causes& causes, const FieldPath& path, std::string_view detail);
void add_too_long(Causes& causes, const FieldPath& path, size_t bytes_max);
void add_too_many(Causes& causes, const FieldPath& path, size_t items, size_t items_max);

// "must be between 1 and 65535, inclusive"
std::string range_message(int64_t min, int64_t max);
inline constexpr std::string_view not_negative_message = "must be greater than or equal to 0";
inline constexpr std::string_view immutable_message = "field is immutable";

// What one of check_format's kind says, if it says something.
void add_unless_ok(Causes& causes, const FieldPath& path, std::string_view value,
                   const std::string& problem);
// A port number, 1 to 65535.
void check_port_number(Causes& causes, const FieldPath& path, int64_t port);

}   // namespace skiff::api
