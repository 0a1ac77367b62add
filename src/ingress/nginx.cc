#include "ingress/nginx.h"

#include <algorithm>
#include <csignal>
#include <optional>
#include <vector>

#include <dirent.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"

namespace skiff::ingress {
namespace {

using namespace std::chrono_literals;

constexpr int start_tries = 20;
constexpr Duration start_pause = 50ms;
constexpr Duration command_time = 20s;
constexpr Duration end_time = 5s;
constexpr std::string_view certificate_ending = ".pem";

template <class F>
void each_name(const std::string& folder, F&& use) {
    DIR* directory = ::opendir(folder.c_str());
    if (!directory) return;
    while (const auto* entry = ::readdir(directory)) use(std::string_view{entry->d_name});
    ::closedir(directory);
}

// Running, not a zombie that nobody has reaped.
bool is_nginx(pid_t pid) {
    const auto stat = read_file(concat("/proc/", pid, "/stat"));
    return stat && stat->find(" (nginx) ") != stat->npos && stat->find(" (nginx) Z") == stat->npos;
}

bool has_open(pid_t pid, const std::string& path) {
    bool found = false;
    const auto folder = concat("/proc/", pid, "/fd");
    each_name(folder, [&](std::string_view name) {
        char target[512];
        const auto size = ::readlink(concat(folder, "/", name).c_str(), target, sizeof target);
        if (size > 0 && std::string_view{target, static_cast<size_t>(size)}.starts_with(path))
            found = true;
    });
    return found;
}

// Every nginx that writes this log.
std::vector<pid_t> processes_of(const std::string& log) {
    std::vector<pid_t> pids;
    each_name("/proc", [&](std::string_view name) {
        const auto pid = parse_number<pid_t>(name);
        if (pid && is_nginx(*pid) && has_open(*pid, log)) pids.push_back(*pid);
    });
    return pids;
}

pid_t parent_of(pid_t pid) {
    const auto stat = read_file(concat("/proc/", pid, "/stat"));
    if (!stat) return 0;
    const auto fields = split(std::string_view{*stat}.substr(stat->rfind(')') + 1), ' ');
    return fields.size() > 2 ? parse_number<pid_t>(fields[2]).value_or(0) : 0;
}

std::optional<pid_t> master_of(const NginxOptions& options) {
    const auto text = read_file(options.folder + "/nginx.pid");
    const auto pid = text ? parse_number<pid_t>(trim(*text)) : std::nullopt;
    if (!pid || !is_nginx(*pid) || !has_open(*pid, options.log)) return std::nullopt;
    return pid;
}

// "… in /folder/nginx.conf.new:17"
size_t line_of(std::string_view error, const std::string& file) {
    const auto at = error.find(file + ":");
    if (at == error.npos) return 0;
    const auto digits = error.substr(at + file.size() + 1);
    return parse_number<size_t>(digits.substr(0, digits.find_first_not_of("0123456789")))
        .value_or(0);
}

}   // namespace

struct Nginx::Following {
    Fd process;
    pid_t pid = 0;
    bool child = false;   // ours to reap
    std::unique_ptr<net::Loop::Watch> watch;
    bool ended = false;   // of no interest any more
    bool over = false;
};

Nginx::Nginx(NginxOptions options, Executor& executor, net::Loop& loop, std::function<void()> died)
    : options_{std::move(options)}, executor_{executor}, loop_{loop}, died_{std::move(died)} {
    const auto pid = master_of(options_);
    if (!pid) return;
    // What it was started with is there to be read: nothing has to be loaded again.
    if (const auto text = read_file(options_.folder + "/nginx.conf")) text_ = *text;
    each_name(options_.folder + "/tls", [this](std::string_view name) {
        if (!name.ends_with(certificate_ending)) return;
        const auto id = std::string{name.substr(0, name.size() - certificate_ending.size())};
        if (const auto pem = read_file(certificate_path(options_.folder, id)))
            certificates_[id] = *pem;
    });
    follow(*pid, false);
}

Nginx::~Nginx() { unfollow(); }

bool Nginx::running() const { return following_ && is_nginx(following_->pid); }

void Nginx::follow(pid_t pid, bool child) {
    unfollow();
    const auto following = std::make_shared<Following>();
    following->pid = pid;
    following->child = child;
    following->process = Fd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
    following_ = following;
    if (!following->process) return;
    loop_.post([this, following] {
        if (following->ended) return;
        following->watch =
            loop_.watch(following->process.get(), net::Loop::Readable, [this, following](unsigned) {
                following->watch->want(0);
                if (std::exchange(following->over, true)) return;
                if (following->child) ::waitpid(following->pid, nullptr, WNOHANG);
                if (!std::exchange(following->ended, true)) died_();
            });
    });
}

void Nginx::unfollow() {
    if (!following_) return;
    const auto done = executor_.make_waiter();
    loop_.post([following = std::move(following_), done] {
        following->ended = true;
        if (!following->child || following->over) following->watch.reset();   // else it is reaped
        done->notify();
    });
    following_.reset();
    done->wait();
}

Result<> Nginx::write_files(const std::map<std::string, std::string>& certificates) {
    TRY_OK(make_directories(options_.folder, 0755));
    TRY_OK(make_directories(options_.folder + "/tls", 0700));
    TRY_OK(make_directories(options_.folder + "/lua", 0755));
    TRY_OK(make_directories(control_folder(options_.folder), 0700));
    TRY_OK(write_file_atomic(options_.folder + "/lua/skiff.lua", balancer_lua(), 0644, Sync::No));
    for (const auto& [id, pem] : certificates) {
        const auto known = certificates_.find(id);
        if (known != certificates_.end() && known->second == pem) continue;
        TRY_OK(write_file_atomic(certificate_path(options_.folder, id), pem, 0600, Sync::No));
    }
    return {};
}

// What it does not know yet.
Result<> Nginx::tell(const Endpoints& endpoints) {
    Endpoints changed;
    for (const auto& [name, servers] : endpoints) {
        if (endpoints_) {
            const auto known = endpoints_->find(name);
            if (known != endpoints_->end() && known->second == servers) continue;
        }
        changed[name] = servers;
    }
    if (changed.empty()) return {};
    auto known = std::exchange(endpoints_, std::nullopt).value_or(Endpoints{});
    TRY_OK(tell_endpoints(options_.folder, changed));
    for (auto& [name, servers] : changed) known[name] = std::move(servers);
    endpoints_ = std::move(known);
    return {};
}

Result<> Nginx::change_endpoints(const Endpoints& changed) {
    if (!running() || !endpoints_)
        return fail(Reason::ServiceUnavailable, "nginx is to be told all");
    return tell(changed);
}

Result<> Nginx::test(const std::string& file, Applied& applied) {
    TRY(const auto tested,
        run_command({options_.program, "-t", "-q", "-p", options_.folder, "-c", file},
                    {.environment = {}, .input = {}, .timeout = command_time}));
    if (tested.exit_code == 0) return {};
    applied.refused_line = line_of(tested.error, file);
    applied.refusal = trim(tested.error);
    return {};
}

Result<Applied> Nginx::apply(const Conf& conf,
                             const std::map<std::string, std::string>& certificates,
                             const Endpoints& endpoints) {
    const bool runs = running();
    Applied applied;
    if (runs) listeners_.follow(conf.listening, following_->pid);
    if (runs && conf.text == text_ && certificates == certificates_) {
        TRY_OK(tell(endpoints));
        return applied;
    }
    TRY_OK(write_files(certificates));
    const auto path = options_.folder + "/nginx.conf", fresh = path + ".new";
    TRY_OK(write_file_atomic(fresh, conf.text, 0644, Sync::No));
    TRY_OK(test(fresh, applied));
    if (!applied.refusal.empty()) return applied;
    TRY_OK(write_file_atomic(path, conf.text, 0644, Sync::No));
    // The file for its start and for what the reload reads, the socket for now.
    TRY_OK(write_file_atomic(endpoints_file(options_.folder), endpoints_text(endpoints), 0644,
                             Sync::No));
    if (runs) TRY_OK(tell(endpoints));
    if (!runs) {
        TRY_OK(start(conf.listening));
        endpoints_ = endpoints;
    } else {
        drain_connections(options_.folder);
        if (::kill(following_->pid, SIGHUP) != 0) return fail_errno("reload nginx", errno);
    }
    for (const auto& [id, pem] : certificates_)
        if (!certificates.contains(id)) ::unlink(certificate_path(options_.folder, id).c_str());
    text_ = conf.text;
    certificates_ = certificates;
    applied.reloaded = true;
    return applied;
}

bool Nginx::end_leftovers() {
    const auto pids = processes_of(options_.log);
    for (const auto pid : pids) ::kill(pid, SIGQUIT);
    return !pids.empty();
}

// With its sockets given to it, it stays in front and is ours; else it goes behind by itself.
Result<pid_t> Nginx::start_once() {
    const std::vector<std::string> words{options_.program, "-p", options_.folder, "-c",
                                         options_.folder + "/nginx.conf"};
    if (!listeners_.empty()) return listeners_.run(words);
    TRY(const auto started,
        run_command(words, {.environment = {}, .input = {}, .timeout = command_time}));
    if (started.exit_code == 0) return 0;
    return fail(Reason::ServiceUnavailable, concat("nginx does not start: ", trim(started.error)));
}

Result<> Nginx::start(const Listening& listening) {
    end_leftovers();
    ::unlink(control_socket(options_.folder).c_str());
    listeners_.open(listening);
    const auto pause = [this] {
        executor_.make_waiter()->wait_until(executor_.clock().monotonic() + start_pause);
    };
    Result<pid_t> started = 0;
    for (int i = 0; i < start_tries; ++i) {
        started = start_once();
        if (started) break;
        pause();
    }
    if (!started) return std::unexpected{started.error()};
    // The pid file comes a moment later: on a busy machine a long one.
    const auto until = executor_.clock().monotonic() + command_time;
    for (int i = 0; executor_.clock().monotonic() < until; ++i) {
        if (*started == 0 && i >= start_tries) break;   // it went behind: it was there already
        const auto pid = master_of(options_);
        if (pid && (*started == 0 || *pid == *started)) {
            follow(*pid, *started != 0);
            log_info("nginx runs", {{"pid", *pid}});
            return {};
        }
        if (*started != 0 && ::waitpid(*started, nullptr, WNOHANG) == *started) break;
        pause();
    }
    return fail(Reason::ServiceUnavailable, "nginx ended at once; see its log");
}

void Nginx::stop() {
    if (following_) {
        const auto pid = following_->pid;
        unfollow();
        if (is_nginx(pid)) ::kill(pid, SIGQUIT);
    }
    listeners_.close();
    text_.clear();
    endpoints_.reset();
}

bool end_nginx(const std::string& folder, const std::string& log) {
    const auto pids = processes_of(log);
    for (const auto signal : {SIGTERM, SIGKILL}) {
        for (const auto pid : processes_of(log))
            // The master first: it takes its workers along.
            if (signal == SIGKILL || std::ranges::find(pids, parent_of(pid)) == pids.end())
                ::kill(pid, signal);
        const auto until = os_clock().monotonic() + end_time;
        while (!processes_of(log).empty() && os_clock().monotonic() < until) ::poll(nullptr, 0, 20);
    }
    static_cast<void>(remove_tree(folder));
    return !pids.empty();
}

}   // namespace skiff::ingress
