#include "apiserver/selection.h"

#include "base/text.h"

namespace skiff::apiserver {
namespace {

bool selectable(const ServedResource& resource, std::string_view field) {
    if (field == "metadata.name") return true;
    if (field == "metadata.namespace") return resource.namespaced;
    return std::ranges::find(resource.stored->selectable_fields, field) !=
           resource.stored->selectable_fields.end();
}

}   // namespace

bool Selection::matches(const store::Object& object) const {
    if (everything) return true;
    if (!object.attributes) return false;
    return labels.matches(object.attributes->labels) && fields.matches(object.attributes->fields);
}

Result<Selection> selection_of(const Call& call, const ServedResource& resource) {
    Selection selection;
    if (resource.namespaced && !call.info.name_space.empty())
        selection.prefix = concat(call.info.name_space, '/');
    TRY(selection.labels, api::LabelSelector::parse(call.options.label_selector));
    TRY(selection.fields, api::FieldSelector::parse(call.options.field_selector));
    for (const auto& requirement : selection.fields.requirements())
        if (!selectable(resource, requirement.field))
            return fail(Reason::BadRequest,
                        concat("field label not supported: ", requirement.field));
    // A watch or list of one name is a selection too (kubectl get -w NAME, the /watch/ paths).
    if (!call.info.name.empty()) {
        TRY(selection.fields,
            api::FieldSelector::parse(concat("metadata.name=", call.info.name,
                                             call.options.field_selector.empty() ? "" : ",",
                                             call.options.field_selector)));
    }
    selection.everything = selection.labels.everything() && selection.fields.everything();
    return selection;
}

}   // namespace skiff::apiserver
