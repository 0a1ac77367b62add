#include "agent/log_stream.h"

#include <sys/inotify.h>
#include <unistd.h>

#include "base/os.h"
#include "base/text.h"

namespace skiff::agent {

namespace {

// The runtime goes on writing to a rotated file until it has opened the new one, which is a
// matter of milliseconds; then the old one is read to its end once more.
constexpr Duration rotation_settles = 100ms;

class LogStream final : public net::BodySource {
  public:
    LogStream(net::Loop& loop, LogFollowers& followers, LogStreamFacts facts)
        : loop_{loop}, facts_{std::move(facts)}, reader_{facts_.path, facts_.options} {
        if (!facts_.options.follow) return;
        registration_ = std::make_unique<LogFollowers::Registration>(
            followers, facts_.container_id, [state = wake_] { state->call(); });
    }
    ~LogStream() override {
        if (timer_ != TimerId::None) loop_.cancel(timer_);
        wake_->set({});
    }

    void on_wake(std::function<void()> wake) override {
        wake_->set(std::move(wake));
        if (facts_.options.follow) watch_files();
    }

    State pull(std::vector<Slice>& out, size_t want) override {
        std::string text;
        const bool running = !facts_.options.follow || facts_.running();   // before reading the end
        for (;;) {
            const auto state = reader_.read(text, want);
            if (state == LogReader::State::LimitReached) return finish(out, text);
            if (state == LogReader::State::More) break;
            if (!facts_.options.follow) return finish(out, text);
            if (reader_.rotated() && rotation_done()) {
                if (reader_.next_file()) continue;
            }
            if (!text.empty()) break;
            if (!running && !reader_.rotated()) return State::End;
            return State::Wait;
        }
        out.emplace_back(Bytes{text});
        return State::More;
    }

    bool may_end_early() const override { return facts_.options.follow; }

  private:
    // Shared with the registration, which may call from any thread and after our end.
    struct Wake {
        void set(std::function<void()> call_given) {
            const std::lock_guard lock{mutex};
            function = std::move(call_given);
        }
        void call() {
            std::function<void()> now;
            {
                const std::lock_guard lock{mutex};
                now = function;
            }
            if (now) now();
        }
        std::mutex mutex;
        std::function<void()> function;
    };

    static State finish(std::vector<Slice>& out, const std::string& text) {
        if (!text.empty()) out.emplace_back(Bytes{text});
        return State::End;
    }

    bool rotation_done() {
        const MonoTime now = loop_.clock().monotonic();
        if (!rotation_seen_) {
            rotation_seen_ = now;
            timer_ = loop_.after(rotation_settles, [this] {
                timer_ = TimerId::None;
                wake_->call();
            });
        }
        if (now - *rotation_seen_ < rotation_settles) return false;
        rotation_seen_.reset();
        return true;
    }

    // The folder tells of growth, renames and the new file alike.
    void watch_files() {
        inotify_ = Fd{::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
        if (!inotify_) return;
        const std::string folder = facts_.path.substr(0, facts_.path.rfind('/'));
        ::inotify_add_watch(inotify_.get(), folder.c_str(),
                            IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE);
        watch_ = loop_.watch(inotify_.get(), net::Loop::Readable, [this](unsigned) {
            char events[4096];
            while (::read(inotify_.get(), events, sizeof events) > 0) {}
            wake_->call();
        });
    }

    net::Loop& loop_;
    LogStreamFacts facts_;
    LogReader reader_;
    std::shared_ptr<Wake> wake_ = std::make_shared<Wake>();
    std::unique_ptr<LogFollowers::Registration> registration_;
    Fd inotify_;
    std::unique_ptr<net::Loop::Watch> watch_;
    std::optional<MonoTime> rotation_seen_;
    TimerId timer_ = TimerId::None;
};

}   // namespace

LogFollowers::Registration::Registration(LogFollowers& followers, std::string container_id,
                                         std::function<void()> ended)
    : followers_{followers}, container_id_{std::move(container_id)} {
    const std::lock_guard lock{followers_.mutex_};
    key_ = ++followers_.next_;
    followers_.all_.emplace(
        container_id_, std::pair{key_, std::make_shared<std::function<void()>>(std::move(ended))});
}

LogFollowers::Registration::~Registration() {
    const std::lock_guard lock{followers_.mutex_};
    const auto [first, last] = followers_.all_.equal_range(container_id_);
    for (auto it = first; it != last; ++it) {
        if (it->second.first != key_) continue;
        followers_.all_.erase(it);
        return;
    }
}

void LogFollowers::ended(const std::string& container_id) {
    std::vector<std::shared_ptr<std::function<void()>>> told;
    {
        const std::lock_guard lock{mutex_};
        const auto [first, last] = all_.equal_range(container_id);
        for (auto it = first; it != last; ++it) told.push_back(it->second.second);
    }
    for (const auto& call : told) (*call)();
}

std::unique_ptr<net::BodySource> stream_log(net::Loop& loop, LogFollowers& followers,
                                            LogStreamFacts facts) {
    return std::make_unique<LogStream>(loop, followers, std::move(facts));
}

}   // namespace skiff::agent
