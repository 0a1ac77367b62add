// ResourceQuotas: what a write adds is reserved in the write's own transaction, so no two of them
// together get past a bound, whoever commits first. What becomes free again is counted anew a
// moment later, from the store as it is.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "apiserver/call.h"
#include "apiserver/objects.h"
#include "apiserver/pod_resources.h"
#include "apiserver/service_allocator.h"
#include "base/executor.h"

namespace skiff::apiserver {

class Quotas {
  public:
    Quotas(store::Store& store, const Catalog& catalog, Executor& executor);
    ~Quotas();
    void start();   // from here on status is kept; before it, it is where a write needs it

    bool guard(std::string_view name_space) const;   // whether there is any
    // Forbidden when the object, as it is to be stored, is more than a quota of its namespace
    // leaves. True: it uses less than `before`, tell freed() once that is committed.
    Result<bool> charge(const ServedResource& resource, std::string_view name_space,
                        const Json* before, const Json& after, Claims claims) const;
    void freed(std::string_view name_space);
    // Creates of a guarded namespace one after the other: they would only get in each other's way.
    void in_turn(const CallPtr& call, std::string_view name_space, Task task);
    size_t recount_now(std::string_view name_space);   // how many quotas were not up to date

  private:
    struct State;
    std::shared_ptr<State> state_;
};

}   // namespace skiff::apiserver
