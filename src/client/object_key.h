// Addresses: of a resource, of an object within it, of either as a path of the API.
#pragma once

#include <compare>
#include <functional>
#include <string>
#include <string_view>

namespace skiff::client {

struct ResourceName {
    std::string_view group;
    std::string_view version;
    std::string_view resource;   // "pods"
    bool operator==(const ResourceName&) const = default;
};

struct ObjectKey {
    std::string name_space;   // "" for cluster-scoped ones
    std::string name;
    auto operator<=>(const ObjectKey&) const = default;
    std::string text() const { return name_space.empty() ? name : name_space + "/" + name; }

    struct Hash {
        size_t operator()(const ObjectKey& key) const {
            const std::hash<std::string_view> hash;
            return hash(key.name_space) * 31 + hash(key.name);
        }
    };
};

struct ListQuery {
    std::string label_selector;
    std::string field_selector;
};

// "/apis/apps/v1/namespaces/default/deployments/web/status"; empty parts are left out. Not
// percent-encoded: what names may hold is left to the transport.
std::string path_of(const ResourceName& resource, std::string_view name_space,
                    std::string_view name = {}, std::string_view subresource = {});

// Appends "&name=value" with the value percent-encoded; nothing when the value is empty.
void add_parameter(std::string& query, std::string_view name, std::string_view value);

}   // namespace skiff::client
