#include "cmd/signals.h"

#include <csignal>

#include <malloc.h>

namespace skiff::cmd {
namespace {

sigset_t end_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

}   // namespace

void block_end_signals() {
    const auto set = end_signals();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    // Few arenas: threads come and go, and what one frees another should reuse.
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_TRIM_THRESHOLD, 128 * 1024);
}

int wait_for_end_signal() {
    const auto set = end_signals();
    int number = 0;
    while (sigwait(&set, &number) != 0) {}
    return number;
}

}   // namespace skiff::cmd
