// What the store's tests share: one thread that runs tasks when told to, a clock that stands still,
// a directory that goes away, and short words for transactions.
#pragma once

#include <cstdlib>
#include <deque>
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "base/executor.h"
#include "base/os.h"
#include "base/text.h"
#include "store/engine.h"
#include "store/store.h"

namespace skiff::store {

class StandingClock final : public Clock {
  public:
    WallTime now() const override { return wall_; }
    MonoTime monotonic() const override { return mono_; }
    void advance(Duration by) {
        wall_ += by;
        mono_ += by;
    }
    void set_back(Duration by) { wall_ -= by; }

  private:
    WallTime wall_{std::chrono::hours{500'000}};
    MonoTime mono_{std::chrono::hours{1}};
};

// Runs nothing until run(); a wait runs what is there until it is notified.
class StepExecutor final : public Executor {
  public:
    void post(Task task) override { tasks_.push_back(std::move(task)); }
    TimerId after(Duration delay, Task task) override {
        const TimerId id{++timers_made_};
        timers_.emplace(std::pair{clock_.monotonic() + delay, timers_made_}, std::move(task));
        return id;
    }
    bool cancel(TimerId id) override {
        return std::erase_if(timers_, [&](const auto& timer) {
                   return timer.first.second == static_cast<uint64_t>(id);
               }) > 0;
    }
    std::shared_ptr<Waiter> make_waiter() override { return std::make_shared<StepWaiter>(*this); }
    StandingClock& clock() override { return clock_; }

    bool step() {
        if (tasks_.empty()) return false;
        Task task = std::move(tasks_.front());
        tasks_.pop_front();
        task();
        return true;
    }
    void run() {
        while (step()) {}
    }
    // Lets time pass, and what is due then run.
    void advance(Duration by) {
        const MonoTime end = clock_.monotonic() + by;
        while (!timers_.empty() && timers_.begin()->first.first <= end) {
            auto timer = timers_.extract(timers_.begin());
            if (timer.key().first > clock_.monotonic())
                clock_.advance(timer.key().first - clock_.monotonic());
            timer.mapped()();
            run();
        }
        clock_.advance(end - clock_.monotonic());
        run();
    }
    size_t timers() const { return timers_.size(); }

  private:
    class StepWaiter final : public Waiter {
      public:
        explicit StepWaiter(StepExecutor& executor) : executor_{executor} {}
        void notify() override { notified_ = true; }
        bool wait_until(std::optional<MonoTime>) override {
            while (!notified_ && executor_.step()) {}
            if (!notified_) ADD_FAILURE() << "would wait for ever";
            return notified_;
        }

      private:
        StepExecutor& executor_;
        bool notified_ = false;
    };
    StandingClock clock_;
    std::deque<Task> tasks_;
    std::map<std::pair<MonoTime, uint64_t>, Task> timers_;
    uint64_t timers_made_ = 0;
};

class TempDirectory {
  public:
    TempDirectory() {
        std::string name = ::testing::TempDir() + "skiff-store-XXXXXX";
        const char* made = ::mkdtemp(name.data());
        EXPECT_NE(made, nullptr);
        path_ = name;
    }
    ~TempDirectory() { EXPECT_TRUE(remove_tree(path_).has_value()); }
    TempDirectory(const TempDirectory&) = delete;
    TempDirectory& operator=(const TempDirectory&) = delete;
    std::string operator/(std::string_view name) const { return concat(path_, "/", name); }
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

inline constexpr std::string_view object_start = R"({"metadata":{)";

// {"metadata":{"name":"…"},"data":"…"}
inline Write put_write(Key key, std::string_view data) {
    Write write{.key = std::move(key), .splice_at = static_cast<uint32_t>(object_start.size())};
    write.text = concat(object_start, R"("name":")", write.key.name, R"("},"data":")", data, "\"}");
    return write;
}

inline Transaction put(Key key, std::string_view data = "x") {
    Transaction transaction;
    transaction.writes.push_back(put_write(std::move(key), data));
    return transaction;
}
inline Transaction create(Key key, std::string_view data = "x") {
    auto transaction = put(key, data);
    transaction.preconditions.push_back({Precondition::Must::BeAbsent, key, {}});
    return transaction;
}
inline Transaction update(Key key, Revision at, std::string_view data = "x") {
    auto transaction = put(key, data);
    transaction.preconditions.push_back({Precondition::Must::BeAt, key, at});
    return transaction;
}
inline Transaction removal(Key key) {
    Transaction transaction;
    transaction.preconditions.push_back({Precondition::Must::Exist, key, {}});
    transaction.writes.push_back({.key = std::move(key)});
    return transaction;
}
inline Transaction relaxed(Transaction transaction) {
    transaction.durability = Durability::Relaxed;
    return transaction;
}

inline std::string data_of(const ObjectPtr& object) {
    if (!object) return "(none)";
    const auto text = object->text.view();
    const auto start = text.find(R"("data":")") + 8;
    return std::string{text.substr(start, text.find('"', start) - start)};
}

}   // namespace skiff::store
