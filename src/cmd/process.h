// Processes that Skiff started: found again by pid and start time, so that a reused pid is never
// taken for ours.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/os.h"
#include "base/time.h"

namespace skiff::cmd {

struct Process {
    pid_t pid = 0;
    uint64_t started = 0;   // clock ticks since boot, /proc/PID/stat field 22
    Fd handle;              // pidfd
};

// The process that the file names, if it still runs and is the very same.
std::optional<Process> running(const std::string& pid_file);
Result<> write_pid_file(const std::string& pid_file, pid_t pid);
Result<Process> open_process(pid_t pid);
bool wait_for_exit(const Process& process, Duration timeout);   // true: it has ended
// SIGTERM, then SIGKILL after the timeout. False: it had to be killed.
bool stop_process(const Process& process, Duration timeout);
std::string own_executable();

struct SpawnOptions {
    std::vector<std::string> arguments;
    std::vector<std::string> environment;   // added to ours
    std::string log_path;                   // standard output and error are appended here
    std::vector<int> descriptors;           // become 3, 4, … in the child
    std::string pid_file;    // written by the child itself before it becomes the program
    std::string lock_file;   // locked from before the fork until then
};
// Returns when no child of a spawn with that lock file is still without its pid file: whoever
// reads pid files of a process that died may then trust them.
void wait_for_spawns(const std::string& lock_file);
// In a session of its own, so that nothing of ours that ends takes it along.
Result<pid_t> spawn(const SpawnOptions& options);

}   // namespace skiff::cmd
