#include "apiserver/patching.h"

#include "api/patch.h"
#include "apiserver/body.h"
#include "base/text.h"
#include "codec/yaml.h"

namespace skiff::apiserver {
namespace {

Result<PatchKind> patch_kind_of(const Call& call) {
    const auto header = call.request.headers.find("content-type");
    const auto type = header ? lower(trim(cut(*header, ';').first)) : std::string{};
    if (type == "application/json-patch+json") return PatchKind::Json;
    if (type == "application/merge-patch+json") return PatchKind::Merge;
    if (type == "application/strategic-merge-patch+json") return PatchKind::Strategic;
    if (type == "application/apply-patch+yaml") return PatchKind::Apply;
    return fail(Reason::UnsupportedMediaType,
                concat("the body of the request was in an unknown format '", type,
                       "' - accepted media types include: "
                       "application/json-patch+json, application/merge-patch+json, "
                       "application/strategic-merge-patch+json, "
                       "application/apply-patch+yaml"));
}

}   // namespace

Result<ParsedPatch> parse_patch(Call& call) {
    TRY_OK(refuse_compressed(call.request.headers));
    TRY(const auto kind, patch_kind_of(call));
    auto parsed = kind == PatchKind::Apply ? codec::parse_yaml(call.request.body)
                                           : codec::parse_json(call.request.body);
    if (!parsed) {
        auto error = std::move(parsed).error();
        error.message = concat("error decoding patch: ", error.message);
        return std::unexpected{std::move(error)};
    }
    call.applies = kind == PatchKind::Apply;
    if (call.options.force && !call.applies) {
        return fail(Reason::Invalid,
                    "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be "
                    "specified for non-apply patch");
    }
    const bool list = kind == PatchKind::Json;
    if (list != parsed->root.is_array())
        return fail(Reason::BadRequest, list ? "a JSON patch must be a list of operations"
                                             : "a patch must be a JSON object");
    return ParsedPatch{.kind = kind, .document = std::move(*parsed)};
}

Result<> apply_patch(const api::Message& message, const ParsedPatch& patch, Json& target,
                     Arena& arena) {
    switch (patch.kind) {
    case PatchKind::Json: return api::apply_json_patch(target, patch.document.root, arena);
    case PatchKind::Merge: api::apply_merge_patch(target, patch.document.root, arena); return {};
    case PatchKind::Strategic:
        return api::apply_strategic_merge_patch(message, target, patch.document.root, arena);
    case PatchKind::Apply: break;
    }
    return fail(Reason::InternalError, "an apply patch is merged elsewhere");
}

}   // namespace skiff::apiserver
