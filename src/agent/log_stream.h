// A container's log as the body of an answer: pulled, and when following it sleeps until the file
// grows, is rotated away, or the container has ended.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "agent/log_reader.h"
#include "net/http.h"
#include "net/loop.h"

namespace skiff::agent {

// Who follows which container's log: told when the container ends.
class LogFollowers {
  public:
    class Registration {
      public:
        Registration(LogFollowers& followers, std::string container_id,
                     std::function<void()> ended);
        ~Registration();

      private:
        LogFollowers& followers_;
        std::string container_id_;
        uint64_t key_;
    };
    void ended(const std::string& container_id);   // any thread

  private:
    std::mutex mutex_;
    uint64_t next_ = 0;
    std::multimap<std::string, std::pair<uint64_t, std::shared_ptr<std::function<void()>>>> all_;
};

struct LogStreamFacts {
    std::string container_id;
    std::string path;
    LogOptions options;
    std::function<bool()> running;   // whether the container still runs; any thread
};

// On the connection's loop.
std::unique_ptr<net::BodySource> stream_log(net::Loop& loop, LogFollowers& followers,
                                            LogStreamFacts facts);

}   // namespace skiff::agent
