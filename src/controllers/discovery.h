// What the API serves, as discovery tells it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "client/client.h"

namespace skiff::controllers {

struct ServedKind {
    std::string group;
    std::string version;
    std::string plural;
    std::string kind;
    bool namespaced = false;
    std::vector<std::string> verbs;
    std::string storage;   // the same for all versions of the same stored objects; "" if not told

    bool has(std::string_view verb) const;
    std::string api_version() const;
    client::ResourceName resource() const { return {group, version, plural}; }   // borrows
};

// Out of an APIResourceList's text, without subresources.
Result<std::vector<ServedKind>> served_kinds(std::string_view resource_list);
// All groups, preferred versions first.
Result<std::vector<ServedKind>> discover(client::Client& client);
// A stored object shows under every version of its resource, and some under two groups: the first
// of each.
std::vector<ServedKind> one_of_each(std::vector<ServedKind> kinds);

}   // namespace skiff::controllers
