// Questions about names that are not ours go to the resolvers of the host, and their answers are
// remembered for a little while. All on one loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "dns/message.h"
#include "net/loop.h"

namespace skiff::dns {

struct Resolver {
    std::string address;
    uint16_t port = 53;
    bool operator==(const Resolver&) const = default;
};
// The nameservers of a resolv.conf.
std::vector<Resolver> resolvers_of(std::string_view resolv_conf);

class Forwarder {
  public:
    using Resolvers = std::function<std::vector<Resolver>()>;
    // The answer's bytes, under the query's own id; absent when nobody answered.
    using Done = std::function<void(std::optional<std::string> answer)>;

    Forwarder(net::Loop& loop, Random& random, Resolvers resolvers);
    ~Forwarder();   // what is under way gets no answer

    // `bytes` is the query as it came, which was parsed as `query`. Over TCP as well when it came
    // over TCP: an answer that was cut is for the client to ask again.
    void ask(const Query& query, std::string bytes, bool tcp, Done done);

  private:
    struct State;
    class Exchange;
    std::shared_ptr<State> state_;
};

// A query of our own, for the addresses behind a name.
std::string make_query(const Question& question, uint16_t id);

}   // namespace skiff::dns
