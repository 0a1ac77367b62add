// What a service is given by the server: an address of the service network, ports on the nodes.
//
// What is given away stands in the store as a key of its own
// (/registry/ranges/serviceips/10.96.0.7, /registry/ranges/servicenodeports/30007), written and
// removed in the very transaction that writes the service, with the condition that it was not
// there. So nothing is given twice, whoever else writes at the same time, and no crash leaves
// anything half done.
#pragma once

#include <vector>

#include "apiserver/objects.h"
#include "base/ipv4.h"
#include "base/random.h"
#include "store/store.h"

namespace skiff::apiserver {

bool is_service(const ServedResource& resource);

struct Claims {   // what joins the service's own transaction
    std::vector<store::Precondition>& also;
    std::vector<store::Write>& writes;
};

class ServiceAllocator {
  public:
    ServiceAllocator(store::Store& store, Random& random, Ipv4Range range);

    // Of a service that is valid: fills in families, cluster IP and node ports where they are
    // wanted and absent, claims what is new against `old`, frees what `old` has too much.
    Result<> allocate(Json& service, const Json* old, Arena& arena, Claims claims) const;
    void release(const Json& service, Claims claims) const;

  private:
    struct Held;
    class Work;

    store::Store& store_;
    Random& random_;
    Ipv4Range range_;
    store::ResourceId addresses_;
    store::ResourceId ports_;
};

}   // namespace skiff::apiserver
