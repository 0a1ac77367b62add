// `skiff image import|list`: images on this node without a registry.
#pragma once

#include <string>
#include <vector>

namespace skiff::cmd {

int run_image(const std::vector<std::string>& arguments);

}   // namespace skiff::cmd
