// `skiff up`: makes the cluster where there is none, starts it where it does not run, waits until
// its node is Ready and tells the caller's kubectl of it.
#pragma once

#include <string>
#include <vector>

namespace skiff::cmd {

int run_up(const std::vector<std::string>& arguments);

}   // namespace skiff::cmd
