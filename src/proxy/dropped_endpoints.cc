#include "proxy/dropped_endpoints.h"

namespace skiff::proxy {

namespace {

// The pods that the slice gives traffic: those that end may still get some where there is no
// other, but they are known to end, and no better moment comes.
std::set<std::string> pods_of(const view::EndpointSlice& slice) {
    std::set<std::string> uids;
    for (const auto& endpoint : slice.endpoints) {
        if (!endpoint.targetRef || endpoint.targetRef->kind != "Pod") continue;
        if (!endpoint.conditions.ready.value_or(true) ||
            endpoint.conditions.terminating.value_or(false))
            continue;
        uids.insert(endpoint.targetRef->uid);
    }
    return uids;
}

}   // namespace

void DroppedEndpoints::in_force(const client::ObjectKey& slice, const view::EndpointSlice* now) {
    std::unique_lock lock{mutex_};
    auto uids = now ? pods_of(*now) : std::set<std::string>{};
    const auto known = by_slice_.find(slice);
    for (const auto& uid : uids)
        if (known == by_slice_.end() || !known->second.contains(uid)) ++listed_[uid];
    bool fewer = false;
    if (known != by_slice_.end()) {
        for (const auto& uid : known->second) {
            if (uids.contains(uid) || --listed_[uid] > 0) continue;
            listed_.erase(uid);
            fewer = true;
        }
    }
    if (uids.empty())
        by_slice_.erase(slice);
    else
        by_slice_[slice] = std::move(uids);
    if (fewer) wake(std::move(lock));
}

void DroppedEndpoints::begun() {
    std::unique_lock lock{mutex_};
    begun_ = true;
    wake(std::move(lock));
}

void DroppedEndpoints::wake(std::unique_lock<std::mutex> lock) {
    const auto waiting = std::exchange(waiting_, {});
    lock.unlock();
    for (const auto& waiter : waiting) waiter->notify();
}

void DroppedEndpoints::wait(const std::string& pod_uid, Duration timeout) {
    const MonoTime deadline = executor_.clock().monotonic() + timeout;
    for (;;) {
        std::shared_ptr<Waiter> waiter;
        {
            const std::lock_guard lock{mutex_};
            if (settled(pod_uid)) return;
            waiter = executor_.make_waiter();
            waiting_.push_back(waiter);
        }
        if (!waiter->wait_until(deadline)) break;
    }
    const std::lock_guard lock{mutex_};
    std::erase_if(waiting_, [](const auto& waiter) { return waiter.use_count() == 1; });
}

}   // namespace skiff::proxy
