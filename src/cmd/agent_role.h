// `skiff agent`: the node agent in one process.
#pragma once

#include <string>
#include <vector>

namespace skiff::cmd {

int run_agent(const std::vector<std::string>& arguments);

}   // namespace skiff::cmd
