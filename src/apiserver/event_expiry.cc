#include "apiserver/event_expiry.h"

#include "base/guarded.h"

namespace skiff::apiserver {
namespace {

constexpr auto kept = std::chrono::hours{1};
constexpr auto look_every = std::chrono::minutes{5};
constexpr size_t deletions_per_transaction_max = 200;

}   // namespace

struct EventExpiry::State : std::enable_shared_from_this<State> {
    explicit State(Registry& owner) : registry{owner} {}

    Registry& registry;
    Guarded<TimerId> timer{TimerId::None};
    std::atomic<bool> stopped{false};

    void plan_next() {
        if (stopped) return;
        const auto id = registry.parts().executor.after(look_every, [weak = weak_from_this()] {
            const auto self = weak.lock();
            if (!self || self->stopped) return;
            self->expire();
            self->plan_next();
        });
        timer.use([&](TimerId& held) { held = id; });
    }

    size_t expire() {
        const auto& events = registry.core("events");
        const auto due = registry.parts().clock.now() - kept;
        store::Transaction transaction{.durability = store::Durability::Relaxed};
        size_t count = 0;
        const auto flush = [&] {
            if (transaction.writes.empty()) return;
            count += transaction.writes.size();
            registry.parts().store.commit(std::move(transaction),
                                          [](const Result<store::Committed>&) {});
            transaction = {.durability = store::Durability::Relaxed};
        };
        const auto view = registry.parts().store.view(events.resource);
        view.scan("", {}, [&](std::string_view name, const store::ObjectPtr& object) {
            const auto document = parse_current(*object);
            const auto last = document ? last_happened(document->root) : std::nullopt;
            if (!last || *last > due) return true;
            const store::Key key{.resource = events.resource, .name = std::string{name}};
            // It may happen again meanwhile: then all of these are looked at the next time.
            transaction.preconditions.push_back(
                {.must = store::Precondition::Must::BeAt, .key = key, .at = object->modified});
            transaction.writes.push_back({.key = key});
            if (transaction.writes.size() == deletions_per_transaction_max) flush();
            return true;
        });
        flush();
        return count;
    }
};

EventExpiry::EventExpiry(Registry& registry) : state_{std::make_shared<State>(registry)} {}

EventExpiry::~EventExpiry() {
    state_->stopped = true;
    const auto timer = state_->timer.use([](TimerId& held) { return held; });
    state_->registry.parts().executor.cancel(timer);
}

void EventExpiry::start() { state_->plan_next(); }
size_t EventExpiry::expire_now() { return state_->expire(); }

std::optional<WallTime> last_happened(const Json& event) {
    for (const auto text :
         {event.text_at({"series", "lastObservedTime"}), event.text_at({"lastTimestamp"}),
          event.text_at({"eventTime"}), event.text_at({"metadata", "creationTimestamp"})}) {
        if (text.empty()) continue;
        if (const auto time = parse_rfc3339(text)) return *time;
    }
    return std::nullopt;
}

}   // namespace skiff::apiserver
