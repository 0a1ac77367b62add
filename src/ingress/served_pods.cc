#include "ingress/served_pods.h"

#include <utility>

namespace skiff::ingress {
namespace {

constexpr Duration past_kept = std::chrono::seconds{10};

}   // namespace

void ServedPods::in_force(Servers pods) {
    std::unique_lock lock{mutex_};
    const MonoTime now = executor_.clock().monotonic();
    std::erase_if(past_, [&](const auto& one) {
        return now - one.second.since > past_kept || pods.contains(one.first);
    });
    for (auto& [uid, servers] : now_)
        if (!pods.contains(uid)) past_[uid] = {std::move(servers), now};
    now_ = std::move(pods);
    begun_ = true;
    const auto waiting = std::exchange(waiting_, {});
    lock.unlock();
    for (const auto& waiter : waiting) waiter->notify();
}

std::vector<std::string> ServedPods::wait_until_dropped(const std::string& uid, Duration timeout) {
    const MonoTime deadline = executor_.clock().monotonic() + timeout;
    bool waits = true;
    for (;;) {
        std::shared_ptr<Waiter> waiter;
        {
            const std::lock_guard lock{mutex_};
            const auto now = now_.find(uid);
            if (!waits || (begun_ && now == now_.end())) {
                if (now != now_.end()) return now->second;
                const auto past = past_.find(uid);
                return past == past_.end() ? std::vector<std::string>{} : past->second.servers;
            }
            waiter = executor_.make_waiter();
            waiting_.push_back(waiter);
        }
        waits = waiter->wait_until(deadline);
        const std::lock_guard lock{mutex_};
        std::erase(waiting_, waiter);
    }
}

}   // namespace skiff::ingress
