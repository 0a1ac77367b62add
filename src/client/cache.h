// What an informer remembers: objects by key, with indexes. Reads from any thread; one writer.
// Its order is that of the events which filled it, never a hash's.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/guarded.h"
#include "client/json_scan.h"
#include "client/object_key.h"

namespace skiff::client {

using AnyObject = std::shared_ptr<const void>;

class ObjectCache {
  public:
    using IndexKeys = std::function<std::vector<std::string>(const void* object)>;
    static constexpr std::string_view by_namespace = "namespace";
    static constexpr std::string_view by_owner = "owner";   // metadata.ownerReferences[].uid

    ObjectCache();
    void add_index(std::string name, IndexKeys keys);   // before the first put

    // Each returns what was there before.
    AnyObject put(const ObjectIdentity& identity, AnyObject object, uint64_t generation);
    AnyObject remove(const ObjectKey& key);
    // The keys of objects that were last put or kept under an older generation.
    std::vector<ObjectKey> older_than(uint64_t generation) const;

    struct Version {
        std::string uid;
        std::string resource_version;
    };
    std::optional<Version> version_of(const ObjectKey& key) const;
    // Marks an object as still there; false when it is not cached in this very version.
    bool keep(const ObjectIdentity& identity, uint64_t generation);

    AnyObject find(const ObjectKey& key) const;
    std::vector<AnyObject> all() const;
    std::vector<AnyObject> by_index(std::string_view index, std::string_view key) const;
    size_t size() const;

  private:
    using Slot = uint32_t;
    using Index = std::unordered_map<std::string, std::vector<Slot>>;
    struct Membership {
        size_t index;
        Index::value_type* bucket;   // stable: nodes of an unordered_map do not move
    };
    struct Entry {
        ObjectKey key;
        Version version;
        AnyObject object;   // null: the slot is free
        uint64_t generation = 0;
        std::vector<Membership> memberships;
    };
    struct State {
        std::unordered_map<ObjectKey, Slot, ObjectKey::Hash> slots;
        std::vector<Entry> entries;
        std::vector<Slot> free;
        std::vector<Index> indexes;
    };
    static void leave_indexes(State& state, Slot slot);
    static void enter_index(State& state, Slot slot, size_t index, std::string key);

    std::vector<std::string> index_names_;
    std::vector<IndexKeys> index_keys_;   // null for the built-in ones
    Guarded<State> state_;
};

}   // namespace skiff::client
