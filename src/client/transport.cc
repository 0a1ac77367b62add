#include "client/transport.h"

#include <optional>

#include "base/guarded.h"
#include "base/text.h"
#include "codec/json.h"

namespace skiff::client {
namespace {

// Transports answer within the request's timeout; this is for one that does not.
constexpr Duration answer_grace = 10s;
constexpr size_t message_bytes_max = 1024;   // of a body that is no Status

struct Awaited {
    Guarded<std::optional<Result<ApiResponse>>> answer;
    std::shared_ptr<Waiter> waiter;
};

Reason reason_of_status(int http_status) {
    if (http_status == 409) return Reason::Conflict;   // several reasons share these codes
    if (http_status == 500) return Reason::InternalError;
    for (int i = 1; i <= static_cast<int>(Reason::ServiceUnavailable); ++i)
        if (const auto reason = static_cast<Reason>(i); skiff::http_status(reason) == http_status)
            return reason;
    return http_status >= 500 ? Reason::InternalError : Reason::Unknown;
}

int64_t int_or(const codec::Json* value, int64_t otherwise) {
    return value && value->is_integer() ? value->as_int() : otherwise;
}

void read_details(const codec::Json& details, Error& error) {
    const auto text = [&](std::string_view name) { return std::string{details.text_at({name})}; };
    error.subject = ErrorSubject{text("group"), text("kind"), text("name"), text("uid")};
    if (const auto* causes = details.find("causes")) {
        for (const auto& cause : causes->items())
            error.causes.push_back({std::string{cause.text_at({"reason"})},
                                    std::string{cause.text_at({"message"})},
                                    std::string{cause.text_at({"field"})}});
    }
    if (const auto seconds = int_or(details.find("retryAfterSeconds"), 0); seconds > 0)
        error.retry_after = std::chrono::seconds{seconds};
}

}   // namespace

Result<ApiResponse> send_and_wait(Executor& executor, Transport& transport, ApiRequest request) {
    const auto awaited = std::make_shared<Awaited>();
    awaited->waiter = executor.make_waiter();
    const MonoTime deadline = executor.clock().monotonic() + request.timeout + answer_grace;
    const std::string what = concat(request.method, " ", request.path);
    transport.send(std::move(request), [awaited](Result<ApiResponse> answer) {
        awaited->answer.use([&](auto& slot) { slot = std::move(answer); });
        awaited->waiter->notify();
    });
    awaited->waiter->wait_until(deadline);
    auto answer = awaited->answer.use([](auto& slot) { return std::exchange(slot, {}); });
    if (!answer) return fail(Reason::Timeout, concat(what, ": no answer came in time"));
    return *std::move(answer);
}

Error error_from_status(int http_status, std::string_view body) {
    Error error{.reason = reason_of_status(http_status), .http_code = http_status};
    const auto document = codec::parse_json(body);
    if (!document || document->root.text_at({"kind"}) != "Status") {
        error.message = std::string{trim(body.substr(0, message_bytes_max))};
        if (error.message.empty()) error.message = concat("the server answered ", http_status);
        return error;
    }
    const codec::Json& status = document->root;
    error.message = std::string{status.text_at({"message"})};
    if (error.message.empty()) error.message = concat("the server answered ", http_status);
    if (const auto reason = reason_from(status.text_at({"reason"}))) {
        if (*reason != Reason::Unknown) error.reason = *reason;
    }
    error.http_code = static_cast<int>(int_or(status.find("code"), http_status));
    if (const auto* details = status.find("details"); details && details->is_object())
        read_details(*details, error);
    return error;
}

}   // namespace skiff::client
