// The registry: what each verb does to stored objects, the same for every kind. What differs
// between kinds is in the schema's tables and the kind's rules (api/rules.h).
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "apiserver/body.h"
#include "apiserver/call.h"
#include "apiserver/catalog.h"
#include "apiserver/objects.h"
#include "apiserver/quotas.h"
#include "apiserver/service_allocator.h"
#include "base/executor.h"
#include "base/random.h"
#include "store/store.h"

namespace skiff::apiserver {

class RbacAuthorizer;

struct RegistryParts {
    store::Store& store;
    const Catalog& catalog;
    Clock& clock;
    Random& random;
    Executor& executor;
    Ipv4Range service_range;
    const RbacAuthorizer* authorizer = nullptr;   // null: who may grant what is not checked
};

// What a write comes to, decided on the object as it is now.
struct Mutation {
    enum class What : uint8_t { Put, Delete, Keep } what = What::Keep;
    Document document;   // Put: the whole new object, in stored form
    int status = 200;
    std::vector<store::Precondition> also;   // further conditions of the transaction
    std::vector<store::Write> writes;        // and further writes
    bool frees = false;                      // quotas have more room afterwards
    std::function<void(Call& call, const store::ObjectPtr& object)> answer;   // else answer_object
};
// `current` is null when the key does not exist. May run again on a newer state after a conflict.
using Decide = std::function<Result<Mutation>(const store::ObjectPtr& current)>;

class Registry {
  public:
    explicit Registry(RegistryParts parts)
        : parts_{parts},
          services_{parts.store, parts.random, parts.service_range},
          quotas_{parts.store, parts.catalog, parts.executor} {}
    Quotas& quotas() { return quotas_; }

    // A resource request that was authenticated and authorized; it is answered now or later.
    void serve(const CallPtr& call);

    // Answers a get or list with objects that are stored nowhere (made_object), those that the call
    // selects; any thread.
    void answer_made(const CallPtr& call, std::vector<store::ObjectPtr> objects);

    const RegistryParts& parts() const { return parts_; }
    store::Key key_of(const ServedResource& resource, std::string_view name_space,
                      std::string_view name) const;
    store::ObjectPtr find(const ServedResource& resource, std::string_view name_space,
                          std::string_view name) const;
    const ServedResource& core(std::string_view plural) const;   // of v1; must exist

    // Reads, decides, commits; decides again on a conflict (at most 16 times), unless the caller's
    // own precondition failed. The call is answered from the commit.
    void mutate(const CallPtr& call, const ServedResource& resource, const std::string& name,
                Decide decide);

    // Everything between a decoded object and the store: metadata, rules, admission, validation.
    Result<Mutation> plan_create(Call& call, const ServedResource& resource, Document document);
    Result<Mutation> plan_update(Call& call, const ServedResource& resource,
                                 const store::Object& current, Document document,
                                 std::string_view subresource);
    Result<Mutation> plan_delete(Call& call, const ServedResource& resource,
                                 const store::Object& current, const Json& options);

  private:
    void get(const CallPtr& call);
    void list(const CallPtr& call);
    void create(const CallPtr& call);
    void create_generated(const CallPtr& call, std::shared_ptr<Document> document, int tries);
    void update(const CallPtr& call);
    void patch(const CallPtr& call);
    void remove(const CallPtr& call);
    void remove_collection(const CallPtr& call);
    bool serve_subresource(const CallPtr& call);   // false: it is stored with the object (status …)
    void bind(const CallPtr& call);
    void evict(const CallPtr& call);
    void scale(const CallPtr& call);
    void roll_back(const CallPtr& call);

    void commit(const CallPtr& call, const ServedResource& resource,
                std::shared_ptr<Mutation> mutation, store::ObjectPtr current,
                const std::string& name, Decide decide, int tries);
    void try_mutation(const CallPtr& call, const ServedResource& resource, const std::string& name,
                      Decide decide, int tries);
    void answer_list(const CallPtr& call);

    RegistryParts parts_;
    ServiceAllocator services_;
    Quotas quotas_;
};

}   // namespace skiff::apiserver
