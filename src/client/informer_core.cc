#include "client/informer_core.h"

#include <optional>
#include <utility>
#include <vector>

#include "base/guarded.h"
#include "base/log.h"
#include "client/backoff.h"

namespace skiff::client {
namespace {

constexpr Duration retry_first = 100ms;   // a server that restarts is back within a second
constexpr Duration retry_max = 30s;
constexpr Duration watch_settled_after = 10s;   // an end after that is no failure to start
// As upstream's reflector: the server ends the watch after 5 to 10 minutes, spread by chance, so
// that watches move to where servers have become free.
constexpr uint64_t watch_seconds_min = 300;

// Ends of a watch after which it makes sense to go on from the same revision.
bool may_resume(const Error& error) {
    for (const auto& cause : error.causes)
        if (cause.type == "ResourceVersionTooLarge") return false;   // the server was set back
    switch (error.reason) {
    case Reason::ServiceUnavailable:
    case Reason::ServerTimeout:
    case Reason::Timeout:
    case Reason::TooManyRequests:
    case Reason::InternalError:
    case Reason::Unauthorized:
    case Reason::Forbidden:
    case Reason::Unknown: return true;
    default: return false;
    }
}

}   // namespace

class InformerCore::Flow : public std::enable_shared_from_this<Flow> {
  public:
    Flow(Parts parts, InformerOptions options)
        : parts_{parts},
          options_{std::move(options)},
          strand_{parts.executor},
          path_{path_of(parts.resource, options_.name_space)} {}

    void start() {
        enter([](Flow& flow) { flow.list_anew(); });
    }

    void stop() {
        strand_.close();
        stream_.reset();
        if (retry_ != TimerId::None) parts_.executor.cancel(retry_);
    }

    void on_synced(std::function<void()> call) {
        enter([call = std::move(call)](Flow& flow) mutable {
            if (flow.synced_)
                call();
            else
                flow.when_synced_.push_back(std::move(call));
        });
    }

    bool reached(const ObjectKey& key, std::string_view resource_version) const {
        const auto wanted = parse_number<uint64_t>(resource_version);
        if (!wanted) return true;   // opaque: nothing can be said, so nothing is waited for
        if (revision_.load(std::memory_order_acquire) >= *wanted) return true;
        const auto cached = cache_.version_of(key);
        if (!cached) return false;
        return parse_number<uint64_t>(cached->resource_version).value_or(0) >= *wanted;
    }

    ObjectCache cache_;
    std::vector<Handler> handlers_;
    std::atomic<bool> synced_ = false;

  private:
    struct Arrival {
        uint64_t watch = 0;
        std::optional<WatchEvent> event;   // absent: the watch ended
        Result<> end;
    };
    struct Sink;

    // Runs `step` on the strand. A task owns the flow: a handler may end its informer.
    template <class F>
    void enter(F step) {
        strand_.post(
            [self = shared_from_this(), step = std::move(step)]() mutable { step(*self); });
    }

    void list_anew() {
        ++generation_;
        ask_page({});
    }

    void ask_page(std::string_view continue_token) {
        ApiRequest request{.path = path_, .query = selectors()};
        add_parameter(request.query, "limit", concat(options_.page_size));
        add_parameter(request.query, "continue", continue_token);
        parts_.transport.send(std::move(request),
                              [weak = weak_from_this()](Result<ApiResponse> answer) mutable {
                                  const auto self = weak.lock();
                                  if (!self) return;
                                  self->enter([answer = std::move(answer)](Flow& flow) mutable {
                                      flow.take_page(std::move(answer));
                                  });
                              });
    }

    void take_page(Result<ApiResponse> answer) {
        if (!answer) return list_failed(answer.error());
        const auto page = list_page_of(answer->body.view());
        if (!page) return list_failed(page.error());
        for (const auto item : page->items) {
            if (const auto identity = identity_of(item))
                if (!cache_.keep(*identity, generation_)) put(*identity, item);
        }
        if (!page->continue_token.empty()) return ask_page(page->continue_token);
        for (const auto& key : cache_.older_than(generation_)) remove(key);
        move_to(page->resource_version);
        list_backoff_.reset();
        if (!synced_.exchange(true))
            for (auto& call : std::exchange(when_synced_, {})) call();
        watch();
    }

    void list_failed(const Error& error) {
        // A continue token that expired is no fault: the list starts over at once.
        const bool expired = error.reason == Reason::Expired || error.reason == Reason::Gone;
        const Duration delay = list_backoff_.next(parts_.random);
        if (expired && list_backoff_.failures() == 1) return list_anew();
        retry("list", error, delay, [](Flow& flow) { flow.list_anew(); });
    }

    void watch();

    void drain() {
        for (auto& arrival : inbox_.use([](auto& inbox) { return std::exchange(inbox, {}); })) {
            if (arrival.watch != watch_) continue;   // of a watch that was given up
            if (arrival.event)
                take_event(*arrival.event);
            else
                watch_ended(std::move(arrival.end));
        }
    }

    void take_event(const WatchEvent& event) {
        const auto identity = identity_of(event.object.view());
        if (!identity) return log_warn("watch event is malformed", {{"path", path_}});
        watch_backoff_.reset();
        switch (event.type) {
        case WatchEvent::Type::Bookmark: break;
        case WatchEvent::Type::Deleted: remove({identity->name_space, identity->name}); break;
        case WatchEvent::Type::Added:
        case WatchEvent::Type::Modified:
            if (!cache_.keep(*identity, generation_)) put(*identity, event.object.view());
            break;
        }
        move_to(identity->resource_version);
    }

    void watch_ended(Result<> how) {
        ++watch_;   // whatever it still sends is late
        stream_.reset();
        const bool settled = clock().monotonic() - watch_begun_ >= watch_settled_after;
        if (settled) watch_backoff_.reset();
        const Duration delay = watch_backoff_.next(parts_.random);
        const bool at_once = watch_backoff_.failures() == 1;
        if (how) {
            if (at_once) return watch();
            return retry("watch", Error{}, delay, [](Flow& flow) { flow.watch(); });
        }
        if (may_resume(how.error()))
            return retry("watch", how.error(), delay, [](Flow& flow) { flow.watch(); });
        log_debug("watch expired", {{"path", path_}, {"error", how.error().message}});
        if (at_once) return list_anew();
        retry("watch", how.error(), delay, [](Flow& flow) { flow.list_anew(); });
    }

    template <class F>
    void retry(std::string_view what, const Error& error, Duration delay, F step) {
        if (error.retry_after) delay = std::max<Duration>(delay, *error.retry_after);
        if (!error.message.empty())
            log_info(concat(what, " failed"),
                     {{"path", path_}, {"error", error.message}, {"again_in", go_duration(delay)}});
        retry_ = parts_.executor.after(delay, [weak = weak_from_this(), step] {
            if (const auto self = weak.lock()) self->enter(step);
        });
    }

    void put(const ObjectIdentity& identity, std::string_view text) {
        auto object = parts_.decode(text);
        if (!object) {
            log_error(
                "object cannot be decoded",
                {{"path", path_}, {"name", identity.name}, {"error", object.error().message}});
            return;
        }
        const AnyObject old = cache_.put(identity, *object, generation_);
        for (const auto& handler : handlers_) handler(old, *object);
    }

    void remove(const ObjectKey& key) {
        const AnyObject old = cache_.remove(key);
        if (!old) return;
        for (const auto& handler : handlers_) handler(old, nullptr);
    }

    void move_to(const std::string& resource_version) {
        if (resource_version.empty()) return;
        resource_version_ = resource_version;
        if (const auto revision = parse_number<uint64_t>(resource_version))
            revision_.store(*revision, std::memory_order_release);
    }

    Clock& clock() const { return parts_.executor.clock(); }

    std::string selectors() const {
        std::string query;
        add_parameter(query, "labelSelector", options_.query.label_selector);
        add_parameter(query, "fieldSelector", options_.query.field_selector);
        return query;
    }

    const Parts parts_;
    const InformerOptions options_;
    Strand strand_;
    const std::string path_;
    // Below: of the strand alone, but for what is guarded or atomic.
    Backoff list_backoff_{retry_first, retry_max};
    Backoff watch_backoff_{retry_first, retry_max};
    MonoTime watch_begun_;
    TimerId retry_ = TimerId::None;
    uint64_t generation_ = 0;   // of lists; what an older one left is gone
    std::string resource_version_;
    std::atomic<uint64_t> revision_ = 0;
    std::vector<std::function<void()>> when_synced_;
    uint64_t watch_ = 0;
    Guarded<std::vector<Arrival>> inbox_;
    std::unique_ptr<Transport::Stream> stream_;
};

struct InformerCore::Flow::Sink final : WatchSink {
    Sink(std::weak_ptr<Flow> owner, uint64_t number) : flow{std::move(owner)}, watch{number} {}
    void event(WatchEvent event) override { deliver({watch, std::move(event), {}}); }
    void ended(Result<> how) override { deliver({watch, std::nullopt, std::move(how)}); }

    // A burst is one task: only what finds the inbox empty posts.
    void deliver(Arrival arrival) {
        const auto self = flow.lock();
        if (!self) return;
        const bool first = self->inbox_.use([&](auto& inbox) {
            inbox.push_back(std::move(arrival));
            return inbox.size() == 1;
        });
        if (first) self->enter([](Flow& to) { to.drain(); });
    }

    std::weak_ptr<Flow> flow;
    const uint64_t watch;
};

void InformerCore::Flow::watch() {
    const uint64_t seconds = watch_seconds_min + parts_.random.below(watch_seconds_min);
    ApiRequest request{.path = path_, .query = selectors()};
    add_parameter(request.query, "watch", "true");
    add_parameter(request.query, "allowWatchBookmarks", "true");
    add_parameter(request.query, "resourceVersion", resource_version_);
    add_parameter(request.query, "timeoutSeconds", concat(seconds));
    watch_begun_ = clock().monotonic();
    stream_ = parts_.transport.watch(std::move(request),
                                     std::make_shared<Sink>(weak_from_this(), ++watch_));
}

InformerCore::InformerCore(Parts parts, InformerOptions options)
    : flow_{std::make_shared<Flow>(parts, std::move(options))} {}
InformerCore::~InformerCore() { flow_->stop(); }
void InformerCore::stop() { flow_->stop(); }
ObjectCache& InformerCore::cache() { return flow_->cache_; }
const ObjectCache& InformerCore::cache() const { return flow_->cache_; }
void InformerCore::on_change(Handler handler) { flow_->handlers_.push_back(std::move(handler)); }
void InformerCore::on_synced(std::function<void()> call) { flow_->on_synced(std::move(call)); }
void InformerCore::start() { flow_->start(); }
bool InformerCore::synced() const { return flow_->synced_; }
bool InformerCore::reached(const ObjectKey& key, std::string_view resource_version) const {
    return flow_->reached(key, resource_version);
}

}   // namespace skiff::client
