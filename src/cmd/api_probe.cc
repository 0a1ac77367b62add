#include "cmd/api_probe.h"

#include "base/text.h"
#include "codec/json.h"

namespace skiff::cmd {

struct ApiProbe::Parts {
    std::unique_ptr<Executor> executor =
        make_thread_pool(os_clock(), {.threads_max = 4, .name = "probe"});
    net::LoopThread loop{os_clock(), "probe-loop"};
    std::unique_ptr<net::HttpClient> client;
};

ApiProbe::ApiProbe(std::shared_ptr<net::TlsContext> tls, uint16_t port)
    : parts_{std::make_unique<Parts>()} {
    parts_->client = net::make_http_client(parts_->loop.loop(), {.host = "127.0.0.1",
                                                                 .port = port,
                                                                 .unix_path = {},
                                                                 .tls = std::move(tls),
                                                                 .prefer_http2 = false});
}

ApiProbe::~ApiProbe() {
    // The client belongs to the loop's thread.
    const auto gone = parts_->executor->make_waiter();
    parts_->loop.loop().post([this, gone] {
        parts_->client.reset();
        gone->notify();
    });
    gone->wait();
}

Result<std::unique_ptr<ApiProbe>> ApiProbe::make(const Cluster& cluster, const Pki& pki) {
    TRY(auto tls,
        net::make_client_tls(pki.ca.certificate_pem, pki.admin.certificate_pem, pki.admin.key_pem));
    return std::unique_ptr<ApiProbe>{new ApiProbe{std::move(tls), cluster.port}};
}

Result<std::unique_ptr<ApiProbe>> ApiProbe::as_nobody(const Pki& pki, uint16_t port) {
    TRY(auto tls, net::make_client_tls(pki.ca.certificate_pem));
    return std::unique_ptr<ApiProbe>{new ApiProbe{std::move(tls), port}};
}

Result<net::WholeResponse> ApiProbe::get(const std::string& target, Duration timeout) {
    return net::fetch(*parts_->executor, parts_->loop.loop(), *parts_->client,
                      {.target = target, .timeout = timeout});
}

std::optional<uint64_t> ApiProbe::metric(std::string_view name) {
    const auto answer = get("/metrics");
    if (!answer || answer->status != 200) return std::nullopt;
    for (const auto line : split(answer->body, '\n'))
        if (line.starts_with(name) && line.size() > name.size() && line[name.size()] == ' ')
            return parse_number<uint64_t>(line.substr(name.size() + 1));
    return std::nullopt;
}

bool ApiProbe::ready() {
    const auto answer = get("/readyz", std::chrono::seconds{2});
    return answer && answer->status == 200;
}

Result<bool> ApiProbe::node_ready(const std::string& name) {
    TRY(const auto answer, get(concat("/api/v1/nodes/", name)));
    if (answer.status == 404)
        return fail(Reason::NotFound, concat("node ", name, " has not registered yet"));
    if (answer.status != 200)
        return fail(Reason::InternalError, concat("the API answered ", answer.status));
    TRY(const auto document, codec::parse_json(answer.body));
    const auto* conditions = document.root.at_path({"status", "conditions"});
    if (!conditions) return false;
    for (const auto& condition : conditions->items())
        if (condition.text_at({"type"}) == "Ready") return condition.text_at({"status"}) == "True";
    return false;
}

bool ApiProbe::wait_until(const std::function<bool()>& check, Duration timeout) {
    const auto waiter =
        make_thread_pool(os_clock(), {.threads_max = 1, .name = "wait"})->make_waiter();
    const auto deadline = os_clock().monotonic() + timeout;
    while (!check()) {
        const auto now = os_clock().monotonic();
        if (now >= deadline) return false;
        waiter->wait_until(now + std::chrono::milliseconds{10});
    }
    return true;
}

}   // namespace skiff::cmd
