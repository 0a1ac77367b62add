#include "apiserver/default_objects.h"

#include <algorithm>
#include <array>

#include "base/text.h"

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

}   // namespace

bool is_system_priority_class(std::string_view name) {
    return std::ranges::any_of(priority_classes,
                               [&](const auto& known) { return known.name == name; });
}

Result<> ensure_default_objects(client::Client& client) {
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
