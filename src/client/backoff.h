// How long to wait before the next attempt: doubling, bounded, with chance mixed in so that many
// clients of one server do not come back at once.
#pragma once

#include <algorithm>

#include "base/random.h"
#include "base/time.h"

namespace skiff::client {

// first * 2^failures, at most `most`.
inline Duration exponential(Duration first, Duration most, unsigned failures) {
    Duration delay = first;
    for (unsigned i = 0; i < failures && delay < most; ++i) delay *= 2;
    return std::min(delay, most);
}

class Backoff {
  public:
    Backoff(Duration first, Duration most) : first_{first}, most_{most} {}
    Duration next(Random& random) {   // between half and all of the exponential
        const Duration whole = exponential(first_, most_, failures_++);
        return whole / 2 + Duration{static_cast<int64_t>(
                               random.below(static_cast<uint64_t>(whole.count() / 2 + 1)))};
    }
    void reset() { failures_ = 0; }
    unsigned failures() const { return failures_; }

  private:
    Duration first_;
    Duration most_;
    unsigned failures_ = 0;
};

}   // namespace skiff::client
