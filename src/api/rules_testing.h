// For tests of rules: objects from YAML, as a request would bring them, and what is wrong with
// them.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "api/normalize.h"
#include "api/rules.h"
#include "base/text.h"
#include "codec/yaml.h"

namespace skiff::api::testing {

// Normalised and defaulted; a mistake in the test's own YAML fails the test.
inline codec::Document object_from(const Kind& kind, std::string_view yaml) {
    auto document = codec::parse_yaml(yaml);
    if (!document) {
        ADD_FAILURE() << document.error().message << "\n" << yaml;
        return {};
    }
    NormalizeReport report;
    const auto done = normalize(*kind.message, document->root, document->arena, report);
    if (!done) ADD_FAILURE() << done.error().message << "\n" << yaml;
    for (const auto& path : report.unknown_fields) ADD_FAILURE() << "unknown: " << path;
    apply_defaults(kind, document->root, document->arena);
    return std::move(*document);
}

// "path: message" a line each, of the kind's own rules and the tables'.
inline std::string problems_of(const Kind& kind, std::string_view yaml,
                               std::string_view old_yaml = {}, std::string_view subresource = {}) {
    auto document = object_from(kind, yaml);
    codec::Document old;
    if (!old_yaml.empty()) old = object_from(kind, old_yaml);
    const Json* before = old_yaml.empty() ? nullptr : &old.root;
    std::string text;
    for (const Cause& cause : validate(kind, document.root, before, subresource))
        append(text, text.empty() ? "" : "\n", cause.field, ": ", cause.message);
    return text;
}

}   // namespace skiff::api::testing
