#include "base/program.h"

#include <algorithm>
#include <cerrno>

#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include "base/text.h"

extern char** environ;

namespace skiff {
namespace {

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    for (const auto& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
    pointers.push_back(nullptr);
    return pointers;
}

class Actions {
  public:
    explicit Actions(const ProgramOptions& options) {
        ::posix_spawn_file_actions_init(&actions_);
        for (int i = 0; i < 3; ++i)
            ::posix_spawn_file_actions_adddup2(&actions_, options.standard[static_cast<size_t>(i)],
                                               i);
        auto kept = options.kept;
        std::ranges::sort(kept);
        int next = STDERR_FILENO + 1;
        for (const int number : kept) {
            for (; next < number; ++next) ::posix_spawn_file_actions_addclose(&actions_, next);
            ::posix_spawn_file_actions_adddup2(&actions_, number, number);   // stays open
            next = number + 1;
        }
        ::posix_spawn_file_actions_addclosefrom_np(&actions_, next);
    }
    ~Actions() { ::posix_spawn_file_actions_destroy(&actions_); }
    Actions(const Actions&) = delete;
    Actions& operator=(const Actions&) = delete;
    const posix_spawn_file_actions_t* get() const { return &actions_; }

  private:
    posix_spawn_file_actions_t actions_;
};

class Attributes {
  public:
    explicit Attributes(bool own_session) {
        ::posix_spawnattr_init(&attributes_);
        sigset_t none, all;
        ::sigemptyset(&none);
        ::sigfillset(&all);
        ::posix_spawnattr_setsigmask(&attributes_, &none);   // our threads block them, it must not
        ::posix_spawnattr_setsigdefault(&attributes_, &all);
        ::posix_spawnattr_setpgroup(&attributes_, 0);   // so that its children end with it
        const int apart = own_session ? POSIX_SPAWN_SETSID : POSIX_SPAWN_SETPGROUP;
        ::posix_spawnattr_setflags(&attributes_, static_cast<short>(POSIX_SPAWN_SETSIGMASK |
                                                                    POSIX_SPAWN_SETSIGDEF | apart));
    }
    ~Attributes() { ::posix_spawnattr_destroy(&attributes_); }
    Attributes(const Attributes&) = delete;
    Attributes& operator=(const Attributes&) = delete;
    const posix_spawnattr_t* get() const { return &attributes_; }

  private:
    posix_spawnattr_t attributes_;
};

}   // namespace

Result<pid_t> start_program(const std::vector<std::string>& arguments,
                            const ProgramOptions& options) {
    const Actions actions{options};
    const Attributes attributes{options.own_session};
    const auto words = pointers_to(arguments);
    const auto environment = pointers_to(options.environment);
    pid_t pid = -1;
    const int problem =
        ::posix_spawnp(&pid, words[0], actions.get(), attributes.get(), words.data(),
                       options.environment.empty() ? environ : environment.data());
    if (problem == 0) return pid;
    const Reason reason = problem == ENOENT                       ? Reason::NotFound
                          : problem == EACCES || problem == EPERM ? Reason::Forbidden
                                                                  : Reason::InternalError;
    return fail_errno(concat("run ", arguments[0]), problem, reason);
}

}   // namespace skiff
