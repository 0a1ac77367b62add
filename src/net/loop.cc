#include "net/loop.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <latch>
#include <map>
#include <thread>
#include <unordered_map>
#include <vector>

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/guarded.h"

namespace skiff::net {
namespace {

constexpr int epoll_events_max = 256;

class EpollLoop;

// One registration. The loop keeps it until its callback has returned, so that a callback may
// destroy its own Watch, and finds it by slot and generation, so that one event of a batch may
// destroy the Watch that another event of the same batch is for.
struct Registration {
    int fd = -1;
    unsigned wanted = 0;
    Loop::Ready ready;
    uint32_t slot = 0;
    bool ended = false;
};

class EpollWatch final : public Loop::Watch {
  public:
    EpollWatch(EpollLoop& loop, Registration* registration)
        : loop_{loop}, registration_{registration} {}
    ~EpollWatch() override;
    EpollWatch(const EpollWatch&) = delete;
    EpollWatch& operator=(const EpollWatch&) = delete;
    void want(unsigned events) override;

  private:
    EpollLoop& loop_;
    Registration* registration_;
};

class EpollLoop final : public Loop {
  public:
    explicit EpollLoop(Clock& clock)
        : clock_{clock},
          epoll_{::epoll_create1(EPOLL_CLOEXEC)},
          bell_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)} {
        ASSERT(epoll_ && bell_);   // out of descriptors at start: nothing can work
        epoll_event event{.events = EPOLLIN, .data = {.u64 = bell_key}};
        ASSERT(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, bell_.get(), &event) == 0);
    }

    // What tasks, timers and callbacks hold may itself own watches and timers of this loop: it is
    // let go while the loop still works.
    ~EpollLoop() override {
        ASSERT(in_loop());
        while (true) {
            const auto tasks =
                inbox_.use([](Inbox& inbox) { return std::exchange(inbox.tasks, {}); });
            auto timers = std::move(timers_);
            timers_.clear();
            if (tasks.empty() && timers.empty() && !drop_one_callback()) break;
        }
    }

    void run() override {
        ASSERT(runner_.load() == std::thread::id{});
        runner_ = std::this_thread::get_id();
        block_sigpipe();
        while (true) {
            const bool stopping = run_tasks();
            run_timers();
            if (stopping) break;
            poll(next_timeout_ms());
        }
        runner_ = std::thread::id{};
    }

    void stop() override {
        inbox_.use([](Inbox& inbox) { inbox.stopping = true; });
        ring();
    }

    void post(Task task) override {
        const bool first = inbox_.use([&](Inbox& inbox) {
            inbox.tasks.push_back(std::move(task));
            return inbox.tasks.size() == 1;
        });
        // The loop looks into the inbox before it sleeps, so its own thread needs no bell.
        if (first && runner_.load() != std::this_thread::get_id()) ring();
    }

    bool in_loop() const override {
        const auto runner = runner_.load();
        return runner == std::thread::id{} || runner == std::this_thread::get_id();
    }

    std::unique_ptr<Watch> watch(int fd, unsigned events, Ready ready) override {
        ASSERT(in_loop());
        uint32_t slot = 0;
        if (free_slots_.empty()) {
            slot = static_cast<uint32_t>(slots_.size());
            slots_.emplace_back();
        } else {
            slot = free_slots_.back();
            free_slots_.pop_back();
        }
        auto registration = std::make_unique<Registration>();
        registration->fd = fd;
        registration->ready = std::move(ready);
        registration->slot = slot;
        auto* raw = registration.get();
        slots_[slot].registration = std::move(registration);
        auto made = std::make_unique<EpollWatch>(*this, raw);
        made->want(events);
        return made;
    }

    TimerId after(Duration delay, Task task) override {
        ASSERT(in_loop());
        const auto id = ++last_timer_;
        const auto due = clock_.monotonic() + std::max(delay, Duration::zero());
        timers_.emplace(TimerKey{due, id}, std::move(task));
        timer_times_.emplace(id, due);
        return TimerId{id};
    }

    bool cancel(TimerId timer) override {
        ASSERT(in_loop());
        const auto id = static_cast<uint64_t>(timer);
        const auto found = timer_times_.find(id);
        if (found == timer_times_.end()) return false;
        const TimerKey key{found->second, id};
        timer_times_.erase(found);
        auto node = timers_.extract(key);   // its destruction may re-enter the loop
        return !node.empty();
    }

    Clock& clock() override { return clock_; }

    void set_wanted(Registration& registration, unsigned events) {
        if (registration.wanted == events) return;
        epoll_event event{};
        if (events & Readable) event.events |= EPOLLIN;
        if (events & Writable) event.events |= EPOLLOUT;
        if (events & HangUp) event.events |= EPOLLRDHUP;
        event.data.u64 = key_of(registration.slot);
        // Nothing wanted means out of the set: epoll would report errors and hang-ups regardless.
        const int operation = registration.wanted == 0 ? EPOLL_CTL_ADD
                              : events == 0            ? EPOLL_CTL_DEL
                                                       : EPOLL_CTL_MOD;
        registration.wanted = events;
        const int result = ::epoll_ctl(epoll_.get(), operation, registration.fd, &event);
        ASSERT(result == 0 || operation == EPOLL_CTL_DEL || errno == ENOSPC || errno == ENOMEM);
    }

    void end(Registration* registration) {
        ASSERT(in_loop());
        set_wanted(*registration, 0);
        registration->ended = true;
        if (registration == running_) return;   // after its callback
        release(registration->slot);
    }

  private:
    using TimerKey = std::pair<MonoTime, uint64_t>;
    struct Slot {
        std::unique_ptr<Registration> registration;
        uint32_t generation = 0;
    };
    struct Inbox {
        std::vector<Task> tasks;
        bool stopping = false;
    };
    static constexpr uint64_t bell_key = UINT64_MAX;

    uint64_t key_of(uint32_t slot) const { return uint64_t{slots_[slot].generation} << 32 | slot; }

    void release(uint32_t slot) {
        auto gone = std::move(slots_[slot].registration);
        ++slots_[slot].generation;
        free_slots_.push_back(slot);
        // `gone` and what its callback holds die last: that may end further registrations.
    }

    bool drop_one_callback() {
        for (auto& slot : slots_) {
            if (!slot.registration || !slot.registration->ready) continue;
            const auto dropped = std::move(slot.registration->ready);
            slot.registration->ready = nullptr;
            return true;
        }
        return false;
    }

    // Writes to a socket whose peer is gone answer EPIPE; OpenSSL gives no way to say MSG_NOSIGNAL.
    static void block_sigpipe() {
        sigset_t set;
        ::sigemptyset(&set);
        ::sigaddset(&set, SIGPIPE);
        ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    }

    void ring() {
        const uint64_t one = 1;
        [[maybe_unused]] const auto written = ::write(bell_.get(), &one, sizeof one);
    }

    bool run_tasks() {
        bool stopping = false;
        std::vector<Task> tasks = inbox_.use([&](Inbox& inbox) {
            stopping = inbox.stopping;
            return std::exchange(inbox.tasks, {});
        });
        for (auto& task : tasks) {
            task();
            task = nullptr;
        }
        return stopping;
    }

    void run_timers() {
        if (timers_.empty()) return;
        const auto now = clock_.monotonic();
        const auto last = last_timer_;   // timers set meanwhile wait for the next round
        while (!timers_.empty()) {
            const auto first = timers_.begin();
            if (first->first.first > now || first->first.second > last) break;
            auto node = timers_.extract(first);
            timer_times_.erase(node.key().second);
            node.mapped()();
        }
    }

    int next_timeout_ms() {
        const bool busy =
            inbox_.use([](Inbox& inbox) { return !inbox.tasks.empty() || inbox.stopping; });
        if (busy) return 0;
        if (timers_.empty()) return -1;
        const auto wait = timers_.begin()->first.first - clock_.monotonic();
        if (wait <= Duration::zero()) return 0;
        const auto rounded = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
        return static_cast<int>(std::min<int64_t>(rounded, 60 * 60 * 1000));
    }

    void poll(int timeout_ms) {
        epoll_event events[epoll_events_max];
        const int count = ::epoll_wait(epoll_.get(), events, epoll_events_max, timeout_ms);
        ASSERT(count >= 0 || errno == EINTR);
        for (int i = 0; i < count; ++i) {
            if (events[i].data.u64 == bell_key) {
                uint64_t rings = 0;
                [[maybe_unused]] const auto got = ::read(bell_.get(), &rings, sizeof rings);
                continue;
            }
            dispatch(events[i].data.u64, events[i].events);
        }
    }

    void dispatch(uint64_t key, uint32_t seen) {
        const auto slot = static_cast<uint32_t>(key);
        if (slot >= slots_.size() || key_of(slot) != key) return;   // ended in this batch
        auto* registration = slots_[slot].registration.get();
        if (!registration || registration->wanted == 0 || !registration->ready) return;
        unsigned events = 0;
        if (seen & EPOLLIN) events |= Readable;
        if (seen & EPOLLOUT) events |= Writable;
        if (seen & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) events |= HangUp;
        running_ = registration;
        registration->ready(events);
        running_ = nullptr;
        if (registration->ended) release(slot);
    }

    Clock& clock_;
    Fd epoll_;
    Fd bell_;
    std::atomic<std::thread::id> runner_{};
    Guarded<Inbox> inbox_;
    std::vector<Slot> slots_;
    std::vector<uint32_t> free_slots_;
    Registration* running_ = nullptr;
    std::map<TimerKey, Task> timers_;
    std::unordered_map<uint64_t, MonoTime> timer_times_;
    uint64_t last_timer_ = 0;
};

EpollWatch::~EpollWatch() { loop_.end(registration_); }
void EpollWatch::want(unsigned events) { loop_.set_wanted(*registration_, events); }

}   // namespace

std::unique_ptr<Loop> make_loop(Clock& clock) { return std::make_unique<EpollLoop>(clock); }

struct LoopThread::Thread {
    std::thread thread;
};

LoopThread::LoopThread(Clock& clock, const char* name)
    : loop_{make_loop(clock)}, thread_{std::make_unique<Thread>()} {
    std::latch running{1};
    // `in_loop` is about the thread that runs it, so the constructor returns once one does.
    loop_->post([&running] { running.count_down(); });
    thread_->thread = std::thread{[loop = loop_.get()] { loop->run(); }};
    ::pthread_setname_np(thread_->thread.native_handle(), name);
    running.wait();
}

LoopThread::~LoopThread() {
    loop_->stop();
    thread_->thread.join();
}

}   // namespace skiff::net
