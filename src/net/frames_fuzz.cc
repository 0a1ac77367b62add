// SPDY, WebSocket and gRPC frames: what is seen does not depend on how the bytes come.
#include "base/fuzz.h"
#include "base/text.h"
#include "net/grpc_messages.h"
#include "net/spdy.h"
#include "net/websocket.h"

namespace skiff::net {
namespace {

std::string text_of(const SpdyHeaders& headers) {
    std::string out;
    for (const auto& [name, value] : headers) append(out, name, "=", value, ";");
    return out;
}

// Pieces of data join: where they are cut is the reader's own affair.
struct SpdyEvents {
    std::string seen;
    uint32_t data_of = 0;

    SpdySink sink() {
        return {
            .syn_stream =
                [this](const SpdySynStream& frame) {
                    note("syn_stream ", frame.stream, " ", frame.fin, text_of(frame.headers));
                },
            .syn_reply = [this](
                             uint32_t stream, const SpdyHeaders& headers,
                             bool fin) { note("syn_reply ", stream, " ", fin, text_of(headers)); },
            .headers = [this](uint32_t stream, const SpdyHeaders& headers,
                              bool fin) { note("headers ", stream, " ", fin, text_of(headers)); },
            .data =
                [this](uint32_t stream, std::string_view piece, bool fin) {
                    if (data_of != stream + 1) note("data ", stream, " ");
                    data_of = stream + 1;
                    seen += piece;
                    if (fin) note("fin");
                },
            .rst_stream = [this](uint32_t stream,
                                 uint32_t status) { note("rst ", stream, " ", status); },
            .settings =
                [this](const std::vector<SpdySetting>& settings) {
                    note("settings ", settings.size());
                },
            .ping = [this](uint32_t id) { note("ping ", id); },
            .goaway = [this](uint32_t stream,
                             uint32_t status) { note("goaway ", stream, " ", status); },
            .window_update = [this](uint32_t stream,
                                    uint32_t delta) { note("window ", stream, " ", delta); }};
    }
    template <class... Pieces>
    void note(const Pieces&... pieces) {
        data_of = 0;
        append(seen, "\n", pieces...);
    }
};

const fuzz::Target spdy{"spdy", [](std::string_view input) {
                            SpdyEvents whole, pieces;
                            SpdyReader first{whole.sink()}, second{pieces.sink()};
                            if (const auto done = first.feed(input); !done)
                                whole.note(done.error().message);
                            Result<> done;
                            fuzz::in_pieces(input, [&](std::string_view piece) {
                                if (done) done = second.feed(piece);
                            });
                            if (!done) pieces.note(done.error().message);
                            ASSERT(whole.seen == pieces.seen);
                        }};

struct WebSocketEvents {
    std::string seen;

    WebSocketSink sink() {
        return {
            .data =
                [this](bool text, bool first, bool last, std::string_view piece) {
                    if (first) append(seen, "\n", text ? "text " : "binary ");
                    seen += piece;
                    if (last) seen += "\nlast";
                },
            .ping = [this](std::string_view payload) { append(seen, "\nping ", payload, "\n"); },
            .close = [this](
                         uint16_t code,
                         std::string_view reason) { append(seen, "\nclose ", code, " ", reason); }};
    }
};

void read_websocket(std::string_view input, WebSocketReader::Peer peer) {
    WebSocketEvents whole, pieces;
    WebSocketReader first{peer, whole.sink()}, second{peer, pieces.sink()};
    if (const auto done = first.feed(input); !done)
        append(whole.seen, "\n", first.close_code(), done.error().message);
    Result<> done;
    fuzz::in_pieces(input, [&](std::string_view piece) {
        if (done) done = second.feed(piece);
    });
    if (!done) append(pieces.seen, "\n", second.close_code(), done.error().message);
    ASSERT(whole.seen == pieces.seen);
}

const fuzz::Target websocket{"websocket", [](std::string_view input) {
                                 read_websocket(input, WebSocketReader::Peer::Client);
                                 read_websocket(input, WebSocketReader::Peer::Server);
                             }};

const fuzz::Target grpc{"grpc", [](std::string_view input) {
                            std::string whole, pieces;
                            const auto reader = [](std::string& seen) {
                                return [&seen](std::string_view message) {
                                    append(seen, message.size(), ":", message);
                                    return true;
                                };
                            };
                            GrpcMessages first, second;
                            const auto outcome = first.feed(input, reader(whole));
                            std::string_view again;
                            fuzz::in_pieces(input, [&](std::string_view piece) {
                                if (again.empty()) again = second.feed(piece, reader(pieces));
                            });
                            ASSERT(outcome == again && whole == pieces);
                            ASSERT(!outcome.empty() || first.inside() == second.inside());
                        }};

}   // namespace
}   // namespace skiff::net
