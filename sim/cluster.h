// The server's process in the world, and the connections to it. It may die at any time; what was
// under way then gets no answer, and the next one opens the same disk.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "apiserver/api_server.h"
#include "controllers/controllers.h"
#include "scheduler/scheduler.h"
#include "sim/engines.h"
#include "sim/record.h"
#include "sim/world.h"

namespace skiff::sim {

struct Faults {
    double lost_request = 0;
    double lost_answer = 0;
    double slow = 0;
    double slow_watch = 0;      // an event and all behind it
    double dropped_watch = 0;   // at an event
    double expired_watch = 0;   // at its begin
};

inline constexpr std::string_view root_ca = "the root's certificate";

class Cluster;

// One user's connection; the faults are the cluster's at the time. `own` runs the answers.
class FaultTransport final : public client::Transport {
  public:
    FaultTransport(Cluster& cluster, Executor& own, apiserver::User user)
        : cluster_{cluster}, own_{own}, user_{std::move(user)} {}
    ~FaultTransport() override;   // what is under way gets no answer any more
    void send(client::ApiRequest request,
              std::move_only_function<void(Result<client::ApiResponse>)> done) override;
    std::unique_ptr<Stream> watch(client::ApiRequest request,
                                  std::shared_ptr<client::WatchSink> sink) override;

  private:
    Cluster& cluster_;
    Executor& own_;
    const apiserver::User user_;
};

class Cluster {
  public:
    Cluster(World& world, Disk::Kind disk);
    ~Cluster();

    void start();
    void crash();                          // waits until nothing of it is left
    void wait_for_death(MonoTime until);   // of the server, by its disk
    bool dead() const { return disk_.dead(); }
    // Every watch has told all there is.
    void check_watches_are_complete();

    World& world() { return world_; }
    Record& record() { return record_; }
    Disk& disk() { return disk_; }
    Faults faults;

  private:
    friend class FaultTransport;
    friend class FaultStream;
    struct Server {
        explicit Server(World& world) : process{world} {}
        Process process;
        std::unique_ptr<store::Store> store;
        std::unique_ptr<apiserver::ApiServer> api;
        std::map<std::string, std::unique_ptr<client::Transport>, std::less<>> transports;
        std::unique_ptr<client::Transport> scheduler_transport;
        std::unique_ptr<controllers::Controllers> controllers;
        std::unique_ptr<scheduler::Scheduler> scheduler;
        client::Transport& as(const apiserver::User& user);
    };
    struct Under {   // a call under way
        const FaultTransport* of;
        Executor& own;
        std::move_only_function<void(Result<client::ApiResponse>)> done;
        uint64_t number = 0;
        std::string what;
        bool writes = false;
    };
    struct ByNumber {
        bool operator()(const auto& left, const auto& right) const {
            return left->number < right->number;
        }
    };
    void answer(const std::shared_ptr<Under>& call, Result<client::ApiResponse> result,
                Duration delay = {});
    void check_answer(const Under& call, const Result<client::ApiResponse>& result);
    Duration delay();

    World& world_;
    Record record_;
    Disk disk_;
    std::unique_ptr<Server> server_;
    std::set<std::shared_ptr<Under>, ByNumber>
        under_way_;   // in the order they came: addresses decide nothing
    std::map<uint64_t, class FaultStream*> streams_;   // likewise
    uint64_t last_number_ = 0;
    std::shared_ptr<Waiter> death_;
};

}   // namespace skiff::sim
