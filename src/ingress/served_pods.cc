#include "ingress/served_pods.h"

#include <utility>

namespace skiff::ingress {
namespace {

constexpr Duration past_kept = std::chrono::seconds{10};

}   // namespace

std::vector<std::string> ServedPods::servers_of(const std::string& uid) const {
    std::vector<std::string> all;
    for (const auto& [service, servers] : now_.at(uid))
        all.insert(all.end(), servers.begin(), servers.end());
    return all;
}

void ServedPods::set(const client::ObjectKey& service, const PodServers& pods) {
    const MonoTime now = executor_.clock().monotonic();
    const auto before = services_.find(service);
    if (before != services_.end())
        for (const auto& [uid, servers] : before->second) {
            if (pods.contains(uid)) continue;
            auto all = servers_of(uid);
            now_[uid].erase(service);
            if (!now_[uid].empty()) continue;   // another service has it
            now_.erase(uid);
            past_[uid] = {std::move(all), now};
        }
    for (const auto& [uid, servers] : pods) now_[uid][service] = servers;
    if (pods.empty())
        services_.erase(service);
    else
        services_[service] = pods;
    std::erase_if(past_, [&](const auto& one) {
        return now - one.second.since > past_kept || now_.contains(one.first);
    });
}

void ServedPods::told(std::unique_lock<std::mutex> lock) {
    begun_ = true;
    const auto waiting = std::exchange(waiting_, {});
    lock.unlock();
    for (const auto& waiter : waiting) waiter->notify();
}

void ServedPods::in_force(const std::map<client::ObjectKey, PodServers>& pods) {
    std::unique_lock lock{mutex_};
    std::vector<client::ObjectKey> gone;
    for (const auto& [service, servers] : services_)
        if (!pods.contains(service)) gone.push_back(service);
    for (const auto& [service, servers] : pods) set(service, servers);
    for (const auto& service : gone) set(service, {});
    told(std::move(lock));
}

void ServedPods::in_force(const client::ObjectKey& service, const PodServers& pods) {
    std::unique_lock lock{mutex_};
    set(service, pods);
    told(std::move(lock));
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
                if (now != now_.end()) return servers_of(uid);
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
