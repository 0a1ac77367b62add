// Waiting longer each time something fails: Kubernetes' numbers (flowcontrol.Backoff as kubelet
// uses it). Pure: the time is an argument.
#pragma once

#include <algorithm>

#include "base/time.h"

namespace skiff::agent {

struct Backoff {
    Duration first = std::chrono::seconds{10};
    Duration most = std::chrono::minutes{5};
    Duration delay{};   // zero: nothing failed yet
    WallTime updated{};

    // A thing that failed at `failed_at` must still wait.
    bool holds(WallTime failed_at, WallTime now) const {
        if (delay == Duration{} || expired(failed_at)) return false;
        return now < failed_at + delay;
    }
    // One more try is made now: the next failure waits longer.
    void advance(WallTime now) {
        delay = delay == Duration{} || expired(now) ? first : std::min(delay * 2, most);
        updated = now;
    }
    void reset() { delay = {}; }

    // After a restart of the agent: as if it had seen `tries` tries, the last at `last`.
    void assume(unsigned tries, WallTime last) {
        delay = {};
        for (unsigned i = 0; i < tries && delay < most; ++i) {
            delay = delay == Duration{} ? first : std::min(delay * 2, most);
        }
        updated = last;
    }

  private:
    bool expired(WallTime at) const { return at - updated > most * 2; }
};

}   // namespace skiff::agent
