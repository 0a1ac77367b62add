#include "cmd/commands.h"

#include <cstdio>

namespace skiff::cmd {

int run(int, char**) {
    std::fputs("usage: skiff <verb>\n", stderr);
    return 2;
}

}   // namespace skiff::cmd
