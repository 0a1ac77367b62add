// Which pods nginx sends requests to: who is to end waits here until it is none of them any more.
// Any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/executor.h"
#include "client/object_key.h"
#include "ingress/service_endpoints.h"

namespace skiff::ingress {

class ServedPods {
  public:
    explicit ServedPods(Executor& executor) : executor_{executor} {}

    void in_force(const std::map<client::ObjectKey, PodServers>& pods);   // of all services
    void in_force(const client::ObjectKey& service, const PodServers& pods);
    // Where it was served from, once it is no more or the time is over. Before the first word of
    // in_force it is not known, and waited for.
    std::vector<std::string> wait_until_dropped(const std::string& uid, Duration timeout);

  private:
    void set(const client::ObjectKey& service, const PodServers& pods);
    void told(std::unique_lock<std::mutex> lock);
    std::vector<std::string> servers_of(const std::string& uid) const;

    struct Past {
        std::vector<std::string> servers;
        MonoTime since;
    };

    Executor& executor_;
    std::mutex mutex_;
    bool begun_ = false;
    std::map<client::ObjectKey, PodServers> services_;
    std::map<std::string, std::map<client::ObjectKey, std::vector<std::string>>> now_;   // by uid
    std::map<std::string, Past> past_;   // a short while after they were dropped
    std::vector<std::shared_ptr<Waiter>> waiting_;
};

}   // namespace skiff::ingress
