// The listening sockets of nginx, which its starter holds beside it: while a killed nginx is being
// started again, whoever connects waits in them and is not refused.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "base/os.h"
#include "base/result.h"

namespace skiff::ingress {

struct Listening {
    std::vector<uint16_t> ports;
    bool ipv6 = false;
};

class Listeners {
  public:
    // Closes what is not wished, opens what is missing and can be had.
    void open(const Listening& wished);
    // The same of an nginx that runs: what is missing is copied from it, where that is allowed.
    void follow(const Listening& wished, pid_t nginx);
    void close() { sockets_.clear(); }
    bool has(uint16_t port) const { return sockets_.contains({false, port}); }
    bool empty() const { return sockets_.empty(); }

    // Runs a program that gets them the way nginx does when it replaces itself: by the variable
    // NGINX. It leads a session of its own, and is to be reaped. Such an nginx stays in front.
    Result<pid_t> run(const std::vector<std::string>& arguments) const;

  private:
    using At = std::pair<bool, uint16_t>;   // IPv6, port
    static std::vector<At> places(const Listening& wished);
    void keep_only(const std::vector<At>& places);

    std::map<At, Fd> sockets_;
};

}   // namespace skiff::ingress
