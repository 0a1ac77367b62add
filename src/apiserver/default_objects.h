// What every cluster has from its first start on, beside the roles (default_policy.h).
#pragma once

#include <string_view>

#include "base/result.h"
#include "client/client.h"

namespace skiff::apiserver {

bool is_system_priority_class(std::string_view name);

// Makes what is missing, through a client that may all.
Result<> ensure_default_objects(client::Client& client);

}   // namespace skiff::apiserver
