#include "proxy/health_checks.h"

#include "base/log.h"
#include "base/text.h"
#include "codec/json_text.h"
#include "net/listen.h"

namespace skiff::proxy {
using codec::quoted;

net::Response health_answer(const client::ObjectKey& service, size_t endpoints) {
    net::Response answer;
    answer.status = endpoints > 0 ? 200 : 503;
    answer.headers.add("content-type", "application/json");
    answer.headers.add("x-content-type-options", "nosniff");
    answer.headers.add("x-load-balancing-endpoint-weight", std::to_string(endpoints));
    answer.body.emplace_back(Bytes{concat(
        "{\n\t\"service\": {\n\t\t\"namespace\": ", quoted(service.name_space),
        ",\n\t\t\"name\": ", quoted(service.name), "\n\t},\n\t\"localEndpoints\": ", endpoints,
        ",\n\t\"serviceProxyHealthy\": true\n}")});
    return answer;
}

void HealthChecks::set(const client::ObjectKey& service, const HealthPort& health) {
    if (health.port == 0) {
        entries_.erase(service);
        return;
    }
    auto& entry = entries_[service];
    entry.endpoints->store(health.endpoints);
    if (entry.port == health.port && entry.server) return;
    entry.server.reset();
    entry.port = health.port;
    listen(service, entry);
}

void HealthChecks::try_again() {
    for (auto& [service, entry] : entries_)
        if (!entry.server) listen(service, entry);
}

void HealthChecks::listen(const client::ObjectKey& service, Entry& entry) {
    auto made = [&]() -> Result<std::unique_ptr<net::Server>> {
        TRY(auto listener, net::listen_tcp("0.0.0.0", entry.port));
        return net::make_server(
            {&loop_}, std::move(listener), nullptr,
            [service, endpoints = entry.endpoints](
                const net::Request&, const std::shared_ptr<net::Responder>& responder) {
                responder->send(health_answer(service, endpoints->load()));
            });
    }();
    if (made)
        entry.server = std::move(*made);
    else
        log_warn("a service's health is not told",
                 {{"service", service.text()}, {"error", made.error().message}});
}

}   // namespace skiff::proxy
