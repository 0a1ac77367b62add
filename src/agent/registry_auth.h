// Credentials for a registry out of secrets of type kubernetes.io/dockerconfigjson and dockercfg,
// matched to an image's name as kubelet matches them. Pure; nothing is written anywhere.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/cri.h"
#include "agent/image_name.h"

namespace skiff::agent {

// All that fit, the most specific first; of one registry, in the order of the configs. Entries are
// "host", "host:port", "host/path" or an URL, the host's labels may have globs. Entries that cannot
// be read are passed over.
std::vector<cri::AuthConfig> registry_auths(const std::vector<std::string>& docker_configs,
                                            const ImageName& image);

// Whether such an entry is for that image.
bool registry_matches(std::string_view entry, const ImageName& image);

}   // namespace skiff::agent
