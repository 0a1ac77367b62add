// Every bound of the program that is not a user's setting, named, with its unit last.
#pragma once

#include <chrono>
#include <cstddef>

namespace skiff::limits {

inline constexpr size_t request_body_bytes_max = 3u << 20;   // as upstream: 413 above it
inline constexpr size_t request_header_bytes_max = 64u << 10;
inline constexpr unsigned json_depth_max = 512;
inline constexpr size_t object_bytes_max = 1536u << 10;   // etcd's limit, so that data can move
inline constexpr size_t watch_window_revisions_max = 100'000;
inline constexpr std::chrono::minutes watch_window_max{5};
inline constexpr size_t watch_events_buffered_max = 10'000;
inline constexpr size_t connections_max = 10'000;
inline constexpr size_t http2_streams_per_connection_max = 250;

}   // namespace skiff::limits
