// Network namespaces that a test makes for itself: a node, pods on it as Skiff's CNI configuration
// makes them (routed, one veth pair each), and a machine outside. Nothing of it outlives the test.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/os.h"
#include "proxy/addresses.h"

namespace skiff::proxy::testing {

bool may_make_namespaces();   // as root

// Sockets made while it lives belong to another namespace.
class Inside {
  public:
    explicit Inside(const Fd& name_space);
    ~Inside();

  private:
    Fd before_;
};

class Place {
  public:
    Place();   // a namespace with a loopback that is up
    const Fd& name_space() const { return name_space_; }
    // Runs `ip` there.
    void ip(const std::string& words) const;
    void set(const std::string& switch_path, const std::string& value) const;

    // A listening socket; UDP ones too.
    Fd listen(const std::string& address, uint16_t port, Protocol protocol = Protocol::Tcp) const;
    struct Connected {
        Fd socket;
        int error = 0;   // errno; ETIMEDOUT when nothing answered
        double seconds = 0;
    };
    Connected connect(const std::string& address, uint16_t port, Protocol protocol = Protocol::Tcp,
                      const std::string& from = {}) const;
    int result(const std::string& address, uint16_t port, Protocol protocol = Protocol::Tcp) const {
        return connect(address, port, protocol).error;
    }

  private:
    Fd name_space_;
};

// Which of the listeners somebody came to, and who, as an address; absent when nobody did.
struct Came {
    size_t listener = 0;
    std::string from;
};
std::optional<Came> accept_any(const std::vector<Fd>& listeners);
// What a UDP socket got, and from whom; "" when nothing came. Answers with `answer`.
std::string receive_from(const Fd& socket, const std::string& answer = {});

// 10.1.0.1 is the node for its pods, 192.168.7.1 for the outside, which is 192.168.7.2.
struct World {
    World();
    Place node;
    Place outside;
    std::vector<std::unique_ptr<Place>> pods;   // 10.1.0.10, 10.1.0.11, …
    Place& add_pod();
    static std::string address_of(size_t pod);
};

}   // namespace skiff::proxy::testing
