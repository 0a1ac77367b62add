// Connects a socket: to a unix path, an address, or each address of a name in turn.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "net/loop.h"

namespace skiff::net {

struct DialTarget {
    std::string host;
    uint16_t port = 0;
    std::string unix_path;   // set: instead of the two above
    std::string text() const;
};

// `done` is called once, on the loop and in a later round, unless the handle is dropped before.
class Dial {
  public:
    virtual ~Dial() = default;
};
std::shared_ptr<Dial> dial(Loop& loop, const DialTarget& target, Duration timeout,
                           std::function<void(Result<Fd>)> done);

}   // namespace skiff::net
