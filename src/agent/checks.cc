#include "agent/checks.h"

#include <algorithm>

#include "base/text.h"
#include "codec/protobuf.h"
#include "net/grpc.h"
#include "net/http_client.h"

namespace skiff::agent {

namespace {

constexpr size_t output_bytes_max = 10u << 10;   // as kubelet reads of a probe's answer

CheckResult failure(std::string output) { return {CheckOutcome::Failure, std::move(output)}; }

}   // namespace

std::optional<uint16_t> resolve_port(const Container& container, const api::IntOrString& port) {
    int32_t number = port.number;
    if (port.is_string) {
        const auto named = std::ranges::find(container.ports, port.text, &Pod::ContainerPort::name);
        number = named != container.ports.end() ? named->containerPort
                                                : parse_number<int32_t>(port.text).value_or(0);
    }
    if (number < 1 || number > 65535) return std::nullopt;
    return static_cast<uint16_t>(number);
}

CheckResult Checks::exec(const CheckTarget& target, const Pod::ExecAction& action,
                         Duration timeout) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(timeout);
    const auto result = cri_.exec_sync(target.container_id, action.command, seconds);
    if (!result) {
        if (result.error().reason == Reason::Timeout) {
            return failure(concat("command timed out: ", result.error().message));
        }
        return {CheckOutcome::Unknown, result.error().message};
    }
    std::string output = result->stdout + result->stderr;
    if (output.size() > output_bytes_max) output.resize(output_bytes_max);
    return {result->exit_code == 0 ? CheckOutcome::Success : CheckOutcome::Failure,
            std::move(output)};
}

CheckResult Checks::http(const CheckTarget& target, const Pod::HTTPGetAction& action,
                         Duration timeout, std::string_view agent_name) {
    const auto port = resolve_port(target.container, action.port);
    if (!port) return {CheckOutcome::Unknown, "couldn't find the probe's port"};
    net::Endpoint endpoint{.host = action.host.empty() ? target.address : action.host.str(),
                           .port = *port};
    endpoint.prefer_http2 = false;
    const bool https = lower(action.scheme) == "https";
    if (https) {
        auto tls = net::make_unverified_client_tls();
        if (!tls) return {CheckOutcome::Unknown, tls.error().message};
        endpoint.tls = *tls;
    }
    net::ClientRequest request{
        .target = action.path.starts_with('/') ? action.path : "/" + action.path,
        .timeout = timeout};
    request.headers.set("user-agent", agent_name);
    request.headers.set("accept", "*/*");
    request.headers.set("connection", "close");
    for (const auto& header : action.httpHeaders)
        request.headers.set(lower(header.name), header.value);
    const std::string url = concat("\"", https ? "https" : "http", "://", endpoint.host, ":", *port,
                                   request.target, "\"");
    const auto client = net::make_http_client(loop_, endpoint);
    const auto answer = net::fetch(executor_, loop_, *client, std::move(request), output_bytes_max);
    if (!answer) {
        // A body longer than we read is an answer all the same.
        if (answer.error().reason == Reason::RequestEntityTooLarge)
            return {CheckOutcome::Success, ""};
        return failure(concat("Get ", url, ": ", answer.error().message));
    }
    if (answer->status >= 200 && answer->status < 400) return {CheckOutcome::Success, answer->body};
    return failure(concat("HTTP probe failed with statuscode: ", answer->status));
}

CheckResult Checks::tcp(const CheckTarget& target, const Pod::TCPSocketAction& action,
                        Duration timeout) {
    const auto port = resolve_port(target.container, action.port);
    if (!port) return {CheckOutcome::Unknown, "couldn't find the probe's port"};
    struct Shared {
        std::shared_ptr<Waiter> waiter;
        Result<> result{};
    };
    auto shared = std::make_shared<Shared>();
    shared->waiter = executor_.make_waiter();
    const std::string host = action.host.empty() ? target.address : action.host.str();
    loop_.post([this, shared, host, port, timeout] {
        net::connect_raw(loop_, host, *port, timeout,
                         [shared](Result<std::unique_ptr<net::RawStream>> done) {
                             if (!done) shared->result = std::unexpected{std::move(done).error()};
                             shared->waiter->notify();
                         });
    });
    shared->waiter->wait();
    if (shared->result) return {CheckOutcome::Success, ""};
    return failure(concat("dial tcp ", host, ":", *port, ": ", shared->result.error().message));
}

// grpc.health.v1.Health/Check: {1: service} answers {1: status}, 1 is SERVING.
CheckResult Checks::grpc(const CheckTarget& target, const Pod::GRPCAction& action,
                         Duration timeout) {
    const auto client = net::make_grpc_client(
        executor_, loop_, {.host = target.address, .port = static_cast<uint16_t>(action.port)});
    std::string request;
    if (action.service && !action.service->empty())
        codec::ProtoWriter{request}.text(1, *action.service);
    const auto answer = client->call("/grpc.health.v1.Health/Check", request, timeout);
    if (!answer) {
        return failure(concat("error: health rpc failed at ", target.address, ":", action.port,
                              ": ", answer.error().message));
    }
    uint64_t status = 0;
    codec::ProtoReader reader{*answer};
    while (reader.next()) {
        if (reader.number() == 1) status = reader.uint64();
    }
    if (status == 1) return {CheckOutcome::Success, "service healthy"};
    return failure(
        concat("service unhealthy (responded with \"",
               status == 2 ? "NOT_SERVING" : (status == 3 ? "SERVICE_UNKNOWN" : "UNKNOWN"), "\")"));
}

CheckResult Checks::probe(const CheckTarget& target, const Probe& probe) {
    const auto timeout = std::chrono::seconds{std::max(probe.timeoutSeconds, 1)};
    if (probe.exec) return exec(target, *probe.exec, timeout);
    if (probe.httpGet) return http(target, *probe.httpGet, timeout, "kube-probe/1.33");
    if (probe.tcpSocket) return tcp(target, *probe.tcpSocket, timeout);
    if (probe.grpc) return grpc(target, *probe.grpc, timeout);
    return {CheckOutcome::Unknown, "the probe names no way to ask"};
}

}   // namespace skiff::agent
