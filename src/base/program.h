// Programs that we start, by posix_spawn (vfork inside, so that a large parent pays nothing).
#pragma once

#include <array>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/result.h"

namespace skiff {

struct ProgramOptions {
    std::array<int, 3> standard;            // what become its input, output and error output
    std::vector<int> kept;                  // what it gets besides, under the same numbers
    std::vector<std::string> environment;   // "K=V", instead of our own, unless empty
    bool own_session = false;               // else it leads a group of its own in our session
};
// Of our descriptors it gets those named and no other, whatever their flags: a daemon would keep a
// port that we listen on. Signals are as they are by default. NotFound when there is no such
// program, Forbidden when it may not be run. Whoever starts it reaps it.
Result<pid_t> start_program(const std::vector<std::string>& arguments,
                            const ProgramOptions& options);

}   // namespace skiff
