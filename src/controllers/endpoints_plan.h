// The Endpoints object of a service, as a pure plan: what kubectl and older clients read.
#pragma once

#include "client/plan.h"
#include "controllers/backends.h"

namespace skiff::controllers {

inline constexpr std::string_view endpoints_managed_by = "endpoints.kubernetes.io/managed-by";
inline constexpr std::string_view headless_label = "service.kubernetes.io/headless";
inline constexpr std::string_view last_change_annotation =
    "endpoints.kubernetes.io/last-change-trigger-time";
inline constexpr size_t endpoints_addresses_max = 1000;   // upstream's maxCapacity

bool headless(const view::Service& service);
// `service` null: it is gone, and its Endpoints with it. `current` null: there are none yet.
client::Plan plan_endpoints(const view::Service* service, const PodList& pods,
                            const view::Endpoints* current);

}   // namespace skiff::controllers
