#include "base/result.h"

#include <array>
#include <cstdlib>
#include <cstring>

#include <unistd.h>

namespace skiff {
namespace {

struct ReasonRow {
    Reason reason;
    std::string_view text;
    int http;
};

// apimachinery pkg/apis/meta/v1 types.go names the codes beside the reasons.
constexpr std::array rows{
    ReasonRow{Reason::Unknown, "", 500},
    ReasonRow{Reason::Unauthorized, "Unauthorized", 401},
    ReasonRow{Reason::Forbidden, "Forbidden", 403},
    ReasonRow{Reason::NotFound, "NotFound", 404},
    ReasonRow{Reason::AlreadyExists, "AlreadyExists", 409},
    ReasonRow{Reason::Conflict, "Conflict", 409},
    ReasonRow{Reason::Gone, "Gone", 410},
    ReasonRow{Reason::Invalid, "Invalid", 422},
    ReasonRow{Reason::ServerTimeout, "ServerTimeout", 500},
    ReasonRow{Reason::Timeout, "Timeout", 504},
    ReasonRow{Reason::TooManyRequests, "TooManyRequests", 429},
    ReasonRow{Reason::BadRequest, "BadRequest", 400},
    ReasonRow{Reason::MethodNotAllowed, "MethodNotAllowed", 405},
    ReasonRow{Reason::NotAcceptable, "NotAcceptable", 406},
    ReasonRow{Reason::RequestEntityTooLarge, "RequestEntityTooLarge", 413},
    ReasonRow{Reason::UnsupportedMediaType, "UnsupportedMediaType", 415},
    ReasonRow{Reason::InternalError, "InternalError", 500},
    ReasonRow{Reason::Expired, "Expired", 410},
    ReasonRow{Reason::ServiceUnavailable, "ServiceUnavailable", 503},
};

const ReasonRow& row_of(Reason reason) {
    const auto& row = rows[static_cast<size_t>(reason)];
    ASSERT(row.reason == reason);
    return row;
}

}   // namespace

std::string_view reason_text(Reason reason) { return row_of(reason).text; }
int http_status(Reason reason) { return row_of(reason).http; }

std::optional<Reason> reason_from(std::string_view text) {
    for (const auto& row : rows)
        if (row.text == text) return row.reason;
    return std::nullopt;
}

Error Error::in(std::string_view doing) && {
    message.insert(0, std::string{doing} + ": ");
    return std::move(*this);
}

std::unexpected<Error> fail(Reason reason, std::string message) {
    return std::unexpected{Error{.reason = reason, .message = std::move(message)}};
}

std::unexpected<Error> fail_errno(std::string_view doing, int error_number, Reason reason) {
    return fail(reason, std::string{doing} + ": " + std::strerror(error_number));
}

void assertion_failed(const char* condition, const char* file, int line) {
    std::string text = std::string{"skiff: a bug: "} + condition + " does not hold at " + file +
                       ":" + std::to_string(line) + "\n";
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
    std::abort();
}

}   // namespace skiff
