// The four patches: an object and what somebody sends to change it.
#include "api/patch.h"

#include <optional>

#include "api/managed_fields.h"
#include "api/normalize.h"
#include "base/fuzz.h"
#include "codec/yaml.h"

namespace skiff::api {
namespace {

const Kind& pod_kind() {
    static const Kind& kind = *builtin_kind("", "v1", "Pod");
    return kind;
}

// What was patched is taken as any body is.
void take(Json& object, Arena& arena) {
    if (!object.is_object()) return;
    NormalizeReport report;
    if (!normalize(*pod_kind().message, object, arena, report)) return;
    NormalizeReport again;
    const auto before = codec::to_json(object);
    ASSERT(normalize(*pod_kind().message, object, arena, again));
    ASSERT(codec::to_json(object) == before && again.unknown_fields.empty());
}

struct Given {
    codec::Document object;
    codec::Document patch;
};
std::optional<Given> given(std::string_view input) {
    const auto [object, patch] = fuzz::two_parts(input);
    auto first = codec::parse_json(object.empty() ? "{}" : object);
    auto second = codec::parse_json(patch);
    if (!first || !second || !first->root.is_object()) return std::nullopt;
    return Given{std::move(*first), std::move(*second)};
}

const fuzz::Target json_patch{"json_patch", [](std::string_view input) {
                                  auto parts = given(input);
                                  if (!parts) return;
                                  auto& [object, patch] = *parts;
                                  if (apply_json_patch(object.root, patch.root, object.arena))
                                      take(object.root, object.arena);
                              }};

// Twice is as good as once.
const fuzz::Target merge_patch{"merge_patch", [](std::string_view input) {
                                   auto parts = given(input);
                                   if (!parts) return;
                                   auto& [object, patch] = *parts;
                                   apply_merge_patch(object.root, patch.root, object.arena);
                                   const auto once = codec::to_json(object.root);
                                   apply_merge_patch(object.root, patch.root, object.arena);
                                   ASSERT(codec::to_json(object.root) == once);
                                   take(object.root, object.arena);
                               }};

const fuzz::Target strategic_patch{
    "strategic_patch", [](std::string_view input) {
        auto parts = given(input);
        if (!parts || !parts->patch.root.is_object()) return;
        auto& [object, patch] = *parts;
        NormalizeReport report;
        const auto& message = *pod_kind().message;
        if (!normalize(message, object.root, object.arena, report)) return;
        const auto asked = codec::to_json(patch.root);
        if (apply_strategic_merge_patch(message, object.root, patch.root, object.arena))
            take(object.root, object.arena);
        ASSERT(codec::to_json(patch.root) == asked);
    }};

// One manager applies the first part, another the second, by force if he must; what both said is
// then owned as the second has it, and applying it again changes nothing.
const fuzz::Target apply_patch{
    "apply_patch", [](std::string_view input) {
        const auto [first, second] = fuzz::two_parts(input);
        codec::Document live{.arena = {}, .root = Json::object()};
        const auto apply = [&](std::string_view text, std::string_view manager) {
            const auto patch = codec::parse_yaml(text);
            if (!patch || !patch->root.is_object()) return false;
            const FieldsChange change{
                .manager = manager, .subresource = "", .now = WallTime{std::chrono::seconds{1}}};
            NormalizeReport report;
            const auto& kind = pod_kind();
            const auto done =
                apply_server_side(kind, live.root, patch->root, change, Force::No, live.arena);
            if (!done &&
                !apply_server_side(kind, live.root, patch->root, change, Force::Yes, live.arena))
                return false;
            return normalize(*kind.message, live.root, live.arena, report).has_value();
        };
        if (!apply(first, "one") || !apply(second, "two")) return;
        const auto once = codec::to_json(live.root);
        ASSERT(apply(second, "two"));
        ASSERT(codec::to_json(live.root) == once);
    }};

}   // namespace
}   // namespace skiff::api
