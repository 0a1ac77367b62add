# The fuzz targets (`./x fuzz`): every *_fuzz.cc and the parsers they are for are compiled once more,
# with coverage and sanitizers, and put before the layers' own libraries, so that the schema's tables
# and all else that reads no foreign bytes is not built twice.
function(skiff_fuzz)
  file(GLOB_RECURSE fuzzed CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/*_fuzz.cc
       ${CMAKE_SOURCE_DIR}/src/codec/*.cc)
  list(FILTER fuzzed EXCLUDE REGEX "_(test|bench)\\.cc$")
  foreach(name
      base/ipv4 base/result base/text base/time
      net/certificates net/http net/http1_message net/spdy net/websocket
      api/convert api/defaults api/field_set api/leaf api/managed_fields api/names api/normalize
      api/patch api/protobuf_decode api/protobuf_encode api/quantity api/schema api/selectors
      api/server_side_apply api/strategic_patch api/tree_diff api/tree_path api/validate
      api/validate_metadata
      apiserver/authn apiserver/request_info apiserver/service_account_tokens
      agent/image_name agent/registry_auth
      dns/message)
    list(APPEND fuzzed ${CMAKE_SOURCE_DIR}/src/${name}.cc)
  endforeach()
  set(sanitizers -fsanitize=address,undefined -fno-sanitize-recover=all)
  # memcmp is called, not inlined, so that the driver sees what texts are compared with.
  add_library(skiff_fuzzed OBJECT EXCLUDE_FROM_ALL ${fuzzed})
  target_include_directories(skiff_fuzzed PRIVATE ${CMAKE_SOURCE_DIR}/src ${CMAKE_BINARY_DIR}/gen)
  target_compile_options(skiff_fuzzed PRIVATE -O1 -fno-builtin-memcmp -fno-omit-frame-pointer
    ${sanitizers} -fsanitize-coverage=trace-pc,trace-cmp)
  target_link_libraries(skiff_fuzzed PRIVATE PkgConfig::FYAML PkgConfig::ZLIB PkgConfig::OPENSSL
    PkgConfig::NGHTTP2)
  add_dependencies(skiff_fuzzed skiff_schema)
  file(GLOB driver CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/fuzz/*.cc)
  add_executable(skiff_fuzz EXCLUDE_FROM_ALL ${driver} $<TARGET_OBJECTS:skiff_fuzzed>)
  target_compile_options(skiff_fuzz PRIVATE -O2 ${sanitizers})
  target_link_options(skiff_fuzz PRIVATE ${sanitizers})
  target_link_libraries(skiff_fuzz PRIVATE skiff_apiserver skiff_agent skiff_dns)
endfunction()
