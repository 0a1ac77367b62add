// What a request says before its body is looked at: path, query, Accept, credentials.
#include "apiserver/authn.h"
#include "apiserver/request_info.h"
#include "apiserver/service_account_tokens.h"
#include "base/fuzz.h"
#include "base/text.h"
#include "net/tls.h"

namespace skiff::apiserver {
namespace {

// "GET /path?query", then header lines.
net::Request request_of(std::string_view input) {
    const auto lines = split(input, '\n');
    net::Request request;
    const auto [method, target] = cut(lines[0], ' ');
    request.method = std::string{method};
    const auto [path, query] = cut(target.value_or("/"), '?');
    request.path = concat(path.starts_with('/') ? "" : "/", path);
    request.query = std::string{query.value_or("")};
    request.peer = std::make_shared<net::Peer>();
    for (size_t i = 1; i < lines.size(); ++i) {
        const auto [name, value] = cut(lines[i], ':');
        if (value) request.headers.add(lower(name), trim(*value));
    }
    return request;
}

// What names an object cannot lead anywhere else.
bool plain_name(std::string_view name) {
    return name.find('/') == std::string_view::npos && name != "." && name != "..";
}

const fuzz::Target requests{
    "request", [](std::string_view input) {
        const auto request = request_of(input);
        const auto info = parse_request_info(request);
        if (info && info->is_resource) {
            ASSERT(plain_name(info->name) && plain_name(info->name_space));
            ASSERT(plain_name(info->resource) && plain_name(info->subresource));
            ASSERT(!info->resource.empty());
        }
        (void)parse_request_options(request);
        (void)negotiate(request.headers);
        (void)impersonated(request);
        (void)Authenticator{}.identify(request);
    }};

class FixedClock final : public Clock {
  public:
    WallTime now() const override { return WallTime{std::chrono::seconds{1'700'000'000}}; }
    MonoTime monotonic() const override { return {}; }
};

const ServiceAccountTokens& tokens() {
    static FixedClock clock;
    static ServiceAccountTokens made{net::make_key_pem().value(), "https://issuer", clock};
    static const bool once =
        (made.set_exists([](const TokenSubject&, std::string_view) { return true; }), true);
    (void)once;
    return made;
}

// A token is good only when it is one that was issued, to the letter.
const fuzz::Target jwt{
    "jwt", [](std::string_view input) {
        static const std::string good = [] {
            TokenSubject subject;
            subject.name_space = subject.account = "default";
            subject.account_uid = "1";
            return tokens().issue(subject, {}, std::chrono::hours{1}, "id").value();
        }();
        const auto user = tokens().authenticate(input);
        if (user && *user) ASSERT(input == good);
        (void)tokens().audiences_of(input);
        // The claims of others: a header and a body that may be anything, and a signature.
        const auto [head, claims] = fuzz::two_parts(input);
        const auto made = concat(base64url(head), ".", base64url(claims), ".", split(good, '.')[2]);
        const auto other = tokens().authenticate(made);
        if (other && *other) ASSERT(made == good);
    }};

}   // namespace
}   // namespace skiff::apiserver
