#include "agent/container_events.h"

#include <algorithm>

#include "agent/cri.h"
#include "agent/message.h"
#include "base/guarded.h"
#include "base/log.h"
#include "base/text.h"

namespace skiff::agent {
namespace {

constexpr Duration retry_pause_min = 50ms;
constexpr Duration retry_pause_max = 2s;
constexpr Duration marker_pause_min = 5ms;
constexpr Duration marker_pause_max = 1s;
constexpr Duration relist_pause = 1s;          // without any events, as upstream's generic PLEG
constexpr Duration cri_settle_pause = 200ms;   // GetContainerEvents does not say when it has begun

// containerd's api/services/events/v1 and api/events, v1.6. The last three are one shape for us.
struct Timestamp {
    int64_t seconds = 0;
    int32_t nanos = 0;
};
struct Any {
    std::string type_url;
    std::string value;
};
struct Envelope {
    Timestamp timestamp;
    std::string namespace_;
    std::string topic;
    Any event;
};
struct ForwardRequest {
    Envelope envelope;
};
struct SubscribeRequest {
    std::vector<std::string> filters;
};
struct TaskExit {
    std::string container_id;
    std::string id;
    uint32_t exit_status = 0;
    Timestamp exited_at;
};
struct TaskDelete {
    std::string container_id;
    uint32_t exit_status = 0;
    Timestamp exited_at;
    std::string id;
};
struct TaskOther {   // TaskStart, TaskOOM
    std::string container_id;
};

WallTime wall_time(const Timestamp& time) {
    return WallTime{std::chrono::seconds{time.seconds} + std::chrono::nanoseconds{time.nanos}};
}

// An exec's process shows up under its container with an id of its own: not our business.
bool main_process(const std::string& container_id, const std::string& id) {
    return id.empty() || id == container_id;
}

constexpr std::string_view watched_topics[] = {"/tasks/start", "/tasks/exit", "/tasks/delete",
                                               "/tasks/oom"};

}   // namespace

template <>
struct Fields<Timestamp> {
    static void visit(auto& m, auto&& field) {
        field(1, m.seconds);
        field(2, m.nanos);
    }
};
template <>
struct Fields<Any> {
    static void visit(auto& m, auto&& field) {
        field(1, m.type_url);
        field(2, m.value);
    }
};
template <>
struct Fields<Envelope> {
    static void visit(auto& m, auto&& field) {
        field(1, m.timestamp);
        field(2, m.namespace_);
        field(3, m.topic);
        field(4, m.event);
    }
};
template <>
struct Fields<ForwardRequest> {
    static void visit(auto& m, auto&& field) { field(1, m.envelope); }
};
template <>
struct Fields<SubscribeRequest> {
    static void visit(auto& m, auto&& field) { field(1, m.filters); }
};
template <>
struct Fields<TaskExit> {
    static void visit(auto& m, auto&& field) {
        field(1, m.container_id);
        field(2, m.id);
        field(4, m.exit_status);
        field(5, m.exited_at);
    }
};
template <>
struct Fields<TaskDelete> {
    static void visit(auto& m, auto&& field) {
        field(1, m.container_id);
        field(3, m.exit_status);
        field(4, m.exited_at);
        field(5, m.id);
    }
};
template <>
struct Fields<TaskOther> {
    static void visit(auto& m, auto&& field) { field(1, m.container_id); }
};

namespace {

std::optional<ContainerEvent> event_of(const Envelope& envelope) {
    using Kind = ContainerEvent::Kind;
    const auto& bytes = envelope.event.value;
    if (envelope.topic == "/tasks/exit") {
        const auto task = decoded<TaskExit>(bytes);
        if (!task || !main_process(task->container_id, task->id)) return std::nullopt;
        return ContainerEvent{Kind::Exited, task->container_id, static_cast<int>(task->exit_status),
                              wall_time(task->exited_at)};
    }
    if (envelope.topic == "/tasks/delete") {
        const auto task = decoded<TaskDelete>(bytes);
        if (!task || !main_process(task->container_id, task->id)) return std::nullopt;
        return ContainerEvent{Kind::Deleted, task->container_id,
                              static_cast<int>(task->exit_status), wall_time(task->exited_at)};
    }
    const bool oom = envelope.topic == "/tasks/oom";
    if (!oom && envelope.topic != "/tasks/start") return std::nullopt;
    const auto task = decoded<TaskOther>(bytes);
    if (!task) return std::nullopt;
    return ContainerEvent{oom ? Kind::OutOfMemory : Kind::Started, task->container_id, 0,
                          wall_time(envelope.timestamp)};
}

// All state lives on the strand. A subscription has a number, so that what an old one still sends
// is told apart.
class Follower : public ContainerEvents {
  public:
    Follower(Executor& executor, Random& random, net::GrpcClient& client, ContainerEventSink sink)
        : random_{random},
          client_{client},
          sink_{std::move(sink)},
          gate_{std::make_shared<Guarded<Strand*>>(&strand_)},
          strand_{executor} {
        strand_.post([this] { subscribe(); });
    }
    ~Follower() override {
        gate_->use([](Strand*& strand) { strand = nullptr; });
    }

  private:
    enum class Source { Containerd, Cri, None };

    // Runs `task` on the strand from the client's loop, unless we are gone.
    static void enter(const std::shared_ptr<Guarded<Strand*>>& gate, Task task) {
        gate->use([&](Strand*& strand) {
            if (strand) strand->post(std::move(task));
        });
    }

    void subscribe() {
        ++subscription_;
        live_ = false;
        marker_call_.reset();
        if (source_ == Source::None) return relist();
        auto ended = [this, gate = gate_, number = subscription_](Result<> result) {
            enter(gate, [this, number, result = std::move(result)] { end(number, result); });
        };
        if (source_ == Source::Cri) {
            stream_ = stream_cri_events(
                client_,
                [this, gate = gate_](const cri::ContainerEventResponse& event) {
                    enter(gate, [this, type = event.container_event_type, id = event.container_id,
                                 at = event.created_at] { take_cri(type, id, at); });
                },
                std::move(ended));
            strand_.after(cri_settle_pause, [this, number = subscription_] { begin(number); });
            return;
        }
        marker_ = concat("/skiff/", random_.hex(8));
        SubscribeRequest request;
        request.filters.push_back(concat("topic==\"", marker_, "\""));
        for (const auto topic : watched_topics)
            request.filters.push_back(concat("namespace==\"k8s.io\",topic==\"", topic, "\""));
        net::GrpcClient::StreamSink sink{
            .message =
                [this, gate = gate_, number = subscription_](std::string_view bytes) {
                    enter(gate, [this, number, copy = std::string{bytes}] { take(number, copy); });
                },
            .end = std::move(ended),
        };
        stream_ = client_.stream("/containerd.services.events.v1.Events/Subscribe",
                                 encoded(request), std::move(sink));
        stream_->half_close();
        marker_pause_ = marker_pause_min;
        send_marker(subscription_);
    }

    // containerd does not say when a subscription has begun. An event of our own that comes back
    // on it does; sent too early it is lost, so it is sent until it comes.
    void send_marker(uint64_t number) {
        if (number != subscription_ || live_) return;
        ForwardRequest request;
        request.envelope.timestamp.seconds = 1;   // must not be zero; nobody reads it
        request.envelope.namespace_ = "skiff";
        request.envelope.topic = marker_;
        request.envelope.event.type_url = "skiff.Marker";
        net::GrpcClient::StreamSink nothing{.message = [](std::string_view) {},
                                            .end = [](Result<>) {}};
        marker_call_ = client_.stream("/containerd.services.events.v1.Events/Forward",
                                      encoded(request), std::move(nothing));
        marker_call_->half_close();
        strand_.after(marker_pause_, [this, number] { send_marker(number); });
        marker_pause_ = std::min(marker_pause_ * 2, marker_pause_max);
    }

    void take(uint64_t number, std::string_view bytes) {
        if (number != subscription_) return;
        const auto envelope = decoded<Envelope>(bytes);
        if (!envelope) return;   // nothing a client could do about it
        if (envelope->topic == marker_) return begin(number);
        if (const auto event = event_of(*envelope)) sink_.event(*event);
    }

    void take_cri(cri::ContainerEventType type, const std::string& id, int64_t at) {
        using Kind = ContainerEvent::Kind;
        ContainerEvent event{.id = id, .at = WallTime{Duration{at}}};
        switch (type) {
        case cri::ContainerEventType::Started: event.kind = Kind::Started; break;
        case cri::ContainerEventType::Stopped: event.kind = Kind::Exited; break;
        case cri::ContainerEventType::Deleted: event.kind = Kind::Deleted; break;
        default: return;
        }
        sink_.event(event);
    }

    void begin(uint64_t number) {
        if (number != subscription_ || live_) return;
        live_ = true;
        retry_pause_ = retry_pause_min;
        marker_call_.reset();
        sink_.resync();
    }

    void end(uint64_t number, const Result<>& result) {
        if (number != subscription_) return;
        ++subscription_;
        stream_.reset();
        marker_call_.reset();
        if (!result && result.error().reason == Reason::MethodNotAllowed) {
            source_ = source_ == Source::Containerd ? Source::Cri : Source::None;
            if (source_ == Source::None)
                log_warn("the container runtime sends no events; it is asked every second instead");
            return subscribe();
        }
        if (live_ && !result) {
            log_warn("container events were interrupted", {{"error", result.error().message}});
        }
        live_ = false;
        strand_.after(retry_pause_, [this, next = subscription_] {
            if (next == subscription_) subscribe();
        });
        retry_pause_ = std::min(retry_pause_ * 2, retry_pause_max);
    }

    void relist() {
        sink_.resync();
        strand_.after(relist_pause, [this] { relist(); });
    }

    Random& random_;
    net::GrpcClient& client_;
    ContainerEventSink sink_;
    Source source_ = Source::Containerd;
    uint64_t subscription_ = 0;
    bool live_ = false;   // the sink was told to resync in this subscription
    Duration retry_pause_ = retry_pause_min;
    Duration marker_pause_ = marker_pause_min;
    std::string marker_;   // the topic of our own event
    std::unique_ptr<net::GrpcClient::Stream> stream_;
    std::unique_ptr<net::GrpcClient::Stream> marker_call_;
    std::shared_ptr<Guarded<Strand*>> gate_;
    Strand strand_;   // goes first, and waits for the task that runs, which may use all the above
};

}   // namespace

std::optional<ContainerEvent> event_of_envelope(std::string_view envelope) {
    const auto message = decoded<Envelope>(envelope);
    if (!message) return std::nullopt;
    return event_of(*message);
}

std::unique_ptr<ContainerEvents> follow_container_events(Executor& executor, Random& random,
                                                         net::GrpcClient& client,
                                                         ContainerEventSink sink) {
    return std::make_unique<Follower>(executor, random, client, std::move(sink));
}

}   // namespace skiff::agent
