// What the agent asks of the API about pods. An interface, so that a worker can be tested and run
// without a server.
#pragma once

#include <memory>
#include <string>

#include "agent/volumes/claims.h"
#include "agent/volumes/payload.h"
#include "client/client.h"

namespace skiff::agent {

struct IssuedToken {
    std::string token;
    WallTime expires{};
};

class PodApi {
  public:
    virtual ~PodApi() = default;
    // Strategic-merge patch of pods/NAME/status. NotFound: no such pod; Conflict: another uid.
    virtual Result<> patch_status(const Pod& pod, const std::string& patch) = 0;
    virtual Result<> remove(const Pod& pod) = 0;   // grace 0, only this uid; gone already is fine
    virtual Result<IssuedToken> token(const Pod& pod, const TokenWanted& wanted) = 0;
    // The volume that the pod's volume stands for by its claim; fails in kubelet's words.
    virtual Result<view::PersistentVolume> claimed(const Pod& pod, const Volume& volume) = 0;
};

std::unique_ptr<PodApi> make_pod_api(client::Client& client);

}   // namespace skiff::agent
