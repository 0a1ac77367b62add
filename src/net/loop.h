// The event loop: one thread that owns sockets and timers. Everything registered with a loop is
// touched by that thread only; `post` is the one call other threads may make. A loop outlives
// everything that may post to it; what its tasks, timers and callbacks hold is freed with it.
#pragma once

#include <functional>
#include <memory>

#include "base/executor.h"
#include "base/os.h"
#include "base/time.h"

namespace skiff::net {

class Loop {
  public:
    enum Events : unsigned { Readable = 1, Writable = 2, HangUp = 4 };   // HangUp: also on error
    using Ready = std::function<void(unsigned events)>;

    // A registration; destroying it ends it (loop thread only). The fd stays the caller's.
    class Watch {
      public:
        virtual ~Watch() = default;
        // Level-triggered. 0 pauses wholly: not even HangUp is reported. HangUp when wanted tells
        // that the peer shut its side; a dead connection is reported whatever is wanted but 0.
        virtual void want(unsigned events) = 0;
    };

    virtual ~Loop() = default;
    virtual void run() = 0;             // on the loop's thread, until stop()
    virtual void stop() = 0;            // any thread; what was posted before it still runs
    virtual void post(Task task) = 0;   // any thread; runs on the loop, in order of posting
    virtual bool in_loop() const = 0;   // this thread runs it, or no thread does
    virtual std::unique_ptr<Watch> watch(int fd, unsigned events, Ready ready) = 0;
    virtual TimerId after(Duration delay, Task task) = 0;   // loop thread only
    virtual bool cancel(TimerId id) = 0;
    virtual Clock& clock() = 0;
};

// epoll and eventfd; sleeps without a tick when nothing is due.
std::unique_ptr<Loop> make_loop(Clock& clock);

// A loop on a thread of its own, stopped and joined by the destructor.
class LoopThread {
  public:
    LoopThread(Clock& clock, const char* name);
    ~LoopThread();
    Loop& loop() { return *loop_; }

  private:
    std::unique_ptr<Loop> loop_;
    struct Thread;
    std::unique_ptr<Thread> thread_;
};

}   // namespace skiff::net
