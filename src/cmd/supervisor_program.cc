#include "cmd/supervisor_program.h"

#include <cstddef>

// SKIFF_SUPERVISOR_PROGRAM is the built file (cmake/supervisor.cmake).
asm(".section .rodata\n"
    ".balign 16\n"
    "skiff_supervisor_begin:\n"
    ".incbin \"" SKIFF_SUPERVISOR_PROGRAM
    "\"\n"
    "skiff_supervisor_end:\n"
    ".byte 0\n"
    ".previous\n");

extern "C" const char skiff_supervisor_begin[] __attribute__((visibility("hidden")));
extern "C" const char skiff_supervisor_end[] __attribute__((visibility("hidden")));

namespace skiff::cmd {

std::string_view supervisor_program() {
    return {skiff_supervisor_begin,
            static_cast<size_t>(skiff_supervisor_end - skiff_supervisor_begin)};
}

}   // namespace skiff::cmd
