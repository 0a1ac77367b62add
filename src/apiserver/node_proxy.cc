#include "apiserver/node_proxy.h"

#include <array>
#include <deque>

#include "apiserver/proxy_target.h"
#include "apiserver/status.h"
#include "base/guarded.h"
#include "base/text.h"
#include "net/http_client.h"

namespace skiff::apiserver {
namespace {

constexpr auto node_head_timeout = std::chrono::seconds{30};
constexpr size_t refusal_bytes_max = 2u << 10;
constexpr size_t buffered_bytes_max = 256u << 10;   // above it the node is told to wait

std::vector<std::string_view> container_names(const Json& pod) {
    std::vector<std::string_view> names;
    for (const std::string_view list : {"containers", "initContainers", "ephemeralContainers"})
        if (const auto* containers = pod.at_path({"spec", list}))
            for (const auto& container : containers->items())
                names.push_back(container.text_at({"name"}));
    return names;
}

// The container that is meant: named, or the only one.
Result<std::string> container_of(const Call& call, const Json& pod) {
    const auto wanted = call.options.find("container");
    const auto names = container_names(pod);
    const auto pod_name = call.info.name;
    if (!wanted.empty()) {
        if (std::ranges::find(names, wanted) == names.end())
            return fail(Reason::BadRequest,
                        concat("container ", wanted, " is not valid for pod ", pod_name));
        return std::string{wanted};
    }
    const auto* containers = pod.at_path({"spec", "containers"});
    if (containers && containers->size() == 1 && names.size() == 1)
        return std::string{names.front()};
    if (containers && containers->size() == 1 && call.info.subresource != "log")
        return std::string{names.front()};
    std::string choice;
    for (const auto name : names) append(choice, choice.empty() ? "" : " ", name);
    return fail(Reason::BadRequest, concat("a container name must be specified for pod ", pod_name,
                                           ", choose one of: [", choice, "]"));
}

// kubelet's own names for the stream options.
std::string exec_query(const Call& call) {
    std::string query;
    const auto put = [&](std::string_view key, std::string_view value) {
        append(query, query.empty() ? "" : "&", key, "=", net::percent_encoded(value));
    };
    for (const auto& [key, value] : call.options.query) {
        const bool on = net::query_switch(value);
        if (key == "stdin" && on)
            put("input", "1");
        else if (key == "stdout" && on)
            put("output", "1");
        else if (key == "stderr" && on)
            put("error", "1");
        else if (key == "tty" && on)
            put("tty", "1");
        else if (key == "command")
            put("command", value);
        else if (key == "ports")
            put("port", value);
    }
    return query;
}

std::string log_query(const Call& call) {
    std::string query;
    for (const auto& [key, value] : call.options.query) {
        if (key == "container" || key == "pretty") continue;
        append(query, query.empty() ? "" : "&", net::percent_encoded(key), "=",
               net::percent_encoded(value));
    }
    return query;
}

// An HTTP answer of the node as a body the connection pulls; lives on one loop.
class ProxyBody final : public net::BodySource {
  public:
    State pull(std::vector<Slice>& out, size_t want) override {
        size_t taken = 0;
        while (!pieces_.empty() && taken < want) {
            taken += pieces_.front().size();
            out.emplace_back(std::move(pieces_.front()));
            pieces_.pop_front();
        }
        held_ -= taken;
        if (paused_ && held_ < buffered_bytes_max / 2 && exchange) {
            paused_ = false;
            exchange->resume();
        }
        if (taken) return State::More;
        if (!ended_) return State::Wait;
        return failed_ ? State::Abort : State::End;
    }
    void on_wake(std::function<void()> wake) override { wake_ = std::move(wake); }

    void data(std::string_view bytes) {
        pieces_.emplace_back(bytes);
        held_ += bytes.size();
        if (!paused_ && held_ > buffered_bytes_max && exchange) {
            paused_ = true;
            exchange->pause();
        }
        if (wake_) wake_();
    }
    void end(bool failed) {
        ended_ = true;
        failed_ = failed;
        if (wake_) wake_();
    }

    std::unique_ptr<net::HttpClient> client;   // outlives the exchange: declared before it
    std::unique_ptr<net::HttpClient::Exchange> exchange;

  private:
    std::deque<Bytes> pieces_;
    size_t held_ = 0;
    bool paused_ = false;
    bool ended_ = false;
    bool failed_ = false;
    std::function<void()> wake_;
};

Reason reason_of_refusal(int status) {
    for (const auto reason :
         {Reason::BadRequest, Reason::NotFound, Reason::Unauthorized, Reason::Forbidden})
        if (http_status(reason) == status) return reason;
    return Reason::InternalError;
}

Error node_error(const net::Endpoint& node, const Error& error) {
    return {.reason = Reason::InternalError,
            .message = concat("error dialing the node agent at ", node.host, ":", node.port, ": ",
                              error.message)};
}

// Two raw streams tied together until either ends; keeps itself alive through its callbacks.
struct Tie : std::enable_shared_from_this<Tie> {
    std::unique_ptr<net::RawStream> client;
    std::unique_ptr<net::RawStream> node;
    bool over = false;

    void start() {
        pass(*node, *client);
        pass(*client, *node);
    }
    void pass(net::RawStream& from, net::RawStream& to) {
        to.on_drain([self = shared_from_this(), &from] {
            if (!self->over) from.resume();
        });
        from.start(
            [self = shared_from_this(), &from, &to](std::string_view bytes) {
                if (!self->over && !to.write(bytes)) from.pause();
            },
            [self = shared_from_this(), &to] {
                if (std::exchange(self->over, true)) return;
                to.finish();
                // Not inside a callback of the stream that is destroyed.
                to.loop().post([self] {
                    self->client.reset();
                    self->node.reset();
                });
            });
    }
};

// What ends here: it is between the client and us, or it is the client's word to us alone.
constexpr std::array<std::string_view, 6> own_headers{
    "host", "authorization", "content-length", "accept-encoding", "te", "transfer-encoding"};

void pass_request_headers(const Call& call, net::Headers& out) {
    const bool upgrades = call.request.headers.has_token("connection", "upgrade");
    for (const auto& [name, value] : call.request.headers) {
        const bool ours = std::ranges::find(own_headers, name) != own_headers.end() ||
                          name.starts_with("impersonate-") || name.starts_with("x-remote-") ||
                          (name == "connection" && !upgrades);
        if (!ours) out.add(name, value);
    }
}

// With a prefix the answer is a web server's: all of it comes back, and a redirect to a path of
// its own is one below the prefix. It is never followed here (CVE-2020-8559).
void pass_answer_header(std::string_view name, std::string_view value, std::string_view prefix,
                        net::Headers& out) {
    constexpr std::array<std::string_view, 6> hop{
        "connection", "keep-alive", "upgrade", "transfer-encoding", "trailer", "content-length"};
    if (prefix.empty()) {
        if (name == "content-type" || name == "warning")
            out.add(std::string{name}, std::string{value});
        return;
    }
    if (std::ranges::find(hop, name) != hop.end()) return;
    const bool own_path = name == "location" && value.starts_with('/') && !value.starts_with("//");
    out.add(std::string{name}, own_path ? concat(prefix, value) : std::string{value});
}

}   // namespace

// Where the node's agent listens. Its certificate must carry the node's name, whichever address
// leads there.
Result<net::Endpoint> NodeProxy::endpoint_of(std::string_view node) const {
    const auto& nodes = registry_.core("nodes");
    const auto object = registry_.find(nodes, {}, node);
    if (!object) return std::unexpected{not_found(nodes, node)};
    TRY(const auto document, parse_current(*object));
    net::Endpoint endpoint{.host = {},
                           .port = 10250,
                           .unix_path = {},
                           .tls = tls_,
                           .prefer_http2 = false,
                           .server_name = std::string{node}};
    const auto* addresses = document.root.at_path({"status", "addresses"});
    for (const std::string_view type : {"InternalIP", "ExternalIP", "Hostname"}) {
        if (!addresses || !endpoint.host.empty()) break;
        for (const auto& entry : addresses->items())
            if (endpoint.host.empty() && entry.text_at({"type"}) == type)
                endpoint.host = entry.text_at({"address"});
    }
    if (const auto found = addresses_.find(node); found != addresses_.end())
        endpoint.host = found->second;
    if (endpoint.host.empty())
        return fail(Reason::ServiceUnavailable, concat("node ", node, " has told no address yet"));
    const auto* port =
        document.root.at_path({"status", "daemonEndpoints", "kubeletEndpoint", "Port"});
    if (port && port->is_integer()) endpoint.port = static_cast<uint16_t>(port->as_int());
    return endpoint;
}

bool NodeProxy::serve(const CallPtr& call) {
    const auto& info = call->info;
    if (!info.group.empty()) return false;
    const auto& sub = info.subresource;
    if (info.resource == "pods" &&
        (sub == "log" || sub == "exec" || sub == "attach" || sub == "portforward")) {
        guard(call, [&] { return to_pod(call); });
        return true;
    }
    if (info.resource == "nodes" && sub == "proxy") {
        guard(call, [&] { return to_node(call); });
        return true;
    }
    if ((info.resource == "pods" || info.resource == "services") && sub == "proxy") {
        guard(call, [&] { return to_backend(call); });
        return true;
    }
    return false;
}

Result<> NodeProxy::to_pod(const CallPtr& call) {
    const auto& pods = registry_.core("pods");
    const auto& info = call->info;
    const auto object = registry_.find(pods, info.name_space, info.name);
    if (!object) return std::unexpected{not_found(pods, info.name)};
    TRY(const auto document, parse_current(*object));
    const auto& pod = document.root;
    const auto node = pod.text_at({"spec", "nodeName"});
    std::string container;
    if (info.subresource != "portforward") {
        TRY(container, container_of(*call, pod));
    }
    if (node.empty()) {
        if (info.subresource == "log") {   // as upstream: nothing was written yet
            call->answer(text_response(200, ""));
            return {};
        }
        return fail(Reason::BadRequest,
                    concat("pod ", info.name, " does not have a host assigned"));
    }
    TRY(auto node_endpoint, endpoint_of(node));
    if (info.subresource == "log") {
        auto target = concat("/containerLogs/", info.name_space, "/", info.name, "/", container);
        if (const auto query = log_query(*call); !query.empty()) append(target, "?", query);
        stream(call, std::move(node_endpoint), std::move(target));
        return {};
    }
    const auto verb = info.subresource == "portforward" ? std::string_view{"portForward"}
                                                        : std::string_view{info.subresource};
    auto target = concat("/", verb, "/", info.name_space, "/", info.name);
    if (!container.empty()) append(target, "/", container);
    if (const auto query = exec_query(*call); !query.empty()) append(target, "?", query);
    upgrade(call, std::move(node_endpoint), std::move(target));
    return {};
}

Result<> NodeProxy::to_node(const CallPtr& call) {
    if (call->request.headers.has_token("connection", "upgrade"))
        return fail(Reason::Forbidden, "nodes/proxy does not pass on connection upgrades");
    TRY(auto node_endpoint, endpoint_of(call->info.name));
    auto target = call->info.rest.empty() ? std::string{"/"} : call->info.rest;
    if (!call->request.query.empty()) append(target, "?", call->request.query);
    stream(call, std::move(node_endpoint), std::move(target));
    return {};
}

Result<> NodeProxy::to_backend(const CallPtr& call) {
    const auto& info = call->info;
    const auto& resource = registry_.core(info.resource);
    const auto name = parse_proxy_name(info.name);
    if (!name)
        return fail(Reason::BadRequest,
                    concat("invalid ", info.resource, " request \"", info.name, "\""));
    const auto find = [&](const ServedResource& of) -> Result<Document> {
        const auto object = registry_.find(of, info.name_space, name->name);
        if (!object) return std::unexpected{not_found(of, name->name)};
        return parse_current(*object);
    };
    TRY(const auto document, find(resource));
    ProxyTarget to;
    if (info.resource == "pods") {
        TRY(to, proxy_target_of_pod(document.root, *name));
    } else {
        const auto endpoints = find(registry_.core("endpoints"));
        TRY(to, proxy_target_of_service(document.root, endpoints ? &endpoints->root : nullptr,
                                        *name, registry_.parts().random));
    }
    net::Endpoint endpoint{.host = to.address,
                           .port = to.port,
                           .unix_path = {},
                           .tls = nullptr,
                           .prefer_http2 = false,
                           .server_name = {}};
    if (name->scheme == "https") {   // as upstream: nobody knows the pod's authority
        TRY(endpoint.tls, net::make_unverified_client_tls());
    }
    auto target = info.rest.empty() ? std::string{"/"} : info.rest;
    if (!call->request.query.empty()) append(target, "?", call->request.query);
    if (call->request.headers.has_token("connection", "upgrade")) {
        upgrade(call, std::move(endpoint), std::move(target));
        return {};
    }
    stream(call, std::move(endpoint), std::move(target),
           concat("/api/v1/namespaces/", info.name_space, "/", info.resource, "/",
                  net::percent_encoded(info.name), "/proxy"));
    return {};
}

void NodeProxy::stream(const CallPtr& call, net::Endpoint node, std::string target,
                       std::string prefix) {
    auto* responder = call->responder();
    if (!responder)
        return call->fail({.reason = Reason::BadRequest, .message = "streams need a connection"});
    auto& loop = responder->loop();
    loop.post([call, node = std::move(node), target = std::move(target), prefix = std::move(prefix),
               &loop] {
        auto body = std::make_shared<ProxyBody>();
        body->client = net::make_http_client(loop, node);
        net::ClientRequest request{
            .method = call->request.method, .target = target, .timeout = node_head_timeout};
        request.body = call->request.body;
        if (!prefix.empty()) pass_request_headers(*call, request.headers);
        const std::weak_ptr weak{body};
        // An agent says in plain text why it has no log; clients understand a Status.
        const auto refusal = std::make_shared<std::optional<Error>>();
        net::ExchangeSink sink;
        sink.head = [call, weak, refusal, prefix](int status, const net::Headers& headers) {
            if (status >= 400 && call->info.subresource == "log") {
                *refusal =
                    Error{.reason = reason_of_refusal(status), .message = {}, .http_code = status};
                return;
            }
            net::Response response{.status = status};
            for (const auto& [name, value] : headers)
                pass_answer_header(name, value, prefix, response.headers);
            response.source = weak.lock();
            call->answer(std::move(response));
        };
        sink.data = [weak, refusal](std::string_view bytes) {
            if (*refusal) {
                auto& message = (*refusal)->message;
                message += bytes.substr(
                    0, refusal_bytes_max - std::min(refusal_bytes_max, message.size()));
            } else if (auto held = weak.lock()) {
                held->data(bytes);
            }
        };
        sink.end = [call, weak, refusal, node](Result<> how) {
            if (*refusal)
                call->fail(**refusal);
            else if (!call->answered())
                call->fail(
                    how ? Error{.reason = Reason::InternalError, .message = "the node said nothing"}
                        : node_error(node, how.error()));
            else if (auto held = weak.lock())
                held->end(!how);
        };
        // The exchange's callbacks hold the body only weakly; until the answer the call's keeper
        // does.
        auto* raw = body.get();
        auto keep = body;
        raw->exchange = raw->client->start(std::move(request), std::move(sink));
        call->when_answered([keep](int) mutable { keep.reset(); });
    });
}

void NodeProxy::upgrade(const CallPtr& call, net::Endpoint node, std::string target) {
    auto* responder = call->responder();
    if (!responder)
        return call->fail(
            {.reason = Reason::BadRequest, .message = "an upgrade needs a connection"});
    if (!call->request.headers.has_token("connection", "upgrade"))
        return call->fail({.reason = Reason::BadRequest, .message = "Upgrade request required"});
    auto& loop = responder->loop();
    loop.post([call, node = std::move(node), target = std::move(target), &loop] {
        auto client = std::shared_ptr<net::HttpClient>{net::make_http_client(loop, node)};
        net::ClientRequest request{
            .method = call->request.method, .target = target, .timeout = node_head_timeout};
        pass_request_headers(*call, request.headers);
        auto* raw = client.get();
        raw->upgrade(std::move(request), [call, client, node,
                                          &loop](Result<net::HttpClient::Upgraded> done) {
            loop.post([client] {});   // destroyed after this callback has returned
            if (!done) return call->fail(node_error(node, done.error()));
            if (!done->stream) {
                net::Response response{.status = done->status};
                if (const auto type = done->headers.find("content-type"))
                    response.headers.add("content-type", *type);
                response.body.emplace_back(Bytes{done->body});
                return call->answer(std::move(response));
            }
            auto tie = std::make_shared<Tie>();
            tie->node = std::move(done->stream);
            call->upgrade(std::move(done->headers), [tie](std::unique_ptr<net::RawStream> stream) {
                tie->client = std::move(stream);
                tie->start();
            });
        });
    });
}

}   // namespace skiff::apiserver
