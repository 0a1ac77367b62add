// What a controller decided, and the one place that carries it out. A planner is a pure function
// from what is cached to a Plan; it never runs while the cache is behind the controller's own
// writes (expectations) or while another process leads.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/guarded.h"
#include "client/client.h"
#include "client/event_recorder.h"
#include "client/informer_core.h"
#include "client/work_queue.h"

namespace skiff::client {

// What `kubectl describe` of the plan's object shows about a write.
struct WriteEvent {
    EventType type = EventType::Normal;
    std::string reason;
    std::string message;   // "{name}" becomes the written object's name, "{error}" what went wrong
};

struct Write {
    enum class Verb : uint8_t { Create, Update, Patch, Delete } verb = Verb::Create;
    ResourceName resource;
    ObjectKey key;   // Create: the namespace, and the name unless it is generated
    std::string subresource;
    std::string body;   // the object or the patch, JSON
    PatchType patch = PatchType::StrategicMerge;
    // Preconditions; "" for none. In what is not a delete they go into the body's metadata.
    std::string uid;
    std::string resource_version;
    DeletePreconditions deletion;   // of a Delete: grace period and propagation
    bool if_absent = false;         // Create: that one is there already is as good
    bool adds_suffix = false;       // Create: the key's name gets five characters by chance
    // Creates and deletes that may run beside their neighbours which say so too, in batches that
    // double as long as all goes well.
    bool together = false;
    std::optional<WriteEvent> when_done;
    std::optional<WriteEvent> when_failed;
};

struct Plan {
    ObjectReference about;           // whose events the writes' are
    std::vector<Write> writes;       // in this order; the first that fails ends it
    std::optional<Duration> again;   // look again after this even if nothing happens
    bool empty() const { return writes.empty(); }

    // The usual writes of typed views. The reference lets the caller add preconditions.
    template <class V>
    Write& create(const V& object, const ObjectKey& key) {
        return add({.verb = Write::Verb::Create, .key = key, .body = text_of(object)},
                   resource_of<V>());
    }
    template <class V>
    Write& update(const V& object, const ObjectKey& key, std::string subresource = {}) {
        return add({.verb = Write::Verb::Update,
                    .key = key,
                    .subresource = std::move(subresource),
                    .body = text_of(object)},
                   resource_of<V>());
    }
    template <class V>
    Write& patch(const ObjectKey& key, std::string body, std::string subresource = {},
                 PatchType type = PatchType::StrategicMerge) {
        return add({.verb = Write::Verb::Patch,
                    .key = key,
                    .subresource = std::move(subresource),
                    .body = std::move(body),
                    .patch = type},
                   resource_of<V>());
    }
    template <class V>
    Write& remove(const ObjectKey& key, std::string uid) {
        return add({.verb = Write::Verb::Delete, .key = key, .uid = std::move(uid)},
                   resource_of<V>());
    }

  private:
    Write& add(Write write, const ResourceName& resource) {
        write.resource = resource;
        return writes.emplace_back(std::move(write));
    }
    template <class V>
    static std::string text_of(const V& object) {
        codec::Arena arena;
        return codec::to_json(api::encode(object, arena));
    }
};

// Whether this process is the one that acts. Without an election it always is.
class Leadership {
  public:
    virtual ~Leadership() = default;
    virtual bool leads() const = 0;
};

// A write whose answer was lost may have been done. Its object is asked for before anything else is
// planned for the same key; so names are chosen here and not by the server (adds_suffix).
class PlanExecutor {
  public:
    using Planner = std::function<Result<Plan>()>;

    explicit PlanExecutor(Client& client, const Leadership* leadership = nullptr)
        : client_{client}, leadership_{leadership} {}
    // Before the first reconcile: where suffixes come from, where events go.
    void equip(Random& random, EventRecorder& events) {
        random_ = &random;
        events_ = &events;
    }

    // Writes to this resource are expected to show up there. Before the first reconcile; the
    // informer outlives this.
    void observe(const ResourceName& resource, const InformerCore& informer);

    // `key` names the controller's object, not the written ones. Never two at once for one key
    // (the work queue sees to that).
    Result<Requeue> reconcile(const ObjectKey& key, const Planner& planner);
    Result<Requeue> carry_out(const ObjectKey& key, const Plan& plan);
    // The cache shows everything that was written for this key.
    bool settled(const ObjectKey& key);

  private:
    struct Expectation {
        const InformerCore* informer;
        ObjectKey key;
        // A write shows at this version or later; a delete (absent) when the object is no longer
        // as it was.
        std::optional<std::string> at_version;
        ObjectCache::Version was;
        MonoTime since;
        bool in_doubt = false;   // whether it was done must be asked
        ResourceName resource{};
    };
    Result<> carry_out_one(const ObjectKey& key, const Write& write, const ObjectReference& about);
    Result<> carry_out_batch(const ObjectKey& key, std::span<const Write> writes,
                             const ObjectReference& about);
    Result<size_t> carry_out_batches(const ObjectKey& key, const Plan& plan, size_t first);
    Result<> settle_doubts(const ObjectKey& key);
    Result<ApiRequest> request_of(Write& write);
    Result<> answered(const ObjectKey& key, const Write& write, const ObjectReference& about,
                      const std::optional<ObjectCache::Version>& was, Result<ApiResponse> answer);
    std::optional<ObjectCache::Version> cached_version(const Write& write) const;
    void expect(const ObjectKey& key, const Write& write,
                const std::optional<ObjectCache::Version>& was, std::string_view answer);
    void doubt(const ObjectKey& key, const Write& write,
               const std::optional<ObjectCache::Version>& was);
    void record(const Write& write, const ObjectReference& about, const Error* error);
    const InformerCore* informer_of(const ResourceName& resource) const;
    bool seen(const Expectation& expectation) const;

    Client& client_;
    const Leadership* leadership_;
    Random* random_ = nullptr;
    EventRecorder* events_ = nullptr;
    std::vector<std::pair<ResourceName, const InformerCore*>> informers_;
    Guarded<std::map<ObjectKey, std::vector<Expectation>>> expectations_;
};

// A create that failed because its namespace is being deleted: no use to try again.
bool is_namespace_ending(const Error& error);

// The body with preconditions in it: metadata members, or test operations of a JSON patch.
Result<std::string> with_preconditions(const Write& write);

}   // namespace skiff::client
