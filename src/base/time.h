// Instants and spans. Wall time is what objects carry; monotonic time is what timeouts use.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"

namespace skiff {

using Duration = std::chrono::nanoseconds;
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;
using MonoTime = std::chrono::time_point<std::chrono::steady_clock, Duration>;
using namespace std::chrono_literals;

// The only door to the time of day. Production's is base/os_clock.h, the simulated world has its
// own; nothing else reads a clock.
class Clock {
  public:
    virtual ~Clock() = default;
    virtual WallTime now() const = 0;
    virtual MonoTime monotonic() const = 0;
};

Clock& os_clock();   // the machine's; only cmd/ and tests name it

// RFC 3339 as Kubernetes writes it: metav1.Time in whole seconds, MicroTime with six digits.
std::string rfc3339(WallTime time);
std::string rfc3339_micro(WallTime time);
std::string rfc3339_nano(WallTime time);                 // as CRI log lines carry it, nine digits
Result<WallTime> parse_rfc3339(std::string_view text);   // any offset, up to nine fraction digits

// Go's duration text, e.g. "1m30s", "500ms", "-2h".
Result<Duration> parse_go_duration(std::string_view text);
std::string go_duration(Duration duration);

}   // namespace skiff
