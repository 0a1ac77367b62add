// run_command of base/os.h: a child watched through a pidfd, so that neither SIGCHLD nor a reused
// pid can confuse it.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/os.h"
#include "base/program.h"
#include "base/text.h"

namespace skiff {
namespace {

struct Pipe {
    Fd reader, writer;
};

Result<Pipe> make_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("pipe", errno);
    Pipe pipe{Fd{ends[0]}, Fd{ends[1]}};
    ::fcntl(pipe.reader.get(), F_SETFL, O_NONBLOCK);   // the writer's end is left blocking
    return pipe;
}

// A memory file, not a pipe: nobody has to feed it, and a child that never reads blocks nobody.
Result<Fd> input_file(std::string_view content) {
    if (content.empty()) {
        Fd none{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
        if (!none) return fail_errno("open /dev/null", errno);
        return none;
    }
    Fd file{::memfd_create("input", MFD_CLOEXEC)};
    if (!file) return fail_errno("memfd_create", errno);
    while (!content.empty()) {
        const ssize_t count = ::write(file.get(), content.data(), content.size());
        if (count < 0 && errno != EINTR) return fail_errno("write input", errno);
        if (count > 0) content.remove_prefix(static_cast<size_t>(count));
    }
    ::lseek(file.get(), 0, SEEK_SET);
    return file;
}

// A child that cannot be forgotten: it is killed and reaped unless it was reaped before.
class Child {
  public:
    explicit Child(pid_t pid) : pid_{pid} {
        pidfd_ = Fd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
    }
    ~Child() {
        if (pid_ < 0) return;
        kill();
        reap();
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    const Fd& pidfd() const { return pidfd_; }
    void kill() const {
        ::kill(-pid_, SIGKILL);   // the group: it exists as long as the unreaped child does
        ::kill(pid_, SIGKILL);
    }
    int reap() {
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {}
        pid_ = -1;
        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }

  private:
    pid_t pid_;
    Fd pidfd_;
};

// Takes what is there now. False at the end of the stream or when there is too much.
bool read_some(Fd& fd, std::string& into, size_t bytes_max) {
    std::array<char, 16384> buffer;
    while (into.size() <= bytes_max) {
        const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
        if (count > 0)
            into.append(buffer.data(), static_cast<size_t>(count));
        else if (count < 0 && errno == EINTR)
            continue;
        else
            return count < 0 && errno == EAGAIN;
    }
    return false;
}

// Collects until the child itself has ended; a grandchild that keeps the pipes is not waited for.
Result<> collect(const Child& child, Pipe& out, Pipe& error, CommandResult& result,
                 const CommandOptions& options, const std::string& name) {
    const MonoTime deadline = os_clock().monotonic() + options.timeout;
    for (bool ended = false; !ended;) {
        pollfd polled[] = {{child.pidfd().get(), POLLIN, 0},
                           {out.reader.get(), POLLIN, 0},
                           {error.reader.get(), POLLIN, 0}};
        const Duration left = deadline - os_clock().monotonic();
        if (left <= Duration::zero()) {
            return fail(Reason::Timeout,
                        concat("run ", name, ": took longer than ", go_duration(options.timeout)));
        }
        const auto wait = std::min<Duration>(left, std::chrono::hours{1});
        const timespec span{wait.count() / 1'000'000'000, wait.count() % 1'000'000'000};
        if (::ppoll(polled, 3, &span, nullptr) < 0 && errno != EINTR)
            return fail_errno("poll", errno);
        ended = polled[0].revents != 0;
        if (out.reader && !read_some(out.reader, result.out, options.output_bytes_max))
            out.reader.reset();
        if (error.reader && !read_some(error.reader, result.error, options.output_bytes_max))
            error.reader.reset();
        if (std::max(result.out.size(), result.error.size()) > options.output_bytes_max) {
            return fail(Reason::RequestEntityTooLarge, concat("run ", name, ": wrote more than ",
                                                              options.output_bytes_max, " bytes"));
        }
    }
    return {};
}

}   // namespace

Result<CommandResult> run_command(const std::vector<std::string>& arguments,
                                  const CommandOptions& options) {
    if (arguments.empty()) return fail(Reason::Invalid, "run: must name a program");
    TRY(const Fd in, input_file(options.input));
    TRY(Pipe out, make_pipe());
    TRY(Pipe error, make_pipe());
    TRY(const pid_t pid,
        start_program(arguments, {.standard = {in.get(), out.writer.get(), error.writer.get()},
                                  .kept = {},
                                  .environment = options.environment}));
    Child child{pid};
    if (!child.pidfd()) return fail_errno("pidfd_open", errno);
    out.writer.reset();
    error.writer.reset();
    CommandResult result;
    TRY_OK(collect(child, out, error, result, options, arguments[0]));
    result.exit_code = child.reap();
    return result;
}

}   // namespace skiff
