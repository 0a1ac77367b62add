// The command line's verbs (see `skiff` without arguments).
#pragma once

namespace skiff::cmd {

int run(int argc, char** argv);   // the process' exit code

}   // namespace skiff::cmd
