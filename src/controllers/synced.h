// Waiting for the first lists of several informers.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "client/informer.h"

namespace skiff::controllers {

// Calls once all of them are in sync, on the strand of the last.
template <class... Informers>
void when_all_synced(std::function<void()> call, Informers&... informers) {
    auto left = std::make_shared<std::atomic<size_t>>(sizeof...(informers));
    const auto one = [left, call = std::move(call)] {
        if (left->fetch_sub(1) == 1) call();
    };
    (informers.on_synced(one), ...);
}

}   // namespace skiff::controllers
