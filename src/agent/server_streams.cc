#include "agent/server_streams.h"

#include "base/text.h"
#include "net/http_client.h"
#include "net/websocket.h"

namespace skiff::agent {

namespace {

constexpr std::string_view spdy = "SPDY/3.1";

bool is_on(const net::Query& query, std::string_view key) {
    for (const auto& [name, value] : query) {
        if (name == key) return net::query_switch(value);
    }
    return false;
}

// Everything of one joining, alive until the two connections are joined or given up.
struct Joining : std::enable_shared_from_this<Joining> {
    std::shared_ptr<net::Responder> responder;
    net::Headers request_headers;
    StreamFacts facts;
    std::string websocket_protocol;
    bool websocket = false;
    std::unique_ptr<net::HttpClient> backend;

    void begin(const StreamUrl& url) {
        net::ClientRequest request{.method = "POST", .target = url.target};
        request.headers.set("connection", "Upgrade");
        request.headers.set("upgrade", spdy);
        if (websocket) {
            const bool forward = facts.kind == StreamKind::PortForward;
            request.headers.add("x-stream-protocol-version",
                                forward ? net::port_forward_backend_protocol
                                        : net::remote_command_backend_protocol(websocket_protocol));
        } else {
            for (const auto protocol : request_headers.all("x-stream-protocol-version")) {
                request.headers.add("x-stream-protocol-version", protocol);
            }
        }
        backend = net::make_http_client(responder->loop(), {.host = url.host, .port = url.port});
        backend->upgrade(std::move(request),
                         [self = shared_from_this()](Result<net::HttpClient::Upgraded> done) {
                             self->upgraded(std::move(done));
                         });
    }

    void upgraded(Result<net::HttpClient::Upgraded> done) {
        if (!done) return answer_error(responder, 500, done.error().message);
        if (done->status != 101) return answer_error(responder, done->status, done->body);
        std::shared_ptr<net::RawStream> stream{std::move(done->stream)};
        net::Headers headers;
        if (websocket) {
            auto handshake = net::websocket_handshake(request_headers, websocket_protocol);
            if (!handshake) return answer_error(responder, 400, handshake.error().message);
            headers = *std::move(handshake);
        } else {
            headers.set("connection", "Upgrade");
            headers.set("upgrade", spdy);
            if (const auto chosen = done->headers.find("x-stream-protocol-version")) {
                headers.set("x-stream-protocol-version", *chosen);
            }
        }
        held = std::move(stream);
        responder->upgrade(std::move(headers),
                           [self = shared_from_this()](std::unique_ptr<net::RawStream> client) {
                               self->joined(std::move(client));
                           });
    }

    void joined(std::unique_ptr<net::RawStream> client);

    std::shared_ptr<net::RawStream> held;
};

// A RawStream that came through a shared pointer, as an owned one again.
class Owned final : public net::RawStream {
  public:
    explicit Owned(std::shared_ptr<net::RawStream> stream) : stream_{std::move(stream)} {}
    void start(std::function<void(std::string_view)> on_data,
               std::function<void()> on_end) override {
        stream_->start(std::move(on_data), std::move(on_end));
    }
    void pause() override { stream_->pause(); }
    void resume() override { stream_->resume(); }
    bool write(std::string_view bytes) override { return stream_->write(bytes); }
    void on_drain(std::function<void()> drained) override { stream_->on_drain(std::move(drained)); }
    void finish() override { stream_->finish(); }
    net::Loop& loop() override { return stream_->loop(); }

  private:
    std::shared_ptr<net::RawStream> stream_;
};

void Joining::joined(std::unique_ptr<net::RawStream> client) {
    auto runtime = std::make_unique<Owned>(std::move(held));
    const auto done = [] {};
    if (!websocket) return net::bridge_bytes(std::move(client), std::move(runtime), done);
    if (facts.kind == StreamKind::Command) {
        return net::bridge_remote_command(std::move(client), std::move(runtime), websocket_protocol,
                                          facts.command, done);
    }
    if (websocket_protocol == net::spdy_tunnel_protocol) {
        return net::bridge_spdy_tunnel(std::move(client), std::move(runtime), done);
    }
    net::bridge_port_forward(std::move(client), std::move(runtime), websocket_protocol, facts.ports,
                             done);
}

}   // namespace

cri::ExecRequest exec_request(const std::string& container_id, const net::Query& query) {
    cri::ExecRequest out{.container_id = container_id,
                         .tty = is_on(query, "tty"),
                         .stdin = is_on(query, "input"),
                         .stdout = is_on(query, "output"),
                         .stderr = is_on(query, "error")};
    for (const auto& [key, value] : query) {
        if (key == "command") out.cmd.push_back(value);
    }
    if (out.tty) out.stderr = false;   // a terminal has one output
    return out;
}

cri::AttachRequest attach_request(const std::string& container_id, const net::Query& query,
                                  bool tty) {
    cri::AttachRequest out{.container_id = container_id,
                           .stdin = is_on(query, "input"),
                           .tty = tty,
                           .stdout = is_on(query, "output"),
                           .stderr = is_on(query, "error")};
    if (out.tty) out.stderr = false;
    return out;
}

std::vector<uint16_t> forwarded_ports(const net::Query& query) {
    std::vector<uint16_t> out;
    for (const auto& [key, value] : query) {
        if (key != "port") continue;
        for (const auto part : split(value, ',')) {
            if (const auto port = parse_number<uint16_t>(part)) out.push_back(*port);
        }
    }
    return out;
}

bool is_upgrade(const net::Headers& headers) {
    return headers.has_token("connection", "upgrade") && headers.find("upgrade").has_value();
}

Result<StreamUrl> parse_stream_url(std::string_view url) {
    constexpr std::string_view scheme = "http://";
    const auto wrong = [&] {
        return fail(Reason::Invalid,
                    concat("the runtime's streaming URL '", url, "' must be http://HOST:PORT/…"));
    };
    if (!url.starts_with(scheme)) return wrong();
    url.remove_prefix(scheme.size());
    const size_t slash = url.find('/');
    const size_t colon = url.substr(0, slash).rfind(':');
    if (slash == std::string_view::npos || colon == std::string_view::npos) return wrong();
    const auto port = parse_number<uint16_t>(url.substr(colon + 1, slash - colon - 1));
    if (!port) return wrong();
    std::string_view host = url.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    return StreamUrl{std::string{host}, *port, std::string{url.substr(slash)}};
}

void answer_error(const std::shared_ptr<net::Responder>& responder, int status,
                  std::string message) {
    net::Response response{.status = status};
    response.headers.set("content-type", "text/plain; charset=utf-8");
    response.body.emplace_back(Bytes{message});
    responder->send(std::move(response));
}

void join_streams(const net::Request& request, const std::shared_ptr<net::Responder>& responder,
                  const std::string& url, StreamFacts facts) {
    const auto target = parse_stream_url(url);
    if (!target) return answer_error(responder, 500, target.error().message);
    auto joining = std::make_shared<Joining>();
    joining->responder = responder;
    joining->request_headers = request.headers;
    joining->websocket = net::is_websocket_upgrade(request.headers);
    if (joining->websocket) {
        const auto protocol = net::choose_websocket_protocol(
            request.headers, facts.kind == StreamKind::Command ? net::remote_command_protocols()
                                                               : net::port_forward_protocols());
        if (!protocol)
            return answer_error(responder, 400, "none of the WebSocket subprotocols is known here");
        joining->websocket_protocol = *protocol;
    }
    joining->facts = std::move(facts);
    joining->begin(*target);
}

}   // namespace skiff::agent
