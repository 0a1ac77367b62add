#include "ingress/settings.h"

#include <algorithm>
#include <array>
#include <span>

#include "api/names.h"
#include "base/text.h"

namespace skiff::ingress {
namespace {

constexpr std::string_view new_prefix = "nginx.ingress.kubernetes.io/";
constexpr std::string_view old_prefix = "ingress.kubernetes.io/";
constexpr int seconds_max = 86400;
constexpr size_t value_bytes_max = 4096;
constexpr std::string_view alphanumeric =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

bool made_of(std::string_view text, std::string_view more) {
    return std::ranges::all_of(text, [more](char c) {
        return alphanumeric.find(c) != alphanumeric.npos || more.find(c) != more.npos;
    });
}

std::optional<bool> parse_bool(std::string_view text) {
    if (text == "true") return true;
    if (text == "false") return false;
    return std::nullopt;
}

bool is_size(std::string_view text) {
    if (!text.empty() && std::string_view{"kKmMgG"}.find(text.back()) != std::string_view::npos)
        text.remove_suffix(1);
    return !text.empty() && text.size() <= 12 && parse_number<uint64_t>(text).has_value();
}

// "$1" and "$2" may stand in it where a regular expression gives them a meaning.
bool is_target(std::string_view text) {
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '$') continue;
        if (i + 1 == text.size() || text[i + 1] < '1' || text[i + 1] > '9') return false;
    }
    return text.starts_with('/') && made_of(text, "/-._~%!&()*+,=:@$");
}

bool is_url(std::string_view text) {
    return (text.starts_with("http://") || text.starts_with("https://")) &&
           made_of(text, "/-._~%!&()*+,=:@?#[]");
}

bool is_source(std::string_view text) {
    return api::check_format(api::Format::Cidr, text).empty() ||
           api::check_format(api::Format::Ip, text).empty();
}

bool is_origin(std::string_view text) {
    return text == "*" || (is_url(text) && made_of(text.substr(text.find("//") + 2), "-.:"));
}

// What may be hashed by: nothing but these may be named.
constexpr std::array<std::string_view, 6> hash_keys{
    "$request_uri", "$remote_addr", "$binary_remote_addr",
    "$host",        "$uri",         "$http_x_forwarded_for"};

// Nothing else protects what these are to protect, so their ingresses are not served at all.
constexpr std::array<std::string_view, 14> protecting{
    "auth-url",           "auth-type",
    "auth-secret",        "auth-realm",
    "auth-tls-secret",    "auth-signin",
    "auth-snippet",       "denylist-source-range",
    "limit-connections",  "limit-rps",
    "limit-rpm",          "enable-modsecurity",
    "enable-global-auth", "auth-tls-verify-client"};
constexpr std::array<std::string_view, 4> snippets{"configuration-snippet", "server-snippet",
                                                   "stream-snippet", "modsecurity-snippet"};

class Reader {
  public:
    Reader(const view::Ingress& ingress, std::vector<Problem>& problems)
        : annotations_{ingress.metadata.annotations}, problems_{problems} {}

    // The newer prefix first. Null: not said.
    const std::string* find(std::string_view name, bool* old = nullptr) const {
        const auto* found = annotations_.find(concat(new_prefix, name));
        if (old) *old = !found;
        return found ? found : annotations_.find(concat(old_prefix, name));
    }
    void wrong(std::string_view name, std::string_view must) {
        problems_.push_back(
            {"InvalidAnnotation", concat("the annotation ", name, " is left out: it ", must)});
    }
    template <class F>
    void text(std::string_view name, F&& use, std::string_view must) {
        const auto* value = find(name);
        if (value && (value->size() > value_bytes_max || !use(*value))) wrong(name, must);
    }
    void flag(std::string_view name, bool& to) {
        text(
            name,
            [&](const std::string& value) {
                const auto parsed = parse_bool(value);
                if (parsed) to = *parsed;
                return parsed.has_value();
            },
            "must be true or false");
    }
    void seconds(std::string_view name, int& to) {
        text(
            name,
            [&](std::string_view value) {
                if (value.ends_with('s')) value.remove_suffix(1);
                const auto number = parse_number<int>(value);
                if (!number || *number < 1 || *number > seconds_max) return false;
                to = *number;
                return true;
            },
            "must be a number of seconds from 1 to 86400");
    }
    void told(std::string reason, std::string message) {
        problems_.push_back({std::move(reason), std::move(message)});
    }

  private:
    const api::SortedMap<std::string, std::string>& annotations_;
    std::vector<Problem>& problems_;
};

void read_cookie(Reader& reader, Settings& settings) {
    const auto* affinity = reader.find("affinity");
    if (!affinity) return;
    if (*affinity != "cookie") return reader.wrong("affinity", "must be cookie");
    Cookie cookie{.name = "INGRESSCOOKIE", .attributes = {}};
    reader.text(
        "session-cookie-name",
        [&](const std::string& value) {
            if (value.empty() || value.size() > 128 || !made_of(value, "-_")) return false;
            cookie.name = value;
            return true;
        },
        "must be made of letters, digits, '-' and '_'");
    reader.text(
        "session-cookie-hash",
        [](const std::string& value) {
            return value == "md5" || value == "sha1" || value == "index";
        },
        "must be md5, sha1 or index");
    std::string path = "/";
    reader.text(
        "session-cookie-path",
        [&](const std::string& value) {
            if (!is_plain_path(value) || value.find(';') != value.npos) return false;
            path = value;
            return true;
        },
        "must be a path");
    append(cookie.attributes, "; Path=", path, "; HttpOnly");
    int age = 0;
    reader.seconds("session-cookie-expires", age);
    reader.seconds("session-cookie-max-age", age);
    if (age) append(cookie.attributes, "; Max-Age=", age);
    bool secure = false;
    reader.flag("session-cookie-secure", secure);
    if (secure) cookie.attributes += "; Secure";
    reader.text(
        "session-cookie-domain",
        [&](const std::string& value) {
            if (!is_host(value)) return false;
            append(cookie.attributes, "; Domain=", value);
            return true;
        },
        "must be a DNS name");
    reader.text(
        "session-cookie-samesite",
        [&](const std::string& value) {
            if (value != "Strict" && value != "Lax" && value != "None") return false;
            append(cookie.attributes, "; SameSite=", value);
            return true;
        },
        "must be Strict, Lax or None");
    settings.affinity = std::move(cookie);
}

void read_redirects(Reader& reader, Settings& settings) {
    const auto url = [&](std::string_view name, int code) {
        reader.text(
            name,
            [&](const std::string& value) {
                if (!is_url(value)) return false;
                settings.redirect = {code, value};
                return true;
            },
            "must be a URL of http or https without variables");
    };
    url("permanent-redirect", 301);
    if (!settings.redirect) url("temporal-redirect", 302);
    reader.text(
        "permanent-redirect-code",
        [&](const std::string& value) {
            const auto code = parse_number<int>(value);
            if (!code ||
                (*code != 301 && *code != 302 && *code != 303 && *code != 307 && *code != 308))
                return false;
            if (settings.redirect && settings.redirect->code == 301)
                settings.redirect->code = *code;
            return true;
        },
        "must be 301, 302, 303, 307 or 308");
    reader.text(
        "app-root",
        [&](const std::string& value) {
            if (!is_plain_path(value)) return false;
            settings.app_root = value;
            return true;
        },
        "must be a path");
    bool old = false;
    if (const auto* target = reader.find("rewrite-target", &old); target && !target->empty()) {
        if (is_target(*target))
            settings.rewrite = {*target, !old};
        else
            reader.wrong("rewrite-target", "must be a path, with $1 to $9 at most");
    }
    bool redirect = false;
    if (reader.find("ssl-redirect")) {
        redirect = true;
        reader.flag("ssl-redirect", redirect);
        settings.ssl_redirect = redirect;
    }
    reader.flag("force-ssl-redirect", settings.force_ssl_redirect);
}

void read_proxy(Reader& reader, Settings& settings) {
    reader.flag("use-regex", settings.use_regex);
    reader.seconds("proxy-connect-timeout", settings.connect_seconds);
    reader.seconds("proxy-read-timeout", settings.read_seconds);
    reader.seconds("proxy-send-timeout", settings.send_seconds);
    reader.text(
        "proxy-body-size",
        [&](const std::string& value) {
            if (!is_size(value)) return false;
            settings.body_size = value;
            return true;
        },
        "must be a number, with k, m or g at most");
    const auto on_off = [&](std::string_view name, bool& to) {
        reader.text(
            name,
            [&](const std::string& value) {
                to = value == "on";
                return value == "on" || value == "off";
            },
            "must be on or off");
    };
    on_off("proxy-buffering", settings.buffering);
    on_off("proxy-request-buffering", settings.request_buffering);
    reader.flag("secure-backends", settings.https_backend);
    reader.text(
        "backend-protocol",
        [&](const std::string& value) {
            if (value != "HTTP" && value != "HTTPS" && value != "GRPC" && value != "GRPCS")
                return false;
            settings.https_backend = value.ends_with('S');
            settings.grpc_backend = value.starts_with("GRPC");
            return true;
        },
        "must be HTTP, HTTPS, GRPC or GRPCS");
    reader.text(
        "upstream-vhost",
        [&](const std::string& value) {
            if (!is_host(value) || value.starts_with('*')) return false;
            settings.upstream_host = value;
            return true;
        },
        "must be a DNS name");
    reader.text(
        "upstream-hash-by",
        [&](const std::string& value) {
            if (std::ranges::find(hash_keys, value) == hash_keys.end()) return false;
            settings.hash_by = value;
            return true;
        },
        "must be one of $request_uri, $remote_addr, $binary_remote_addr, $host, $uri and "
        "$http_x_forwarded_for");
}

void read_access(Reader& reader, Settings& settings) {
    for (const std::string_view name : {"whitelist-source-range", "allowlist-source-range"}) {
        const auto* value = reader.find(name);
        if (!value) continue;
        for (const auto part : split(*value, ',')) {
            const auto source = trim(part);
            if (source.empty()) continue;
            if (is_source(source))
                settings.allowed_sources.emplace_back(source);
            else
                settings.refused = true;
        }
        if (settings.refused)
            reader.told("InvalidAnnotation",
                        concat("the ingress is not served: ", name,
                               " must be addresses and ranges separated by commas"));
    }
    bool cors = false;
    reader.flag("enable-cors", cors);
    if (cors) {
        settings.cors_origin = "*";
        reader.text(
            "cors-allow-origin",
            [&](const std::string& value) {
                if (!is_origin(value)) return false;
                settings.cors_origin = value;
                return true;
            },
            "must be * or one origin");
    }
    for (const auto name : protecting) {
        const auto* value = reader.find(name);
        if (!value || value->empty() || *value == "false" || *value == "off") continue;
        settings.refused = true;
        reader.told("UnsupportedAnnotation", concat("the ingress is not served: the annotation ",
                                                    name, " protects it and is not supported"));
    }
    for (const auto name : snippets)
        if (reader.find(name))
            reader.told("UnsupportedAnnotation",
                        concat("the annotation ", name,
                               " is left out: pieces of nginx configuration are never taken"));
}

}   // namespace

bool is_plain_path(std::string_view path) {
    return path.starts_with('/') && path.size() <= value_bytes_max &&
           made_of(path, "/-._~%!&'()*+,;=:@");
}

bool is_regex_path(std::string_view path) {
    return path.starts_with('/') && path.size() <= value_bytes_max &&
           made_of(path, "/-._~%!&()*+,=:@|?^$[]\\");
}

bool is_host(std::string_view host) {
    if (host.starts_with("*.")) host.remove_prefix(2);
    return api::check_dns1123_subdomain(host).empty();
}

Settings settings_of(const view::Ingress& ingress, std::vector<Problem>& problems) {
    Settings settings;
    Reader reader{ingress, problems};
    read_cookie(reader, settings);
    read_redirects(reader, settings);
    read_proxy(reader, settings);
    read_access(reader, settings);
    return settings;
}

}   // namespace skiff::ingress
