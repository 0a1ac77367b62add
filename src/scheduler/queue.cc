#include "scheduler/queue.h"

#include <algorithm>

namespace skiff::scheduler {
namespace {

constexpr auto backoff_first = std::chrono::seconds{1};
constexpr auto backoff_max = std::chrono::seconds{10};

Duration backoff(unsigned tries) {
    Duration delay = backoff_first;
    for (unsigned i = 1; i < tries && delay < backoff_max; ++i) delay *= 2;
    return std::min<Duration>(delay, backoff_max);
}

int32_t priority_of(const view::Pod& pod) { return pod.spec.priority.value_or(0); }

}   // namespace

void PodQueue::put(const PodPtr& pod, MonoTime now) {
    auto& entry = entries_[pod->metadata.uid];
    if (!entry.pod) entry = {.pod = pod, .order = next_order_++, .tries = 0, .ready_at = now};
    entry.pod = pod;
}

void PodQueue::remove(const std::string& uid) { entries_.erase(uid); }

PodPtr PodQueue::take(MonoTime now) {
    Entry* best = nullptr;
    for (auto& [uid, entry] : entries_) {
        if (entry.parked || entry.taken || entry.ready_at > now) continue;
        const auto before = [&] {
            const auto left = priority_of(*entry.pod);
            const auto right = priority_of(*best->pod);
            return left != right ? left > right : entry.order < best->order;
        };
        if (!best || before()) best = &entry;
    }
    if (!best) return nullptr;
    best->taken = true;
    return best->pod;
}

void PodQueue::park(const PodPtr& pod, MonoTime now) {
    const auto found = entries_.find(pod->metadata.uid);
    if (found == entries_.end()) return;
    auto& entry = found->second;
    entry.taken = false;
    entry.parked = true;
    entry.ready_at = now + backoff(++entry.tries);
}

void PodQueue::wake(MonoTime) {
    for (auto& [uid, entry] : entries_) entry.parked = false;
}

void PodQueue::wake_if(const std::function<bool(const view::Pod& pod)>& concerned) {
    for (auto& [uid, entry] : entries_)
        if (entry.parked && concerned(*entry.pod)) entry.parked = false;
}

void PodQueue::wake_one(const std::string& uid) {
    const auto found = entries_.find(uid);
    if (found != entries_.end()) found->second.parked = false;
}

std::optional<MonoTime> PodQueue::next_ready() const {
    std::optional<MonoTime> first;
    for (const auto& [uid, entry] : entries_)
        if (!entry.parked && !entry.taken && (!first || entry.ready_at < *first))
            first = entry.ready_at;
    return first;
}

}   // namespace skiff::scheduler
