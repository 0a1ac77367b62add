// Which resources are served: every kind, built-in or (later) custom, by group, version and plural,
// and where the store keeps it. Immutable; a change makes a new one.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/schema.h"
#include "codec/json.h"
#include "store/store.h"

namespace skiff::apiserver {

struct ServedResource {
    const api::Kind* kind = nullptr;   // as served
    const api::Kind* stored = nullptr;
    store::ResourceId resource{};   // meaningless unless `persistent`
    bool persistent = false;
    bool namespaced = false;

    std::string api_version() const;   // "v1", "apps/v1"
    const api::Subresource* subresource(std::string_view name) const;
    bool has_verb(std::string_view verb) const;
};

class Catalog {
  public:
    Catalog(std::span<const api::Kind* const> kinds, store::Store& store);
    const ServedResource* find(std::string_view group, std::string_view version,
                               std::string_view plural) const;
    const ServedResource* find_kind(std::string_view group, std::string_view version,
                                    std::string_view kind) const;
    const std::vector<ServedResource>& resources() const { return resources_; }
    std::span<const api::Kind* const> kinds() const { return kinds_; }
    // Groups in order of first appearance, versions with the preferred first.
    struct Group {
        std::string_view name;
        std::vector<std::string_view> versions;
    };
    const std::vector<Group>& groups() const { return groups_; }

  private:
    std::span<const api::Kind* const> kinds_;
    std::vector<ServedResource> resources_;
    std::vector<Group> groups_;
    std::unordered_map<std::string, size_t> by_plural_;
    std::unordered_map<std::string, size_t> by_kind_;
};

std::string api_version_of(std::string_view group, std::string_view version);
// "apps/v1" gives {"apps", "v1"}, "v1" gives {"", "v1"}.
std::pair<std::string_view, std::string_view> split_api_version(std::string_view api_version);

// What selectors and deletion need of an object, read off its stored text (store::StoreOptions).
std::shared_ptr<const store::Attributes> describe(const api::Kind& stored,
                                                  const codec::Json& object);

}   // namespace skiff::apiserver
