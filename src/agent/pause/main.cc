// The process that holds a pod's namespaces open: PID 1 of the sandbox. It ends on SIGTERM and
// SIGINT and reaps whatever is handed to it when containers share its PID namespace. Built without
// any library (a few hundred bytes), so that every pod on the machine pays next to nothing.
#include <asm/unistd.h>

namespace {

constexpr long sig_interrupt = 2;
constexpr long sig_terminate = 15;
constexpr long sig_child = 17;
constexpr int block = 0;     // SIG_BLOCK
constexpr int no_hang = 1;   // WNOHANG

long call(long number, long a = 0, long b = 0, long c = 0, long d = 0) {
#if defined(__x86_64__)
    long result;
    register long fourth asm("r10") = d;
    asm volatile("syscall"
                 : "=a"(result)
                 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth)
                 : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 asm("x8") = number;
    register long x0 asm("x0") = a;
    register long x1 asm("x1") = b;
    register long x2 asm("x2") = c;
    register long x3 asm("x3") = d;
    asm volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
#else
#error "pause knows the system calls of x86-64 and arm64 only"
#endif
}

}   // namespace

// Blocked signals are not dropped for PID 1 even without a handler, and can be waited for.
extern "C" [[noreturn]] void _start() {
    const unsigned long wanted =
        (1ul << (sig_interrupt - 1)) | (1ul << (sig_terminate - 1)) | (1ul << (sig_child - 1));
    const long set = reinterpret_cast<long>(&wanted);
    call(__NR_rt_sigprocmask, block, set, 0, sizeof wanted);
    for (;;) {
        const long signal = call(__NR_rt_sigtimedwait, set, 0, 0, sizeof wanted);
        if (signal == sig_terminate || signal == sig_interrupt) call(__NR_exit_group, 0);
        while (call(__NR_wait4, -1, 0, no_hang, 0) > 0) {}
    }
}
