#include "cmd/process.h"

#include <array>
#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"

namespace skiff::cmd {
namespace {

// Field 22 of /proc/PID/stat; the second field may hold spaces and brackets.
std::optional<uint64_t> start_time_of(pid_t pid) {
    const auto stat = read_file(concat("/proc/", pid, "/stat"));
    if (!stat) return std::nullopt;
    const auto close = stat->rfind(')');
    if (close == std::string::npos) return std::nullopt;
    const auto fields = split(std::string_view{*stat}.substr(close + 2), ' ');
    if (fields.size() < 20 || fields[0] == "Z") return std::nullopt;
    return parse_number<uint64_t>(fields[19]);
}

}   // namespace

Result<Process> open_process(pid_t pid) {
    Process process{
        .pid = pid, .started = 0, .handle = Fd{static_cast<int>(syscall(SYS_pidfd_open, pid, 0))}};
    if (!process.handle) return fail_errno(concat("process ", pid), errno, Reason::NotFound);
    process.started = start_time_of(pid).value_or(0);
    return process;
}

std::optional<Process> running(const std::string& pid_file) {
    const auto text = read_file(pid_file);
    if (!text) return std::nullopt;
    const auto [pid_text, started_text] = cut(trim(*text), ' ');
    const auto pid = parse_number<pid_t>(pid_text);
    const auto started = started_text ? parse_number<uint64_t>(*started_text) : std::nullopt;
    if (!pid || !started) return std::nullopt;
    auto process = open_process(*pid);
    if (!process || process->started != *started || !process->started) return std::nullopt;
    return std::move(*process);
}

Result<> write_pid_file(const std::string& pid_file, pid_t pid) {
    return write_file_atomic(pid_file, concat(pid, " ", start_time_of(pid).value_or(0), "\n"), 0644,
                             Sync::No);
}

bool wait_for_exit(const Process& process, Duration timeout) {
    pollfd waited{.fd = process.handle.get(), .events = POLLIN, .revents = 0};
    const auto milliseconds =
        std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count();
    if (::poll(&waited, 1, static_cast<int>(milliseconds)) != 1) return false;
    siginfo_t info{};
    ::waitid(static_cast<idtype_t>(3) /* P_PIDFD */, static_cast<id_t>(process.handle.get()), &info,
             WEXITED | WNOHANG);   // if it was ours
    return true;
}

bool stop_process(const Process& process, Duration timeout) {
    syscall(SYS_pidfd_send_signal, process.handle.get(), SIGTERM, nullptr, 0);
    if (wait_for_exit(process, timeout)) return true;
    syscall(SYS_pidfd_send_signal, process.handle.get(), SIGKILL, nullptr, 0);
    wait_for_exit(process, std::chrono::seconds{10});
    return false;
}

std::string own_executable() {
    std::array<char, 4096> path{};
    const auto size = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
    return size > 0 ? std::string{path.data(), static_cast<size_t>(size)} : "skiff";
}

namespace {

[[noreturn]] void run_child(const SpawnOptions& options, char** arguments, char** environment) {
    ::setsid();
    if (!options.pid_file.empty()) static_cast<void>(write_pid_file(options.pid_file, ::getpid()));
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    const int log = options.log_path.empty()
                        ? ::open("/dev/null", O_WRONLY)
                        : ::open(options.log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0640);
    const int input = ::open("/dev/null", O_RDONLY);
    // Out of the way of 3, 4, … first: a descriptor may be one of those numbers itself.
    std::array<int, 8> held{};
    for (size_t i = 0; i < options.descriptors.size(); ++i)
        held[i] = ::fcntl(options.descriptors[i], F_DUPFD, 64);
    ::dup2(input, 0);
    ::dup2(log, 1);
    ::dup2(log, 2);
    const auto count = static_cast<unsigned>(options.descriptors.size());
    for (unsigned i = 0; i < count; ++i) ::dup2(held[i], static_cast<int>(3 + i));
    syscall(SYS_close_range, 3 + count, ~0U, 0);
    ::execvpe(arguments[0], arguments, environment);
    ::_exit(127);
}

}   // namespace

void wait_for_spawns(const std::string& lock_file) {
    const Fd lock{::open(lock_file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
    if (lock) ::flock(lock.get(), LOCK_EX);
}

Result<pid_t> spawn(const SpawnOptions& options) {
    ASSERT(!options.arguments.empty() && options.descriptors.size() <= 8);
    std::vector<char*> arguments;
    for (const auto& argument : options.arguments)
        arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    std::vector<char*> environment;
    for (char** variable = environ; *variable; ++variable) environment.push_back(*variable);
    for (const auto& variable : options.environment)
        environment.push_back(const_cast<char*>(variable.c_str()));
    environment.push_back(nullptr);
    // Held by the child until its pid is on file, also when we die meanwhile (wait_for_spawns).
    Fd lock;
    if (!options.lock_file.empty()) {
        lock = Fd{::open(options.lock_file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
        if (!lock || ::flock(lock.get(), LOCK_EX) != 0)
            return fail_errno("lock " + options.lock_file, errno);
    }
    const pid_t pid = ::fork();
    if (pid < 0) return fail_errno("fork", errno);
    if (pid == 0) run_child(options, arguments.data(), environment.data());
    return pid;
}

}   // namespace skiff::cmd
