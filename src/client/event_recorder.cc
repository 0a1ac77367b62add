#include "client/event_recorder.h"

#include <algorithm>
#include <deque>
#include <list>
#include <optional>
#include <unordered_map>

#include "base/guarded.h"
#include "base/log.h"
#include "client/json_scan.h"
#include "client/object_key.h"
#include "codec/json.h"

namespace skiff::client {
namespace {

constexpr ResourceName events{"", "v1", "events"};
// Upstream's numbers (client-go tools/record): known events, similar ones, and a bucket for each
// object that takes 25 at once and one more in five minutes.
constexpr size_t known_max = 4096;
constexpr int64_t similar_max = 10;
constexpr Duration similar_window = 10min;
constexpr double burst_max = 25;
constexpr Duration refill_period = 5min;
constexpr unsigned attempts_max = 12;
constexpr Duration attempt_period = 10s;
constexpr size_t waiting_max = 1000;
constexpr size_t message_bytes_max = 1024;   // the API's limit on Event.message (events.k8s.io)

// The least recently used is forgotten when there are too many.
template <class Value>
class Recent {
  public:
    Value& operator[](const std::string& key) {
        if (const auto known = places_.find(key); known != places_.end()) {
            entries_.splice(entries_.begin(), entries_, known->second);
            return entries_.front().second;
        }
        if (entries_.size() == known_max) {
            places_.erase(entries_.back().first);
            entries_.pop_back();
        }
        entries_.emplace_front(key, Value{});
        places_[key] = entries_.begin();
        return entries_.front().second;
    }

  private:
    using Entries = std::list<std::pair<std::string, Value>>;
    Entries entries_;
    std::unordered_map<std::string, typename Entries::iterator> places_;
};

struct Known {
    std::string name;    // "" before the first was written
    std::string first;   // its time
    int64_t count = 0;
};
struct Similar {
    MonoTime last;
    std::vector<std::string> messages;   // different ones
};
struct Bucket {
    std::optional<MonoTime> since;
    double tokens = burst_max;
};

struct Recorded {
    ObjectReference about;
    EventType type;
    std::string reason;
    std::string message;
    WallTime at;
};

void member(std::string& out, std::string_view name, std::string_view value) {
    if (value.empty()) return;
    append(out, out.back() == '{' ? "" : ",", "\"", name, "\":");
    codec::write_json_string(value, out);
}

// At most so many bytes, cut between characters.
std::string_view bounded(std::string_view text) {
    if (text.size() <= message_bytes_max) return text;
    size_t end = message_bytes_max;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    return text.substr(0, end);
}

}   // namespace

class EventRecorder::Flow : public std::enable_shared_from_this<Flow> {
  public:
    Flow(Executor& executor, Transport& transport, Source source)
        : executor_{executor},
          transport_{transport},
          source_{std::move(source)},
          strand_{executor} {}

    void record(Recorded event) {
        const bool taken =
            waiting_.use([&](int& count) { return count < int{waiting_max} && ++count; });
        if (!taken) return;
        strand_.post([self = shared_from_this(), event = std::move(event)]() mutable {
            self->queue_.push_back(std::move(event));
            if (!std::exchange(self->busy_, true)) self->next();
        });
    }
    WallTime now() const { return executor_.clock().now(); }
    void stop() {
        strand_.close();
        executor_.cancel(retry_);
    }

  private:
    void next() {
        while (!queue_.empty()) {
            event_ = std::move(queue_.front());
            queue_.pop_front();
            waiting_.use([](int& count) { --count; });
            if (!may_pass()) continue;
            combine();
            attempts_ = 0;
            return send();
        }
        busy_ = false;
    }

    std::string object_key() const {
        const auto& about = event_.about;
        return concat(about.kind, "/", about.name_space, "/", about.name, "/", about.uid, "/",
                      about.field_path, "/", about.api_version);
    }

    bool may_pass() {
        auto& bucket = buckets_[object_key()];
        const MonoTime at = executor_.clock().monotonic();
        const std::chrono::duration<double> passed = at - bucket.since.value_or(at);
        const std::chrono::duration<double> period = refill_period;
        bucket.tokens = std::min(burst_max, bucket.tokens + passed / period);
        bucket.since = at;
        if (bucket.tokens < 1) return false;
        bucket.tokens -= 1;
        return true;
    }

    // Many events that differ in their message only become one that is counted.
    void combine() {
        const auto kind = concat(object_key(), "\n", static_cast<int>(event_.type), event_.reason);
        auto& similar = similar_[kind];
        const MonoTime at = executor_.clock().monotonic();
        if (at - similar.last > similar_window) similar.messages.clear();
        similar.last = at;
        const bool known =
            std::ranges::find(similar.messages, event_.message) != similar.messages.end();
        key_ = concat(kind, "\n", event_.message);
        if (!known && std::ssize(similar.messages) < similar_max) {
            similar.messages.push_back(event_.message);
        } else if (!known) {
            key_ = kind;
            event_.message = bounded(concat("(combined from similar events): ", event_.message));
        }
    }

    void send() {
        ++attempts_;
        Known& known = known_[key_];
        ApiRequest request = known.name.empty() ? creation() : repetition(known);
        transport_.send(
            std::move(request), [weak = weak_from_this()](Result<ApiResponse> answer) mutable {
                const auto self = weak.lock();
                if (!self) return;
                self->strand_.post([self, answer = std::move(answer)] { self->answered(answer); });
            });
    }

    std::string name_space() const {
        return event_.about.name_space.empty() ? "default" : event_.about.name_space;
    }

    ApiRequest creation() const {
        const std::string at = rfc3339(event_.at);
        const auto stamp = static_cast<uint64_t>(event_.at.time_since_epoch().count());
        std::string digits(16, '0');
        for (size_t i = 16; i-- > 0;) digits[i] = "0123456789abcdef"[stamp >> (4 * (15 - i)) & 15];
        digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size() - 1));
        std::string body = R"({"kind":"Event","apiVersion":"v1","metadata":{)";
        member(body, "name", concat(event_.about.name, ".", digits));
        member(body, "namespace", name_space());
        body += R"(},"involvedObject":{)";
        member(body, "kind", event_.about.kind);
        member(body, "namespace", event_.about.name_space);
        member(body, "name", event_.about.name);
        member(body, "uid", event_.about.uid);
        member(body, "apiVersion", event_.about.api_version);
        member(body, "resourceVersion", event_.about.resource_version);
        member(body, "fieldPath", event_.about.field_path);
        body += "}";
        member(body, "reason", event_.reason);
        member(body, "message", event_.message);
        body += R"(,"source":{)";
        member(body, "component", source_.component);
        member(body, "host", source_.host);
        body += "}";
        member(body, "firstTimestamp", at);
        member(body, "lastTimestamp", at);
        body += R"(,"count":1)";
        member(body, "type", event_.type == EventType::Normal ? "Normal" : "Warning");
        member(body, "reportingComponent", source_.component);
        member(body, "reportingInstance", source_.host);
        body += "}";
        return {.method = "POST",
                .path = path_of(events, name_space()),
                .content_type = "application/json",
                .body = std::move(body)};
    }

    ApiRequest repetition(const Known& known) const {
        std::string body = concat(R"({"count":)", known.count + 1);
        member(body, "lastTimestamp", rfc3339(event_.at));
        member(body, "message", event_.message);
        body += "}";
        return {.method = "PATCH",
                .path = path_of(events, name_space(), known.name),
                .content_type = "application/strategic-merge-patch+json",
                .body = std::move(body)};
    }

    void answered(const Result<ApiResponse>& answer) {
        Known& known = known_[key_];
        if (answer) {
            if (known.name.empty()) {
                const auto identity = identity_of(answer->body.view());
                if (identity) known = {.name = identity->name, .count = 1};
            } else {
                ++known.count;
            }
            return next();
        }
        const Error& error = answer.error();
        if (error.reason == Reason::NotFound && !known.name.empty()) {
            known = {};   // its time was over: it begins anew
            return send();
        }
        const bool may_come =
            error.reason == Reason::ServiceUnavailable || error.reason == Reason::Timeout ||
            error.reason == Reason::TooManyRequests || error.reason == Reason::ServerTimeout;
        if (may_come && attempts_ < attempts_max) return try_again();
        log_debug(
            "event refused",
            {{"reason", event_.reason}, {"about", event_.about.name}, {"error", error.message}});
        next();
    }

    void try_again() {
        retry_ = executor_.after(attempt_period, [weak = weak_from_this()] {
            if (const auto self = weak.lock()) self->strand_.post([self] { self->send(); });
        });
    }

    Executor& executor_;
    Transport& transport_;
    const Source source_;
    Guarded<int> waiting_{0};
    Strand strand_;
    // Below: of the strand.
    std::deque<Recorded> queue_;
    bool busy_ = false;
    Recorded event_;    // the one on its way
    std::string key_;   // by which its repetitions are known
    unsigned attempts_ = 0;
    TimerId retry_ = TimerId::None;
    Recent<Known> known_;
    Recent<Similar> similar_;
    Recent<Bucket> buckets_;
};

EventRecorder::EventRecorder(Executor& executor, Transport& transport, Source source)
    : flow_{std::make_shared<Flow>(executor, transport, std::move(source))} {}
EventRecorder::~EventRecorder() { flow_->stop(); }

void EventRecorder::record(const ObjectReference& about, EventType type, std::string_view reason,
                           std::string_view message) {
    flow_->record({.about = about,
                   .type = type,
                   .reason = std::string{reason},
                   .message = std::string{bounded(message)},
                   .at = flow_->now()});
}

}   // namespace skiff::client
