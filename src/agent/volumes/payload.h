// The files of configMap, secret, downwardAPI and projected volumes: names, contents and modes.
// Pure; what they are made of is named first, read by the caller, then given.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/environment.h"
#include "agent/pod_types.h"
#include "base/result.h"

namespace skiff::agent {

struct PayloadFile {
    std::string content;
    unsigned mode = 0644;
    bool operator==(const PayloadFile&) const = default;
};
using Payload = std::map<std::string, PayloadFile>;   // by path below the volume, "a/b"

// A token that a projected volume asks for.
struct TokenWanted {
    std::string audience;   // "" for the API server's own
    int64_t seconds = 3600;
    auto operator<=>(const TokenWanted&) const = default;
};
using Tokens = std::map<TokenWanted, std::string>;

ConfigNames volume_names(const PodSpec& spec);
std::vector<TokenWanted> volume_tokens(const PodSpec& spec);

bool has_payload(const Volume& volume);   // one of the four kinds
// Fails in kubelet's words when something is missing (FailedMount).
Result<Payload> volume_payload(const Volume& volume, const FieldSource& source,
                               const ConfigValues& values, const Tokens& tokens);

}   // namespace skiff::agent
