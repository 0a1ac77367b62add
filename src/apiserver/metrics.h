// What the server counts, as Prometheus reads it at /metrics.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <tuple>

#include "base/guarded.h"
#include "base/time.h"
#include "store/store.h"

namespace skiff::apiserver {

class Metrics {
  public:
    void count(std::string_view verb, std::string_view resource, int code, Duration took);
    std::string text(const store::Statistics& statistics) const;

  private:
    using Name = std::tuple<std::string, std::string, int>;   // verb, resource, code
    struct Series {
        uint64_t requests = 0;
        double seconds = 0;
    };
    Guarded<std::map<Name, Series>> series_;   // bounded: verbs and resources that exist, codes
};

}   // namespace skiff::apiserver
