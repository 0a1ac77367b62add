// What deployments promise, seen below the store: never more pods than were ever asked for with the
// surge on top.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "codec/json.h"

namespace skiff::sim {

class WorkloadRecord {
  public:
    // A row of deployments, replica sets or pods; null: it is deleted. What is broken, if anything.
    std::optional<std::string> take(std::string_view prefix, const std::string& key,
                                    const codec::Json* object);

  private:
    struct Deployment {
        int64_t most = 0;   // pods, of all numbers that were ever asked for
        int64_t pods = 0;   // active now
    };
    struct Pod {
        std::string deployment;   // its uid; "" when it has none
        bool active = false;
    };
    std::map<std::string, Deployment> deployments_;     // by uid
    std::map<std::string, std::string> owner_of_set_;   // a set's uid: its deployment's
    std::map<std::string, Pod> pods_;                   // by uid
    std::map<std::string, std::string> uids_;           // pods' keys
};

// How many pods a deployment may have and must have, of its spec.
struct Bounds {
    int64_t most = 0;
    int64_t least = 0;
};
Bounds bounds_of(const codec::Json& deployment);
std::string controller_uid(const codec::Json& object);
bool is_active_pod(const codec::Json& pod);

}   // namespace skiff::sim
