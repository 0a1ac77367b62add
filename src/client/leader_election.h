// Who acts, when several processes could: the holder of a Lease object, as upstream's
// leaderelection does it, so that both can stand for one election.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/executor.h"
#include "base/random.h"
#include "client/object_key.h"
#include "client/plan.h"
#include "client/transport.h"

namespace skiff::client {

struct ElectionOptions {
    ObjectKey lease;                 // {"kube-system", "kube-controller-manager"}
    std::string identity;            // unique to this process
    Duration lease_duration = 15s;   // others wait so long after the last renewal they saw
    Duration renew_deadline = 10s;   // who cannot renew for so long gives up
    Duration retry_period = 2s;
};

class LeaderElection final : public Leadership {
  public:
    struct Handlers {   // in turns, on a strand
        std::function<void()> started;
        std::function<void()> stopped;
    };
    LeaderElection(Executor& executor, Random& random, Transport& transport,
                   ElectionOptions options, Handlers handlers);
    ~LeaderElection() override;   // stop()
    void start();
    // Leaves the election; a lease that is held is given back, so that nobody has to wait for it.
    void stop();
    // From any thread. Turns false by the clock alone, whatever hangs: never two lead at once
    // while clocks run at one speed.
    bool leads() const override;

  private:
    class Candidate;
    std::shared_ptr<Candidate> candidate_;
};

}   // namespace skiff::client
