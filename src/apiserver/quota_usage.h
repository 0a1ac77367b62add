// What an object uses of the resources that a ResourceQuota bounds, and which quotas count it.
// Pure.
#pragma once

#include <string>
#include <vector>

#include "api/schema.h"
#include "apiserver/pod_resources.h"

namespace skiff::apiserver {

std::string object_count_name(const api::Kind& stored);   // "count/deployments.apps"
// Everything by every name that a quota may use; a pod that has ended only counts as an object.
ResourceAmounts quota_usage(const api::Kind& stored, const codec::Json& object);
// Whether any name of `hard` may be used by objects of this kind.
bool quota_concerns(const api::Kind& stored, const ResourceAmounts& hard);
// The quota's scopes all hold for the object.
bool quota_scopes_match(const codec::Json& quota, const api::Kind& stored,
                        const codec::Json& object);
// What containers must say because the quota bounds it: "limits.cpu for: a,b; …", "" when they do.
std::string quota_unsaid(const ResourceAmounts& hard, const api::Kind& stored,
                         const codec::Json& object);

ResourceAmounts masked(const ResourceAmounts& amounts, const ResourceAmounts& names);
std::string quota_text(const ResourceAmounts& amounts);   // "cpu=1,pods=2"

}   // namespace skiff::apiserver
