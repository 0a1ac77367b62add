// Reads one container instance's log as `kubectl logs` asks for it: tail, since, timestamps, byte
// limit, one stream or both, across rotated files. Plain pulls; waiting is log_stream.h's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/log_files.h"
#include "base/os.h"

namespace skiff::agent {

struct LogOptions {
    std::optional<int64_t> tail_lines;
    std::optional<WallTime> since;
    std::optional<int64_t> limit_bytes;
    bool timestamps = false;
    bool follow = false;
    std::string stream;   // "stdout", "stderr" or "": both
};
// From the query of a log request (PodLogOptions); Invalid in the field's own words.
Result<LogOptions> parse_log_options(const std::vector<std::pair<std::string, std::string>>& query,
                                     WallTime now);

class LogReader {
  public:
    LogReader(std::string current_path, LogOptions options);

    enum class State { More, CaughtUp, LimitReached };
    // Appends at least one line if there is one and stops soon after `want` bytes.
    State read(std::string& out, size_t want);
    // After CaughtUp: whether the current file was rotated away from under us. Reading goes on in
    // the files that came after it once next_file() was called.
    bool rotated() const;
    bool next_file();
    const std::string& path() const { return path_; }

  private:
    struct Start {
        std::vector<std::string> files;
        size_t index = 0;
        off_t offset = 0;
    };
    void begin();
    bool open(const std::string& path, off_t offset);
    bool open_next();
    bool fill();
    bool emit(std::string_view line, std::string& out);

    std::string path_;
    LogOptions options_;
    std::string since_text_;
    std::vector<std::string> ahead_;   // files to read after this one, oldest first
    Fd fd_;
    uint64_t inode_ = 0;
    off_t offset_ = 0;
    std::string buffer_;
    size_t consumed_ = 0;
    bool begun_ = false;
    bool in_line_ = false;   // the last line put out was partial
    int64_t bytes_left_ = INT64_MAX;
};

// Where the last `lines` lines begin: an offset into one of the files (in age order).
struct LogPosition {
    size_t file = 0;
    int64_t offset = 0;
};
LogPosition find_log_tail(const std::vector<std::string>& files, int64_t lines,
                          std::string_view stream);

}   // namespace skiff::agent
