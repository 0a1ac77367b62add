#include "apiserver/catalog.h"

#include <algorithm>

#include "api/rules.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

std::string index_key(std::string_view group, std::string_view version, std::string_view name) {
    return concat(group, '/', version, '/', name);
}

}   // namespace

std::string api_version_of(std::string_view group, std::string_view version) {
    return group.empty() ? std::string{version} : concat(group, '/', version);
}

std::pair<std::string_view, std::string_view> split_api_version(std::string_view api_version) {
    const auto [first, second] = cut(api_version, '/');
    if (!second) return {{}, first};
    return {first, *second};
}

std::string ServedResource::api_version() const {
    return api_version_of(kind->group, kind->version);
}

const api::Subresource* ServedResource::subresource(std::string_view name) const {
    for (const auto& sub : kind->subresources)
        if (sub.name == name) return &sub;
    return nullptr;
}

bool ServedResource::has_verb(std::string_view verb) const {
    const auto verbs = split(kind->verbs, ',');
    return std::ranges::find(verbs, verb) != verbs.end();
}

Catalog::Catalog(std::span<const api::Kind* const> kinds, store::Store& store) : kinds_{kinds} {
    for (const auto* kind : kinds) {
        ServedResource served{.kind = kind, .stored = &api::stored_kind(*kind)};
        served.namespaced = kind->scope == api::Scope::Namespaced;
        served.persistent = !served.stored->storage_prefix.empty();
        if (served.persistent) served.resource = store.resource(served.stored->storage_prefix);
        by_plural_[index_key(kind->group, kind->version, kind->plural)] = resources_.size();
        by_kind_[index_key(kind->group, kind->version, kind->kind)] = resources_.size();
        resources_.push_back(served);

        auto group = std::ranges::find(groups_, kind->group, &Group::name);
        if (group == groups_.end())
            group = groups_.insert(groups_.end(), Group{.name = kind->group, .versions = {}});
        if (std::ranges::find(group->versions, kind->version) == group->versions.end())
            group->versions.push_back(kind->version);
    }
}

const ServedResource* Catalog::find(std::string_view group, std::string_view version,
                                    std::string_view plural) const {
    const auto found = by_plural_.find(index_key(group, version, plural));
    return found == by_plural_.end() ? nullptr : &resources_[found->second];
}

const ServedResource* Catalog::find_kind(std::string_view group, std::string_view version,
                                         std::string_view kind) const {
    const auto found = by_kind_.find(index_key(group, version, kind));
    return found == by_kind_.end() ? nullptr : &resources_[found->second];
}

namespace {

// The text at a dotted path; numbers and booleans as they are written.
std::string field_text(const codec::Json& object, std::string_view path) {
    const codec::Json* at = &object;
    for (const auto part : split(path, '.')) {
        at = at->find(part);
        if (!at) return {};
    }
    if (at->is_string()) return std::string{at->as_string()};
    if (at->is_null() || at->is_object() || at->is_array()) return {};
    return codec::to_json(*at);
}

}   // namespace

std::shared_ptr<const store::Attributes> describe(const api::Kind& stored,
                                                  const codec::Json& object) {
    auto attributes = std::make_shared<store::Attributes>();
    const auto* metadata = object.find("metadata");
    if (!metadata) return attributes;
    if (const auto* uid = metadata->find("uid")) attributes->uid = uid->text();
    if (const auto* labels = metadata->find("labels")) {
        for (const auto& member : labels->members())
            attributes->labels.emplace_back(member.key, member.value.text());
        std::ranges::sort(attributes->labels);
    }
    if (const auto* owners = metadata->find("ownerReferences"))
        for (const auto& owner : owners->items())
            if (const auto* uid = owner.find("uid"))
                attributes->owner_uids.emplace_back(uid->text());
    const auto selectable = api::rules_of(stored.rules).selectable;
    for (const auto field : stored.selectable_fields)
        attributes->fields.emplace_back(
            std::string{field}, selectable ? selectable(object, field) : field_text(object, field));
    attributes->fields.emplace_back("metadata.name", field_text(object, "metadata.name"));
    if (stored.scope == api::Scope::Namespaced)
        attributes->fields.emplace_back("metadata.namespace",
                                        field_text(object, "metadata.namespace"));
    std::ranges::sort(attributes->fields);
    return attributes;
}

}   // namespace skiff::apiserver
