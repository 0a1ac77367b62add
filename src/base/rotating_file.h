// A file that grows by whole pieces and is put aside when it is large: "audit.log" becomes
// "audit-2026-01-02T15-04-05.000.log", of which the newest few are kept.
#pragma once

#include <string>
#include <string_view>

#include "base/os.h"
#include "base/time.h"

namespace skiff {

struct RotatingFileOptions {
    std::string path;
    uint64_t bytes_max = 32u << 20;
    size_t kept_max = 4;   // beside the one that is written
};

// One thread at a time.
class RotatingFile {
  public:
    RotatingFile(RotatingFileOptions options, Clock& clock)
        : options_{std::move(options)}, clock_{clock} {}
    // All of it or nothing: a part that was written before the disk was full is taken back.
    Result<> append(std::string_view text);

  private:
    Result<> open();
    Result<> rotate();
    void remove_oldest() const;

    RotatingFileOptions options_;
    Clock& clock_;
    Fd file_;
    uint64_t bytes_ = 0;
};

}   // namespace skiff
