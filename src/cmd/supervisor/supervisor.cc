#include "cmd/supervisor/supervisor.h"

#include <csignal>
#include <cstdio>
#include <optional>

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "cmd/process.h"
#include "net/listen.h"

namespace skiff::cmd {
namespace {

constexpr auto restart_delay_first = std::chrono::milliseconds{10};
constexpr auto restart_delay_max = std::chrono::seconds{5};
constexpr auto steady_after = std::chrono::seconds{10};   // then the next restart is quick again
constexpr auto stop_time = std::chrono::seconds{10};
constexpr off_t log_bytes_max = 10 << 20;
constexpr int passed_descriptor = 3;   // where a part finds its listening socket
constexpr int passed_dns_udp = 4;      // and those of DNS, if they can be had
constexpr int passed_dns_tcp = 5;
constexpr uint16_t dns_port = 53;
constexpr int dns_bytes_waiting_max = 4 << 20;   // questions of a second or so

struct Part {
    std::string name;
    std::vector<std::string> arguments;
    std::optional<uint16_t> listens;   // on this port, on a socket we hold
    bool serves_dns = false;
    Fd listener{};
    Fd dns_udp{}, dns_tcp{};   // both or none
    std::optional<Process> process{};
    MonoTime started{};
    Duration delay = restart_delay_first;
    std::optional<MonoTime> restart_at{};
};

class Supervisor {
  public:
    explicit Supervisor(SupervisorOptions options) : options_{std::move(options)} {}

    Result<> run() {
        TRY_OK(make_directories(path("run"), 0755));
        TRY_OK(make_directories(path("log"), 0750));
        lock_ = Fd{::open(path("run/supervisor.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
        if (!lock_ || ::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0)
            return fail(Reason::AlreadyExists, "another supervisor keeps this cluster");
        sigset_t signals;
        sigemptyset(&signals);
        for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&signals, number);
        sigprocmask(SIG_BLOCK, &signals, nullptr);
        signals_ = Fd{::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK)};
        add_parts();
        wait_for_spawns(spawn_lock());
        for (auto& part : parts_) adopt(part);
        for (auto& part : parts_) TRY_OK(ensure_listener(part));
        // `up` takes this for: it runs, and its ports are taken.
        TRY_OK(write_pid_file(path("run/supervisor.pid"), ::getpid()));
        for (auto& part : parts_)
            if (!part.process) start(part);
        while (!ending_) turn();
        for (auto part = parts_.rbegin(); part != parts_.rend(); ++part) stop(*part);
        ::unlink(path("run/supervisor.pid").c_str());
        return {};
    }

  private:
    std::string path(std::string_view below) const { return concat(options_.root, "/", below); }

    std::string pid_file(const Part& part) const { return path(concat("run/", part.name, ".pid")); }

    std::string spawn_lock() const { return path("run/spawn.lock"); }

    void add_parts() {
        const auto fd_flag = concat("--listen-fd=", passed_descriptor);
        if (!options_.containerd_config.empty()) {
            parts_.push_back({.name = "containerd",
                              .arguments = {"containerd", "--config", options_.containerd_config},
                              .listens = {}});
        }
        parts_.push_back({.name = "server",
                          .arguments = {options_.skiff, "server", "--root", options_.root, fd_flag},
                          .listens = options_.port});
        parts_.push_back({.name = "agent",
                          .arguments = {options_.skiff, "agent", "--root", options_.root, fd_flag},
                          .listens = options_.agent_port,
                          .serves_dns = !options_.dns_address.empty()});
    }

    static Fd copy_of(const Process& process, int number) {
        return Fd{static_cast<int>(syscall(SYS_pidfd_getfd, process.handle.get(), number, 0))};
    }

    // A part that a supervisor before us started goes on, with the socket it has.
    void adopt(Part& part) {
        part.process = running(pid_file(part));
        if (!part.process) return;
        part.started = os_clock().monotonic();
        if (part.listens) part.listener = copy_of(*part.process, passed_descriptor);
        if (part.serves_dns) {
            part.dns_udp = copy_of(*part.process, passed_dns_udp);
            part.dns_tcp = copy_of(*part.process, passed_dns_tcp);
            for (const auto* fd : {&part.dns_udp, &part.dns_tcp})
                if (net::port_of(*fd).value_or(0) != dns_port) forget_dns(part);
        }
        log_info("adopted", {{"part", part.name}, {"pid", part.process->pid}});
    }

    Result<> ensure_listener(Part& part) {
        if (!part.listens || part.listener) return {};
        const char* address = part.name == "agent" ? "127.0.0.1" : "0.0.0.0";
        TRY(part.listener, net::listen_tcp(address, *part.listens));
        return {};
    }

    static void forget_dns(Part& part) {
        part.dns_udp.reset();
        part.dns_tcp.reset();
    }

    // Questions wait in them while the agent is started again. Somebody else may have the port:
    // then the agent tries by itself, and says so.
    void ensure_dns(Part& part) {
        if (!part.serves_dns || part.dns_udp) return;
        auto udp = net::listen_udp_ahead(options_.dns_address, dns_port);
        auto tcp = net::listen_tcp_ahead(options_.dns_address, dns_port);
        if (!udp || !tcp) return;
        ::setsockopt(udp->get(), SOL_SOCKET, SO_RCVBUFFORCE, &dns_bytes_waiting_max,
                     sizeof dns_bytes_waiting_max);
        part.dns_udp = std::move(*udp);
        part.dns_tcp = std::move(*tcp);
    }

    void start(Part& part) {
        part.restart_at.reset();
        part.started = os_clock().monotonic();
        const auto log_path = path(concat("log/", part.name, ".log"));
        rotate(log_path);
        SpawnOptions options{.arguments = part.arguments,
                             .environment = {},
                             .log_path = log_path,
                             .descriptors = {},
                             .pid_file = pid_file(part),
                             .lock_file = spawn_lock()};
        if (part.listener) options.descriptors.push_back(part.listener.get());
        ensure_dns(part);
        if (part.listener && part.dns_udp) {
            options.descriptors.push_back(part.dns_udp.get());
            options.descriptors.push_back(part.dns_tcp.get());
            options.arguments.push_back(concat("--dns-fds=", passed_dns_udp, ",", passed_dns_tcp));
        }
        auto pid = spawn(options);
        if (!pid) {
            log_error("cannot start", {{"part", part.name}, {"error", pid.error().message}});
            return plan_restart(part);
        }
        auto process = open_process(*pid);
        if (!process) return plan_restart(part);
        part.process = std::move(*process);
    }

    static void rotate(const std::string& path) {
        struct stat status {};
        if (::stat(path.c_str(), &status) == 0 && status.st_size > log_bytes_max)
            ::rename(path.c_str(), (path + ".1").c_str());
    }

    void plan_restart(Part& part) {
        const auto now = os_clock().monotonic();
        if (now - part.started > steady_after) part.delay = restart_delay_first;
        part.restart_at = now + part.delay;
        part.delay = std::min<Duration>(part.delay * 4, restart_delay_max);
    }

    // Sleeps until a part ends, a restart is due or a signal comes: no tick at rest.
    void turn() {
        std::vector<pollfd> polled{{.fd = signals_.get(), .events = POLLIN, .revents = 0}};
        std::vector<Part*> owners{nullptr};
        Duration wait = Duration::max();
        const auto now = os_clock().monotonic();
        for (auto& part : parts_) {
            if (part.process) {
                polled.push_back(
                    {.fd = part.process->handle.get(), .events = POLLIN, .revents = 0});
                owners.push_back(&part);
            } else if (part.restart_at) {
                wait = std::min(wait, std::max(*part.restart_at - now, Duration::zero()));
            }
        }
        const int milliseconds = wait == Duration::max() ? -1 : static_cast<int>(wait / 1ms) + 1;
        ::poll(polled.data(), polled.size(), milliseconds);
        if (polled[0].revents) read_signals();
        for (size_t i = 1; i < polled.size(); ++i)
            if (polled[i].revents && !ending_) ended(*owners[i]);
        for (auto& part : parts_)
            if (!ending_ && part.restart_at && *part.restart_at <= os_clock().monotonic())
                start(part);
    }

    void read_signals() {
        signalfd_siginfo info{};
        while (::read(signals_.get(), &info, sizeof info) == sizeof info)
            if (info.ssi_signo != SIGCHLD) ending_ = true;
    }

    void ended(Part& part) {
        wait_for_exit(*part.process, Duration::zero());
        log_warn("ended and is started again", {{"part", part.name}, {"pid", part.process->pid}});
        part.process.reset();
        plan_restart(part);
    }

    void stop(Part& part) {
        if (!part.process) return;
        if (!stop_process(*part.process, stop_time))
            log_warn("had to be killed", {{"part", part.name}});
        ::unlink(pid_file(part).c_str());
    }

    SupervisorOptions options_;
    Fd lock_;
    Fd signals_;
    std::vector<Part> parts_;
    bool ending_ = false;
};

}   // namespace

Result<> supervise(SupervisorOptions options) { return Supervisor{std::move(options)}.run(); }

}   // namespace skiff::cmd
