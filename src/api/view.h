// Typed views: structs that declare the fields they read of an object. The generator makes the
// structs and their tables from *.view files (schema/README.md); this is the one decoder and the
// one encoder. managedFields and whatever a view does not declare is skipped unread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "api/view_types.h"
#include "base/result.h"
#include "base/time.h"
#include "codec/json.h"

namespace skiff::api {

// A view type V has: `static const ViewTable& table();` and, when it is of a kind,
// `static constexpr std::string_view group, version, resource, kind;`.

enum class ViewType : uint8_t {
    Bool,
    Int32,
    Int64,
    Double,
    String,
    Interned,
    Bytes,   // std::string of decoded bytes
    Time,
    MicroTime,
    Duration,
    Quantity,
    IntOrString,
    Message,
    Raw,   // std::string of JSON text
    StringList,
};

enum class ViewShape : uint8_t { Single, List, Map };

// How to fill and read a member whatever holds its values. `make` gives the place for one more
// value; `each` visits the values that are there.
using ViewVisitor = void (*)(void* context, std::string_view key, const void* value);
struct ViewHolder {
    void* (*make)(void* member, std::string_view key);
    void (*each)(const void* member, void* context, ViewVisitor visit);
    void (*clear)(void* member);
    bool plain;   // the value itself: absent is zero
};

struct ViewTable;
struct ViewField {
    std::string_view name;
    uint32_t offset;
    ViewType type;
    ViewShape shape;
    bool always;
    const ViewHolder* holder;
    const ViewTable* table;   // ViewType::Message
};

struct ViewTable {
    std::span<const ViewField> fields;
    std::string_view api_version;   // of a kind
    std::string_view kind;
};

Result<> decode_view(const ViewTable& table, std::string_view json, void* out);
Result<> decode_view(const ViewTable& table, const codec::Json& value, void* out);
codec::Json encode_view(const ViewTable& table, const void* view, codec::Arena& arena);

template <class V>
Result<V> decode(std::string_view json) {
    V view{};
    if (auto done = decode_view(V::table(), json, &view); !done)
        return std::unexpected{std::move(done).error()};
    return view;
}
template <class V>
Result<V> decode(const codec::Json& value) {
    V view{};
    if (auto done = decode_view(V::table(), value, &view); !done)
        return std::unexpected{std::move(done).error()};
    return view;
}
template <class V>
codec::Json encode(const V& view, codec::Arena& arena) {
    return encode_view(V::table(), &view, arena);
}

// A List object. The items stay texts, each to be decoded by whoever wants it, as what it wants.
struct ListText {
    std::string resourceVersion;
    std::string continue_;
    std::optional<int64_t> remainingItemCount;
    std::vector<std::string_view> items;   // into the text
};
Result<ListText> split_list(std::string_view json);

// One event of a watch, {"type":"ADDED","object":{…}}. Both are views into the text.
struct WatchEventText {
    std::string_view type;
    std::string_view object;
};
Result<WatchEventText> split_watch_event(std::string_view json);

template <class V>
struct ListOf {
    std::string resourceVersion;
    std::string continue_;
    std::optional<int64_t> remainingItemCount;
    std::vector<V> items;
};
template <class V>
Result<ListOf<V>> decode_list(std::string_view json) {
    TRY(auto list, split_list(json));
    ListOf<V> out{
        std::move(list.resourceVersion), std::move(list.continue_), list.remainingItemCount, {}};
    out.items.resize(list.items.size());
    for (size_t i = 0; i < list.items.size(); ++i)
        TRY_OK(decode_view(V::table(), list.items[i], &out.items[i]));
    return out;
}

// The holders, by the member's type.
template <class T>
struct ViewHolderOf {   // the value itself
    static void* make(void* member, std::string_view) { return member; }
    static void each(const void* member, void* context, ViewVisitor visit) {
        visit(context, {}, member);
    }
    static void clear(void* member) { *static_cast<T*>(member) = T{}; }
    static constexpr ViewHolder holder{make, each, clear, true};
};
template <class M>
struct ViewHolderOfMaybe {
    static void* make(void* member, std::string_view) {
        return &static_cast<M*>(member)->emplace();
    }
    static void each(const void* member, void* context, ViewVisitor visit) {
        const M& maybe = *static_cast<const M*>(member);
        if (maybe) visit(context, {}, &*maybe);
    }
    static void clear(void* member) { static_cast<M*>(member)->reset(); }
    static constexpr ViewHolder holder{make, each, clear, false};
};
template <class T>
struct ViewHolderOf<std::optional<T>> : ViewHolderOfMaybe<std::optional<T>> {};
template <class T>
struct ViewHolderOf<Boxed<T>> : ViewHolderOfMaybe<Boxed<T>> {};
template <class T>
struct ViewHolderOf<std::vector<T>> {
    using M = std::vector<T>;
    static void* make(void* member, std::string_view) {
        return &static_cast<M*>(member)->emplace_back();
    }
    static void each(const void* member, void* context, ViewVisitor visit) {
        for (const T& value : *static_cast<const M*>(member)) visit(context, {}, &value);
    }
    static void clear(void* member) { static_cast<M*>(member)->clear(); }
    static constexpr ViewHolder holder{make, each, clear, false};
};
template <class K, class T>
struct ViewHolderOf<SortedMap<K, T>> {
    using M = SortedMap<K, T>;
    static void* make(void* member, std::string_view key) {
        return &(*static_cast<M*>(member))[key];
    }
    static void each(const void* member, void* context, ViewVisitor visit) {
        for (const auto& [key, value] : *static_cast<const M*>(member)) visit(context, key, &value);
    }
    static void clear(void* member) { static_cast<M*>(member)->clear(); }
    static constexpr ViewHolder holder{make, each, clear, false};
};

}   // namespace skiff::api
