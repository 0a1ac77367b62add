// Handles of the operating system that close themselves, and whole-file helpers.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "base/result.h"
#include "base/time.h"

namespace skiff {

// A file descriptor. Always opened close-on-exec; -1 means none.
class Fd {
  public:
    Fd() = default;
    explicit Fd(int fd) : fd_{fd} {}
    Fd(Fd&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
    Fd& operator=(Fd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Fd();
    int get() const { return fd_; }
    int release() { return std::exchange(fd_, -1); }
    void reset() { *this = Fd{}; }
    explicit operator bool() const { return fd_ >= 0; }

  private:
    int fd_ = -1;
};

Result<std::string> read_file(const std::string& path, size_t bytes_max = 64u << 20);
// Writes beside, fdatasyncs, renames over: a reader sees the old or the new content, never a part.
// Unsynced: it survives the death of any process, not a power cut.
enum class Sync : bool { No, Yes };
Result<> write_file_atomic(const std::string& path, std::string_view content, mode_t mode = 0644,
                           Sync sync = Sync::Yes);
Result<> write_file(const std::string& path, std::string_view content);   // in place: /sys, /proc
Result<> make_directories(const std::string& path, mode_t mode = 0755);   // like mkdir -p
Result<> remove_tree(
    const std::string& path);   // never crosses a mount point, never follows a link
bool file_exists(const std::string& path);

struct CommandResult {
    int exit_code = 0;   // 128 + n when signal n ended it
    std::string out;
    std::string error;   // standard error
};
struct CommandOptions {
    std::vector<std::string> environment;   // "K=V", instead of our own, unless empty
    std::string input;
    Duration timeout = std::chrono::seconds{30};
    size_t output_bytes_max = 16u << 20;
};
// Runs a program and waits for it. NotFound when there is no such program, Timeout when it was
// killed for taking longer. arguments[0] is looked up in PATH unless it has a slash.
Result<CommandResult> run_command(const std::vector<std::string>& arguments,
                                  const CommandOptions& options = {});

}   // namespace skiff
