// The health check ports of load balancers whose policy is Local: what stands in front of the nodes
// asks there whether this one has an endpoint of the service. One HTTP server a service.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>

#include "client/object_key.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/server.h"

namespace skiff::proxy {

struct HealthPort {
    uint16_t port = 0;      // 0: the service has none
    size_t endpoints = 0;   // ready, and on this node
    bool operator==(const HealthPort&) const = default;
};

// 200 with endpoints, else 503; body and headers are kube-proxy's.
net::Response health_answer(const client::ObjectKey& service, size_t endpoints);

class HealthChecks {
  public:
    explicit HealthChecks(net::Loop& loop) : loop_{loop} {}   // outlives it

    void set(const client::ObjectKey& service, const HealthPort& health);
    void try_again();   // what others listened on may be free

  private:
    struct Entry {
        uint16_t port = 0;
        std::shared_ptr<std::atomic<size_t>> endpoints = std::make_shared<std::atomic<size_t>>();
        std::unique_ptr<net::Server> server;   // null: the port is somebody else's
    };
    void listen(const client::ObjectKey& service, Entry& entry);

    net::Loop& loop_;
    std::map<client::ObjectKey, Entry> entries_;
};

}   // namespace skiff::proxy
