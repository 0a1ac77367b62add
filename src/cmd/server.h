// `skiff server`: store, API server, controllers and scheduler in one process.
#pragma once

#include <string>
#include <vector>

namespace skiff::cmd {

int run_server(const std::vector<std::string>& arguments);

}   // namespace skiff::cmd
