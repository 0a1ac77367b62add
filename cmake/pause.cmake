# The sandbox's program (src/agent/pause): no libraries, no sanitizers, a few hundred bytes; it is
# embedded into the agent.
set(SKIFF_PAUSE ${CMAKE_BINARY_DIR}/pause)
add_custom_command(
  OUTPUT ${SKIFF_PAUSE}
  COMMAND ${CMAKE_CXX_COMPILER} -std=c++23 -Os -static -nostdlib -fno-stack-protector
          -fno-asynchronous-unwind-tables -fno-pie -no-pie -Wall -Wextra -Werror
          -Wl,--build-id=none -Wl,-z,noseparate-code -s
          ${CMAKE_SOURCE_DIR}/src/agent/pause/main.cc -o ${SKIFF_PAUSE}
  DEPENDS ${CMAKE_SOURCE_DIR}/src/agent/pause/main.cc
  VERBATIM)
add_custom_target(skiff_pause DEPENDS ${SKIFF_PAUSE})
set_source_files_properties(${CMAKE_SOURCE_DIR}/src/agent/pause_program.cc PROPERTIES
  COMPILE_DEFINITIONS "SKIFF_PAUSE_PROGRAM=\"${SKIFF_PAUSE}\""
  OBJECT_DEPENDS ${SKIFF_PAUSE})
