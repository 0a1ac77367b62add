// Errors as values. A Reason is for programs, the message for people, the causes say which fields
// were wrong; at the API's edge all three become a Kubernetes Status (apiserver/status.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace skiff {

// Kubernetes' own StatusReasons (apimachinery, meta/v1). `Unknown` has no reason text.
enum class Reason : uint8_t {
    Unknown,
    Unauthorized,
    Forbidden,
    NotFound,
    AlreadyExists,
    Conflict,
    Gone,
    Invalid,
    ServerTimeout,
    Timeout,
    TooManyRequests,
    BadRequest,
    MethodNotAllowed,
    NotAcceptable,
    RequestEntityTooLarge,
    UnsupportedMediaType,
    InternalError,
    Expired,
    ServiceUnavailable,
};

std::string_view reason_text(Reason reason);   // "NotFound"; "" for Unknown
std::optional<Reason> reason_from(std::string_view text);
int http_status(Reason reason);   // 404 for NotFound, 500 for Unknown

// One wrong field. `type` is a Kubernetes CauseType, e.g. "FieldValueRequired".
struct Cause {
    std::string type;
    std::string message;
    std::string field;   // a path as kubectl prints it: spec.containers[0].name
    bool operator==(const Cause&) const = default;
};

// The object an error is about, as Status.details names it.
struct ErrorSubject {
    std::string group;
    std::string kind;   // the resource's plural for most errors, the kind for Invalid: as upstream
    std::string name;
    std::string uid;
};

struct [[nodiscard]] Error {
    Reason reason = Reason::Unknown;
    std::string message;
    std::vector<Cause> causes;
    std::optional<ErrorSubject> subject;
    std::optional<std::chrono::seconds> retry_after;
    int http_code = 0;   // 0: http_status(reason); else e.g. what a webhook or a node asked for

    // Outer layers say what they were doing, so the text reads like a path from request to cause.
    Error in(std::string_view doing) &&;
};

template <class T = void>
using Result = std::expected<T, Error>;

std::unexpected<Error> fail(Reason reason, std::string message);

// An error of the operating system: "open /x: Permission denied". InternalError unless told.
std::unexpected<Error> fail_errno(std::string_view doing, int error_number,
                                  Reason reason = Reason::InternalError);

#define SKIFF_CONCAT_IMPL(a, b) a##b
#define SKIFF_CONCAT(a, b) SKIFF_CONCAT_IMPL(a, b)
#define SKIFF_UNIQUE(name) SKIFF_CONCAT(name, __LINE__)

// TRY(auto pod, pods.get(key)); — declare from the value, or return the error to the caller.
#define TRY(declaration, ...) SKIFF_TRY_IMPL(SKIFF_UNIQUE(try_result_), declaration, __VA_ARGS__)
#define SKIFF_TRY_IMPL(result, declaration, ...)           \
    auto result = (__VA_ARGS__);                           \
    if (!result) [[unlikely]]                              \
        return std::unexpected{std::move(result).error()}; \
    declaration = *std::move(result)

#define TRY_OK(...)                                                                          \
    if (auto SKIFF_UNIQUE(try_done_) = (__VA_ARGS__); !SKIFF_UNIQUE(try_done_)) [[unlikely]] \
        return std::unexpected { std::move(SKIFF_UNIQUE(try_done_)).error() }

// On in release builds. For our own bugs only: what comes from users, network, disk or kernel is
// answered with an Error.
#define ASSERT(...)                                                      \
    do {                                                                 \
        if (!(__VA_ARGS__)) [[unlikely]]                                 \
            ::skiff::assertion_failed(#__VA_ARGS__, __FILE__, __LINE__); \
    } while (false)

[[noreturn]] void assertion_failed(const char* condition, const char* file, int line);

}   // namespace skiff
