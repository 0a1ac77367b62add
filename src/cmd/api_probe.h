// A cluster's ports as the command line asks them: a few blocking calls, of the API with the
// admin's certificate.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cmd/cluster.h"
#include "cmd/pki.h"
#include "net/http_client.h"

namespace skiff::cmd {

class ApiProbe {
  public:
    static Result<std::unique_ptr<ApiProbe>> make(const Cluster& cluster, const Pki& pki);
    // Any of the cluster's HTTPS ports on this machine, as somebody without any identity.
    static Result<std::unique_ptr<ApiProbe>> as_nobody(const Pki& pki, uint16_t port);
    ~ApiProbe();
    Result<net::WholeResponse> get(const std::string& target,
                                   Duration timeout = std::chrono::seconds{5});
    // A number of /metrics by its name, without labels; absent when it is not told.
    std::optional<uint64_t> metric(std::string_view name);
    bool ready();                                       // /readyz
    Result<bool> node_ready(const std::string& name);   // NotFound while it has not registered
    // Calls check every few milliseconds until it is true or the time is over.
    static bool wait_until(const std::function<bool()>& check, Duration timeout);

  private:
    struct Parts;
    ApiProbe(std::shared_ptr<net::TlsContext> tls, uint16_t port);
    std::unique_ptr<Parts> parts_;
};

}   // namespace skiff::cmd
