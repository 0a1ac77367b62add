// `skiff status`: what runs, since when, how large, what is wrong and what to do about it.
#pragma once

#include <string>
#include <vector>

namespace skiff::cmd {

int run_status(const std::vector<std::string>& arguments);

}   // namespace skiff::cmd
