// `skiff reset`: stops the cluster and removes all that it ever made on this machine.
#pragma once

#include <string>
#include <vector>

namespace skiff::cmd {

int run_reset(const std::vector<std::string>& arguments);

}   // namespace skiff::cmd
