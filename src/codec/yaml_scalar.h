// How plain YAML scalars are read: the rules of sigs.k8s.io/yaml (YAML 1.1 as go-yaml v2 has it).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "codec/json.h"

namespace skiff::codec {

// What an unquoted scalar means, when it is not a string: null, boolean or number. Timestamps are
// strings. Infinities and NaN have no place in JSON: `unfit` is set for them.
std::optional<Json> resolve_yaml_scalar(std::string_view text, bool& unfit);
// Whether another reader might take this text for something else than a string.
bool is_ambiguous_yaml(std::string_view text);

// Whether a text may hold it as it is, as Go's reader has it: of the control characters only tab,
// line ends and U+0085.
bool is_yaml_character(std::string_view character);
// What a single-quoted scalar says; `text` begins behind its first quote, where libfyaml's mark
// is. (libfyaml leaks memory when there are several quotes in it.)
std::string single_quoted_yaml(std::string_view text);

}   // namespace skiff::codec
