# Runs tools/schemagen.py: schema/**/*.api and src/**/*.view become build/gen. Its outputs are
# listed by the generator itself (--list), so CMake and it cannot disagree. It runs at build time,
# writes only what changed, and every layer waits for it (target skiff_schema).
find_package(Python3 REQUIRED COMPONENTS Interpreter)
file(GLOB_RECURSE schema_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/schema/*.api
     ${CMAKE_SOURCE_DIR}/src/*.view)
file(GLOB schema_tools CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tools/schema*.py)
set(schemagen ${Python3_EXECUTABLE} -B ${CMAKE_SOURCE_DIR}/tools/schemagen.py)

execute_process(COMMAND ${schemagen} --list OUTPUT_VARIABLE listing
                OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE "\n" ";" listing "${listing}")
set(schema_outputs "")
foreach(line IN LISTS listing)
  string(REGEX MATCH "^([a-z_]+) (.*)$" _ "${line}")
  set(layer ${CMAKE_MATCH_1})
  set(output ${CMAKE_BINARY_DIR}/gen/${CMAKE_MATCH_2})
  list(APPEND schema_outputs ${output})
  if(output MATCHES "\\.cc$")
    list(APPEND ${layer}_generated ${output})
  endif()
endforeach()

add_custom_command(OUTPUT ${schema_outputs}
                   COMMAND ${schemagen} --out ${CMAKE_BINARY_DIR}/gen
                   DEPENDS ${schema_sources} ${schema_tools}
                   COMMENT "schema" VERBATIM)
add_custom_target(skiff_schema DEPENDS ${schema_outputs})
