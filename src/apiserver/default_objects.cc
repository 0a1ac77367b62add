#include "apiserver/default_objects.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "codec/json.h"

namespace skiff::apiserver {
namespace {

struct PriorityClass {
    std::string_view name;
    int64_t value;
    std::string_view description;
};

constexpr std::array priority_classes{
    PriorityClass{"system-node-critical", 2'000'001'000,
                  "For pods that their node cannot do without; they stay on it."},
    PriorityClass{"system-cluster-critical", 2'000'000'000,
                  "For pods that the cluster cannot do without; another node may run them."},
};

// What is in the map by other keys stays.
Result<> ensure_config_map(client::Client& client, std::string_view name_space,
                           std::string_view name, std::string_view key, std::string_view value) {
    constexpr client::ResourceName maps{"", "v1", "configmaps"};
    const client::ObjectKey at{.name_space = std::string{name_space}, .name = std::string{name}};
    std::string data = concat(R"("data":{")", key, R"(":)");
    codec::write_json_string(value, data);
    data += "}}";
    const auto there = client.get_text(maps, at);
    if (!there && there.error().reason != Reason::NotFound) return std::unexpected{there.error()};
    if (there) {
        TRY(const auto held, codec::parse_json(std::string_view{*there}));
        if (held.root.text_at({"data", key}) == value) return {};
        TRY_OK(client.patch_text(maps, at, client::PatchType::Merge, concat("{", data)));
        return {};
    }
    TRY_OK(client.create_text(maps, name_space,
                              concat(R"({"metadata":{"name":")", name, R"("},)", std::move(data))));
    return {};
}

}   // namespace

bool is_system_priority_class(std::string_view name) {
    return std::ranges::any_of(priority_classes,
                               [&](const auto& known) { return known.name == name; });
}

Result<> ensure_default_objects(client::Client& client, const DefaultObjects& wanted) {
    TRY_OK(ensure_config_map(client, "kube-system", "extension-apiserver-authentication",
                             "client-ca-file", wanted.client_ca_pem));
    if (!wanted.cluster_info.empty())
        TRY_OK(ensure_config_map(client, "kube-public", "cluster-info", "kubeconfig",
                                 wanted.cluster_info));
    constexpr client::ResourceName classes{"scheduling.k8s.io", "v1", "priorityclasses"};
    for (const auto& known : priority_classes) {
        const auto text = concat(R"({"metadata":{"name":")", known.name, R"("},"value":)",
                                 known.value, R"(,"description":")", known.description, R"("})");
        const auto made = client.create_text(classes, {}, text);
        if (!made && made.error().reason != Reason::AlreadyExists)
            return std::unexpected{made.error()};
    }
    return {};
}

}   // namespace skiff::apiserver
