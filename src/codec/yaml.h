// YAML into the JSON tree, as Kubernetes reads manifests (YAML 1.1 scalars as sigs.k8s.io/yaml
// resolves them, duplicate keys are errors, aliases bounded), and back.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "codec/json.h"

namespace skiff::codec {

// One document. BadRequest with line and column. Alias expansion may not exceed 10 times the
// input plus 64 KiB (CVE-2019-11253).
Result<Document> parse_yaml(std::string_view text, const ParseOptions& options = {});
std::string to_yaml(const Json& value);

}   // namespace skiff::codec
