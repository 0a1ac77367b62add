#include "apiserver/pod_resources.h"

namespace skiff::apiserver {
namespace {

using codec::Json;

void take_greater(ResourceAmounts& into, const ResourceAmounts& other) {
    for (const auto& [name, amount] : other) {
        auto& known = into[name];
        if (amount > known) known = amount;
    }
}

}   // namespace

ResourceAmounts amounts_in(const Json* list) {
    ResourceAmounts amounts;
    if (!list) return amounts;
    for (const auto& [name, amount] : list->members())
        if (const auto parsed = api::Quantity::parse(amount.text()))
            amounts.emplace(std::string{name}, *parsed);
    return amounts;
}

void add_amounts(ResourceAmounts& into, const ResourceAmounts& more) {
    for (const auto& [name, amount] : more) {
        const auto [known, fresh] = into.try_emplace(name, amount);
        if (!fresh) known->second = known->second + amount;
    }
}

ResourceAmounts pod_amounts(const Json& spec, std::string_view list) {
    ResourceAmounts sum;
    if (const auto* containers = spec.find("containers"))
        for (const auto& container : containers->items())
            add_amounts(sum, amounts_in(container.at_path({"resources", list})));
    ResourceAmounts sidecars, peak;
    if (const auto* containers = spec.find("initContainers")) {
        for (const auto& container : containers->items()) {
            auto own = amounts_in(container.at_path({"resources", list}));
            const bool sidecar = container.text_at({"restartPolicy"}) == "Always";
            if (sidecar) add_amounts(sidecars, own);
            auto now = sidecars;
            if (!sidecar) add_amounts(now, own);
            take_greater(peak, now);
        }
    }
    add_amounts(sum, sidecars);
    take_greater(sum, peak);
    for (const auto& [name, amount] : amounts_in(spec.at_path({"resources", list})))
        sum[name] = amount;
    return sum;
}

}   // namespace skiff::apiserver
