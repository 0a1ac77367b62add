#include "api/interned.h"

#include <array>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <new>
#include <unordered_set>

namespace skiff::api {

// The count of an entry only falls to zero under its shard's lock, where take() also raises it, so
// that nobody takes an entry that is about to go.
class InternPool {
  public:
    using Entry = Interned::Entry;

    Entry* take(std::string_view text) {
        const size_t hash = std::hash<std::string_view>{}(text);
        Shard& shard = shards_[hash % shards_.size()];
        const std::lock_guard lock{shard.mutex};
        const auto found = shard.entries.find(Key{text, hash});
        if (found != shard.entries.end()) {
            (*found)->references.fetch_add(1, std::memory_order_relaxed);
            return *found;
        }
        void* memory = ::operator new(sizeof(Entry) + text.size());
        auto* entry = new (memory) Entry{{1}, static_cast<uint32_t>(text.size()), hash};
        std::memcpy(reinterpret_cast<char*>(entry + 1), text.data(), text.size());
        shard.entries.insert(entry);
        return entry;
    }

    void give_back(Entry* entry) {
        uint32_t count = entry->references.load(std::memory_order_relaxed);
        while (count > 1)
            if (entry->references.compare_exchange_weak(count, count - 1,
                                                        std::memory_order_release))
                return;
        Shard& shard = shards_[entry->hash % shards_.size()];
        const std::lock_guard lock{shard.mutex};
        if (entry->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
        shard.entries.erase(entry);
        entry->~Entry();
        ::operator delete(entry);
    }

    size_t count() {
        size_t sum = 0;
        for (Shard& shard : shards_) {
            const std::lock_guard lock{shard.mutex};
            sum += shard.entries.size();
        }
        return sum;
    }

    static InternPool& instance() {   // never destroyed: objects may outlive main()
        static auto* pool = new InternPool;
        return *pool;
    }

  private:
    struct Key {
        std::string_view text;
        size_t hash;
    };
    struct Hash {
        using is_transparent = void;
        size_t operator()(const Entry* entry) const { return entry->hash; }
        size_t operator()(const Key& key) const { return key.hash; }
    };
    struct Equal {
        using is_transparent = void;
        bool operator()(const Entry* left, const Entry* right) const { return left == right; }
        bool operator()(const Key& key, const Entry* entry) const {
            return key.hash == entry->hash &&
                   key.text == std::string_view{entry->text(), entry->size};
        }
        bool operator()(const Entry* entry, const Key& key) const { return (*this)(key, entry); }
    };
    struct Shard {
        std::mutex mutex;
        std::unordered_set<Entry*, Hash, Equal> entries;
    };
    std::array<Shard, 16> shards_;
};

Interned::Entry* Interned::take(std::string_view text) {
    return text.empty() ? nullptr : InternPool::instance().take(text);
}

void Interned::give_back(Entry* entry) { InternPool::instance().give_back(entry); }

size_t interned_count() { return InternPool::instance().count(); }

}   // namespace skiff::api
