// `skiff image import|pull|list`: the images on this node.
#pragma once

#include <string>
#include <vector>

namespace skiff::cmd {

int run_image(const std::vector<std::string>& arguments);

}   // namespace skiff::cmd
