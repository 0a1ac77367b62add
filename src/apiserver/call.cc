#include "apiserver/call.h"

#include <set>

#include "apiserver/status.h"
#include "base/text.h"

namespace skiff::apiserver {

Call::~Call() {
    if (!answered_)
        fail(Error{.reason = Reason::InternalError,
                   .message = "the request was dropped unanswered"});
}

void Call::answer(net::Response response) {
    if (std::exchange(answered_, true)) return;
    std::set<std::string_view> told;   // what is decided again says the same again
    for (const auto& warning : warnings) {
        if (!told.insert(warning).second) continue;
        std::string quoted;   // RFC 7234 §5.5: 299 and no agent, as upstream sends them
        for (const char c : warning) {
            if (c == '"' || c == '\\') quoted += '\\';
            if (static_cast<unsigned char>(c) >= 0x20) quoted += c;
        }
        response.headers.add("warning", concat("299 - \"", quoted, "\""));
    }
    if (on_response) std::exchange(on_response, {})(response);
    tell(response.status);
    if (responder_)
        responder_->send(std::move(response));
    else if (reply_)
        reply_(std::move(response));
}

void Call::upgrade(net::Headers headers,
                   std::function<void(std::unique_ptr<net::RawStream>)> take) {
    if (std::exchange(answered_, true)) return;
    if (on_response) {
        net::Response begun{.status = 101};
        std::exchange(on_response, {})(begun);
    }
    tell(101);
    ASSERT(responder_ != nullptr);
    responder_->upgrade(std::move(headers), std::move(take));
}

void Call::tell(int status) {
    for (const auto& told : std::exchange(when_answered_, {})) told(status);
}

void Call::fail(const Error& error) { answer(error_response(error)); }

}   // namespace skiff::apiserver
