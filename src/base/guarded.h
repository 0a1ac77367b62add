// A value that can only be reached under its own mutex.
#pragma once

#include <mutex>
#include <utility>

namespace skiff {

template <class T>
class Guarded {
  public:
    template <class... Args>
    explicit Guarded(Args&&... args) : value_{std::forward<Args>(args)...} {}

    // use([](T& value) { ... }); the reference must not leave the call.
    template <class F>
    decltype(auto) use(F&& function) {
        const std::lock_guard lock{mutex_};
        return std::forward<F>(function)(value_);
    }
    template <class F>
    decltype(auto) use(F&& function) const {
        const std::lock_guard lock{mutex_};
        return std::forward<F>(function)(value_);
    }

  private:
    mutable std::mutex mutex_;
    T value_;
};

}   // namespace skiff
