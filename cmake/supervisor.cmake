# The supervisor's program (src/cmd/supervisor): static, embedded into skiff, stripped of what only a
# debugger wants. Under sanitizers it is linked as everything else is: they have no static form.
set(supervisor_cmd ${CMAKE_SOURCE_DIR}/src/cmd)
add_executable(skiff_supervisor
  ${supervisor_cmd}/supervisor/main.cc ${supervisor_cmd}/supervisor/supervisor.cc
  ${supervisor_cmd}/process.cc ${supervisor_cmd}/flags.cc ${CMAKE_SOURCE_DIR}/src/net/listen.cc)
target_link_libraries(skiff_supervisor PRIVATE skiff_base)
if(NOT SKIFF_SANITIZE)
  target_link_options(skiff_supervisor PRIVATE -static-pie -s -Wl,--gc-sections)
endif()
set_source_files_properties(${supervisor_cmd}/supervisor_program.cc PROPERTIES
  COMPILE_DEFINITIONS "SKIFF_SUPERVISOR_PROGRAM=\"${CMAKE_BINARY_DIR}/skiff_supervisor\""
  OBJECT_DEPENDS ${CMAKE_BINARY_DIR}/skiff_supervisor)
