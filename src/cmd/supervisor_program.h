// The supervisor's program (src/cmd/supervisor), as bytes inside ours: one binary is all that has
// to be installed.
#pragma once

#include <string_view>

namespace skiff::cmd {

std::string_view supervisor_program();   // an ELF executable

}   // namespace skiff::cmd
