#include "controllers/discovery.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "codec/json.h"

namespace skiff::controllers {

bool ServedKind::has(std::string_view verb) const {
    return std::ranges::find(verbs, verb) != verbs.end();
}

std::string ServedKind::api_version() const {
    return group.empty() ? version : concat(group, "/", version);
}

Result<std::vector<ServedKind>> served_kinds(std::string_view resource_list) {
    TRY(const auto document, codec::parse_json(resource_list));
    const auto [first, second] = cut(document.root.text_at({"groupVersion"}), '/');
    std::vector<ServedKind> found;
    const auto* resources = document.root.find("resources");
    if (!resources) return found;
    for (const auto& resource : resources->items()) {
        const auto name = resource.text_at({"name"});
        if (name.contains('/')) continue;
        const auto* namespaced = resource.find("namespaced");
        ServedKind kind{.group = second ? std::string{first} : std::string{},
                        .version = std::string{second ? *second : first},
                        .plural = std::string{name},
                        .kind = std::string{resource.text_at({"kind"})},
                        .namespaced = namespaced && namespaced->is_bool() && namespaced->as_bool(),
                        .verbs = {},
                        .storage = std::string{resource.text_at({"storageVersionHash"})}};
        if (const auto* verbs = resource.find("verbs"))
            for (const auto& verb : verbs->items()) kind.verbs.emplace_back(verb.text());
        found.push_back(std::move(kind));
    }
    return found;
}

Result<std::vector<ServedKind>> discover(client::Client& client) {
    const auto get = [&](std::string path) {
        return client.call({.method = "GET", .path = std::move(path)});
    };
    TRY(const auto core, get("/api/v1"));
    TRY(auto kinds, served_kinds(core.body));
    TRY(const auto groups, get("/apis"));
    TRY(const auto document, codec::parse_json(groups.body));
    const auto* list = document.root.find("groups");
    if (!list) return kinds;
    for (const auto& group : list->items()) {
        const auto* versions = group.find("versions");
        if (!versions) continue;
        for (const auto& version : versions->items()) {
            TRY(const auto answer, get(concat("/apis/", version.text_at({"groupVersion"}))));
            TRY(auto more, served_kinds(answer.body));
            std::ranges::move(more, std::back_inserter(kinds));
        }
    }
    return kinds;
}

std::vector<ServedKind> one_of_each(std::vector<ServedKind> kinds) {
    std::set<std::pair<std::string, std::string>> seen;
    std::set<std::string> stored;
    std::erase_if(kinds, [&](const auto& kind) {
        const bool first = seen.emplace(kind.group, kind.plural).second;
        return !first || (!kind.storage.empty() && !stored.insert(kind.storage).second);
    });
    return kinds;
}

}   // namespace skiff::controllers
