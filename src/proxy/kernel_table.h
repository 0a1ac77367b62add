// Keeps one table of the kernel equal to a Ruleset.
#pragma once

#include "proxy/ruleset.h"

namespace skiff::proxy {

class KernelTable {
  public:
    // `kept`: asked before the table is replaced whole.
    using KeptElements = std::function<Result<std::vector<Ruleset::Kept>>(NetfilterSocket&)>;
    KernelTable(NetfilterSocket& socket, Ruleset& rules, KeptElements kept = {})
        : socket_{socket}, rules_{rules}, kept_{std::move(kept)} {}

    // What was changed; the whole table the first time, and when the kernel refuses the change
    // (somebody else's hands were in it).
    Result<> commit();
    // The table is not as it was left: removed, or made by another.
    bool lost();

  private:
    Result<> replace();
    Result<std::optional<uint64_t>> handle();   // absent: there is no such table

    NetfilterSocket& socket_;
    Ruleset& rules_;
    KeptElements kept_;
    bool known_ = false;
    std::optional<uint64_t> handle_;
};

// Changes whenever anybody's rules do: while it is the same, no table was lost.
Result<uint32_t> generation(NetfilterSocket& socket);

}   // namespace skiff::proxy
