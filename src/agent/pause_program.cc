// The pause executable's bytes inside ours: one binary is all that has to be installed.
#include "agent/oci_image.h"

// SKIFF_PAUSE_PROGRAM is the built file (CMakeLists.txt).
asm(".section .rodata\n"
    ".balign 16\n"
    "skiff_pause_begin:\n"
    ".incbin \"" SKIFF_PAUSE_PROGRAM
    "\"\n"
    "skiff_pause_end:\n"
    ".byte 0\n"
    ".previous\n");

extern "C" const char skiff_pause_begin[] __attribute__((visibility("hidden")));
extern "C" const char skiff_pause_end[] __attribute__((visibility("hidden")));

namespace skiff::agent {

std::string_view pause_program() {
    return {skiff_pause_begin, static_cast<size_t>(skiff_pause_end - skiff_pause_begin)};
}

}   // namespace skiff::agent
