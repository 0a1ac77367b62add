#include "agent/registry_auth.h"

#include <algorithm>
#include <map>
#include <optional>

#include <fnmatch.h>

#include "base/text.h"
#include "codec/json.h"

namespace skiff::agent {

namespace {

struct Place {
    std::string_view host;
    std::string_view port;
    std::string_view path;   // "/team/app" or ""
};

Place place_of(std::string_view text) {
    Place place;
    const size_t slash = text.find('/');
    place.host = text.substr(0, slash);
    if (slash != std::string_view::npos) place.path = text.substr(slash);
    if (const size_t colon = place.host.rfind(':');
        colon != std::string_view::npos && !place.host.ends_with(']')) {
        place.port = place.host.substr(colon + 1);
        place.host = place.host.substr(0, colon);
    }
    return place;
}

// The key that an entry is filed under: scheme and API version say nothing about where it is.
std::string key_of(std::string_view entry) {
    if (const size_t scheme = entry.find("://"); scheme != std::string_view::npos)
        entry.remove_prefix(scheme + 3);
    const size_t slash = entry.find('/');
    const std::string_view host = entry.substr(0, slash);
    std::string_view path = slash == std::string_view::npos ? "" : entry.substr(slash);
    if (path.starts_with("/v1/") || path.starts_with("/v2/")) path.remove_prefix(3);
    if (path == "/v1" || path == "/v2" || path == "/") path = "";
    return concat(host, path);
}

bool key_matches(std::string_view key, const ImageName& image) {
    const std::string full = concat(image.registry, "/", image.repository);
    const Place glob = place_of(key);
    const Place target = place_of(full);
    if (glob.port != target.port || !target.path.starts_with(glob.path)) return false;
    const auto wanted = split(glob.host, '.');
    const auto given = split(target.host, '.');
    return std::ranges::equal(wanted, given, [](std::string_view pattern, std::string_view label) {
        return ::fnmatch(std::string{pattern}.c_str(), std::string{label}.c_str(), 0) == 0;
    });
}

bool is_default_registry(std::string_view key) {
    return key == "index.docker.io" || key == "registry-1.docker.io";
}

std::optional<cri::AuthConfig> auth_of(const codec::Json& entry) {
    // Without the server's address: containerd takes it for an URL and refuses what is none.
    cri::AuthConfig auth{.username = std::string{entry.text_at({"username"})},
                         .password = std::string{entry.text_at({"password"})},
                         .identity_token = std::string{entry.text_at({"identitytoken"})},
                         .registry_token = std::string{entry.text_at({"registrytoken"})}};
    if (const auto text = entry.text_at({"auth"}); !text.empty()) {
        const auto both = base64_decoded(text);
        if (!both) return std::nullopt;
        const auto [user, password] = cut(*both, ':');
        if (!password) return std::nullopt;
        auth.username = user;
        auth.password = *password;
        std::erase(auth.password, '\0');   // as docker pads it
    }
    return auth;
}

}   // namespace

bool registry_matches(std::string_view entry, const ImageName& image) {
    return key_matches(key_of(entry), image);
}

std::vector<cri::AuthConfig> registry_auths(const std::vector<std::string>& docker_configs,
                                            const ImageName& image) {
    // In reverse order longer keys come before their beginnings, and names before globs.
    std::map<std::string, std::vector<cri::AuthConfig>, std::greater<>> ring;
    for (const auto& text : docker_configs) {
        const auto document = codec::parse_json(text);
        if (!document) continue;
        const auto* auths = document->root.find("auths");   // dockercfg has the entries at the top
        for (const auto& [server, entry] : (auths ? *auths : document->root).members()) {
            if (auto auth = auth_of(entry)) ring[key_of(server)].push_back(*std::move(auth));
        }
    }
    std::vector<cri::AuthConfig> out;
    for (const auto& [key, auths] : ring) {
        if (key_matches(key, image)) out.insert(out.end(), auths.begin(), auths.end());
    }
    if (!out.empty() || image.registry != "docker.io") return out;
    for (const auto& [key, auths] : ring) {
        if (is_default_registry(key)) out.insert(out.end(), auths.begin(), auths.end());
    }
    return out;
}

}   // namespace skiff::agent
