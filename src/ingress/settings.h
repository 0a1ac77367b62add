// What the annotations of an ingress ask for, by either prefix (nginx.ingress.kubernetes.io/, and
// ingress.kubernetes.io/ of old). Every value is checked against what it may be: whatever is not of
// that form is told and left out, so that no text of a user can become nginx's syntax.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ingress/ingress.h"

namespace skiff::ingress {

struct Cookie {
    std::string name;
    std::string attributes;   // "; Path=/; HttpOnly …", each of them checked
    bool operator==(const Cookie&) const = default;
};

struct Rewrite {
    std::string target;
    bool whole = true;   // false, as the old prefix means it: only the location's path is replaced
    bool operator==(const Rewrite&) const = default;
};

struct Redirect {
    int code = 0;
    std::string target;
    bool operator==(const Redirect&) const = default;
};

struct Settings {
    std::optional<Cookie> affinity;
    std::optional<Rewrite> rewrite;
    std::optional<Redirect> redirect;
    std::string app_root;
    std::optional<bool> ssl_redirect;   // absent: where the host has TLS
    bool force_ssl_redirect = false;
    bool use_regex = false;
    bool https_backend = false;
    bool grpc_backend = false;
    bool buffering = false;
    bool request_buffering = true;
    std::string body_size = "1m";
    std::string upstream_host;   // "": the client's
    std::string hash_by;         // one variable of nginx from a fixed list; "" for none
    int connect_seconds = 5;
    int read_seconds = 60;
    int send_seconds = 60;
    std::vector<std::string> allowed_sources;   // empty: all
    std::string cors_origin;                    // "": no CORS headers
    bool refused = false;   // something that protects was asked for and cannot be given: 503

    bool operator==(const Settings&) const = default;
};

struct Problem {
    std::string reason;   // one CamelCase word
    std::string message;
    bool operator==(const Problem&) const = default;
};

Settings settings_of(const view::Ingress& ingress, std::vector<Problem>& problems);

// Forms that more than annotations are held to.
bool is_plain_path(std::string_view path);   // printable, nothing that is syntax
bool is_regex_path(std::string_view path);
bool is_host(std::string_view host);   // a DNS name, or one behind "*."

}   // namespace skiff::ingress
