#include "client/cache.h"

#include <algorithm>

#include "base/result.h"

namespace skiff::client {

ObjectCache::ObjectCache() {
    add_index(std::string{by_namespace}, nullptr);
    add_index(std::string{by_owner}, nullptr);
}

void ObjectCache::add_index(std::string name, IndexKeys keys) {
    index_names_.push_back(std::move(name));
    index_keys_.push_back(std::move(keys));
    state_.use([](State& state) {
        ASSERT(state.entries.empty());
        state.indexes.emplace_back();
    });
}

// Buckets are sorted by slot; a new object mostly goes to the end.
void ObjectCache::enter_index(State& state, Slot slot, size_t index, std::string key) {
    auto& bucket = *state.indexes[index].try_emplace(std::move(key)).first;
    auto& slots = bucket.second;
    const auto at = std::ranges::lower_bound(slots, slot);
    if (at != slots.end() && *at == slot) return;
    slots.insert(at, slot);
    state.entries[slot].memberships.push_back({index, &bucket});
}

void ObjectCache::leave_indexes(State& state, Slot slot) {
    for (const auto& [index, bucket] : state.entries[slot].memberships) {
        auto& slots = bucket->second;
        slots.erase(std::ranges::lower_bound(slots, slot));
        if (slots.empty()) state.indexes[index].erase(bucket->first);
    }
    state.entries[slot].memberships.clear();
}

AnyObject ObjectCache::put(const ObjectIdentity& identity, AnyObject object, uint64_t generation) {
    ASSERT(object);
    std::vector<std::pair<size_t, std::string>> memberships;
    if (!identity.name_space.empty()) memberships.emplace_back(0, identity.name_space);
    for (const auto& uid : identity.owner_uids) memberships.emplace_back(1, uid);
    for (size_t i = 0; i < index_keys_.size(); ++i)
        if (index_keys_[i])
            for (auto& key : index_keys_[i](object.get()))
                memberships.emplace_back(i, std::move(key));
    return state_.use([&](State& state) {
        const ObjectKey key{identity.name_space, identity.name};
        const auto [known, is_new] = state.slots.try_emplace(key, 0);
        if (is_new) {
            if (state.free.empty()) {
                known->second = static_cast<Slot>(state.entries.size());
                state.entries.emplace_back();
            } else {
                known->second = state.free.back();
                state.free.pop_back();
            }
            state.entries[known->second].key = key;
        }
        const Slot slot = known->second;
        leave_indexes(state, slot);
        for (auto& [index, value] : memberships) enter_index(state, slot, index, std::move(value));
        Entry& entry = state.entries[slot];
        entry.memberships.shrink_to_fit();
        entry.version = {identity.uid, identity.resource_version};
        entry.generation = generation;
        return std::exchange(entry.object, std::move(object));
    });
}

AnyObject ObjectCache::remove(const ObjectKey& key) {
    return state_.use([&](State& state) -> AnyObject {
        const auto known = state.slots.find(key);
        if (known == state.slots.end()) return nullptr;
        const Slot slot = known->second;
        leave_indexes(state, slot);
        AnyObject object = std::move(state.entries[slot].object);
        state.entries[slot] = Entry{};
        state.free.push_back(slot);
        state.slots.erase(known);
        return object;
    });
}

std::vector<ObjectKey> ObjectCache::older_than(uint64_t generation) const {
    return state_.use([&](const State& state) {
        std::vector<ObjectKey> keys;
        for (const auto& entry : state.entries)
            if (entry.object && entry.generation < generation) keys.push_back(entry.key);
        return keys;
    });
}

std::optional<ObjectCache::Version> ObjectCache::version_of(const ObjectKey& key) const {
    return state_.use([&](const State& state) -> std::optional<Version> {
        const auto known = state.slots.find(key);
        if (known == state.slots.end()) return std::nullopt;
        return state.entries[known->second].version;
    });
}

bool ObjectCache::keep(const ObjectIdentity& identity, uint64_t generation) {
    return state_.use([&](State& state) {
        const auto known = state.slots.find({identity.name_space, identity.name});
        if (known == state.slots.end()) return false;
        Entry& entry = state.entries[known->second];
        if (entry.version.uid != identity.uid ||
            entry.version.resource_version != identity.resource_version)
            return false;
        entry.generation = std::max(entry.generation, generation);
        return true;
    });
}

AnyObject ObjectCache::find(const ObjectKey& key) const {
    return state_.use([&](const State& state) -> AnyObject {
        const auto known = state.slots.find(key);
        return known == state.slots.end() ? nullptr : state.entries[known->second].object;
    });
}

std::vector<AnyObject> ObjectCache::all() const {
    return state_.use([](const State& state) {
        std::vector<AnyObject> objects;
        objects.reserve(state.slots.size());
        for (const auto& entry : state.entries)
            if (entry.object) objects.push_back(entry.object);
        return objects;
    });
}

std::vector<AnyObject> ObjectCache::by_index(std::string_view index, std::string_view key) const {
    const auto name = std::ranges::find(index_names_, index);
    ASSERT(name != index_names_.end());
    const auto number = static_cast<size_t>(name - index_names_.begin());
    return state_.use([&](const State& state) {
        std::vector<AnyObject> objects;
        const auto bucket = state.indexes[number].find(std::string{key});
        if (bucket == state.indexes[number].end()) return objects;
        objects.reserve(bucket->second.size());
        for (const Slot slot : bucket->second) objects.push_back(state.entries[slot].object);
        return objects;
    });
}

size_t ObjectCache::size() const {
    return state_.use([](const State& state) { return state.slots.size(); });
}

}   // namespace skiff::client
