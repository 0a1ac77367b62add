#include "store/history.h"

#include <algorithm>

#include "base/text.h"

namespace skiff::store {
namespace {

constexpr size_t dropped_before_packing_min = 64;

}   // namespace

Error expired(Revision asked, Revision floor) {
    // The words of upstream's storage: clients match on the reason, people know the text.
    return Error{
        .reason = Reason::Expired,
        .message = concat("too old resource version: ", asked.value, " (", floor.value + 1, ")")};
}

size_t EventQueue::first_after(Revision revision) const {
    const auto first = events_.begin() + static_cast<ptrdiff_t>(first_);
    const auto found = std::upper_bound(
        first, events_.end(), revision,
        [](Revision value, const EventPtr& event) { return value < event->revision; });
    return static_cast<size_t>(found - first);
}

void EventQueue::prepend(std::vector<EventPtr> events) {
    events.insert(events.end(), events_.begin() + static_cast<ptrdiff_t>(first_), events_.end());
    events_ = std::move(events);
    first_ = 0;
}

void EventQueue::drop_first() {
    events_[first_++].reset();
    if (first_ < dropped_before_packing_min || first_ < events_.size() / 2) return;
    std::vector<EventPtr> kept{
        std::make_move_iterator(events_.begin() + static_cast<ptrdiff_t>(first_)),
        std::make_move_iterator(events_.end())};
    events_ = std::move(kept);
    first_ = 0;
}

void Notifier::run() {
    notify_.use([](auto& notify) {
        if (notify) notify();
    });
}

void Notifier::stop() {
    notify_.use([](auto& notify) { notify = nullptr; });
}

History::Channel& History::State::channel(const std::string& prefix, Revision after) {
    if (prefix.empty()) return all;
    auto& slot = channels[prefix];
    if (!slot) {
        slot = std::make_unique<Channel>();
        slot->prefix = prefix;
        const size_t size = all.events.size();
        slot->from = size == 0 ? all.dropped : all.events[size - 1]->revision;
        slot->dropped = all.dropped;
        ++lengths[prefix.size()];
    }
    if (after < slot->from) {
        // A watch that starts earlier than the others: fill in what lies between.
        std::vector<EventPtr> between;
        for (size_t i = all.events.first_after(after); i < all.events.size(); ++i) {
            if (slot->from < all.events[i]->revision) break;
            if (all.events[i]->key.name.starts_with(prefix)) between.push_back(all.events[i]);
        }
        if (!between.empty()) slot->events.prepend(std::move(between));
        slot->from = after;
    }
    return *slot;
}

void History::State::release(Channel& channel) {
    --watches;
    if (--channel.watches > 0 || &channel == &all) return;
    const auto count = lengths.find(channel.prefix.size());
    if (--count->second == 0) lengths.erase(count);
    channels.erase(std::string{channel.prefix});
}

// Every channel that the name belongs to: one look-up for each length a prefix has.
template <class F>
void History::State::each_channel(std::string_view name, F visit) {
    visit(all);
    for (const auto& [length, count] : lengths) {
        if (length > name.size()) return;
        const auto found = channels.find(std::string{name.substr(0, length)});
        if (found != channels.end()) visit(*found->second);
    }
}

// `position_` is the revision up to which everything was taken.
class History::PositionedWatch final : public Watch {
  public:
    PositionedWatch(std::shared_ptr<History> history, Channel& channel,
                    std::shared_ptr<Notifier> notifier, Revision after)
        : history_{std::move(history)},
          channel_{channel},
          notifier_{std::move(notifier)},
          position_{after} {}
    ~PositionedWatch() override {
        notifier_->stop();
        history_->state_.use([&](State& state) {
            std::erase(channel_.waiting, notifier_);
            state.release(channel_);
        });
    }
    PositionedWatch(const PositionedWatch&) = delete;
    PositionedWatch& operator=(const PositionedWatch&) = delete;

    Result<std::vector<EventPtr>> drain(size_t events_max) override {
        // Read before the events: all up to it are in the channel.
        const Revision complete{history_->complete_->load(std::memory_order_acquire)};
        return history_->state_.use([&](State& state) -> Result<std::vector<EventPtr>> {
            if (position_ < channel_.dropped)
                return std::unexpected{expired(position_, channel_.dropped)};
            const auto& events = channel_.events;
            std::vector<EventPtr> taken;
            size_t next = events.first_after(position_);
            while (next < events.size() &&
                   (taken.size() < events_max || events[next]->revision == position_)) {
                position_ = events[next]->revision;
                taken.push_back(events[next++]);
            }
            if (next == events.size()) position_ = std::max(position_, complete);
            state.wait(channel_, notifier_);
            return taken;
        });
    }

    Revision progress() const override {
        const Revision complete{history_->complete_->load(std::memory_order_acquire)};
        return history_->state_.use([&](State&) {
            const auto& events = channel_.events;
            const size_t next = events.first_after(position_);
            if (next == events.size()) return std::max(position_, complete);
            return Revision{events[next]->revision.value - 1};
        });
    }

  private:
    std::shared_ptr<History> history_;
    Channel& channel_;
    std::shared_ptr<Notifier> notifier_;
    Revision position_;
};

void History::State::wait(Channel& channel, const std::shared_ptr<Notifier>& notifier) {
    if (notifier->waits) return;
    notifier->waits = true;
    channel.waiting.push_back(notifier);
}

History::History(Revision floor, std::shared_ptr<const std::atomic<int64_t>> complete)
    : complete_{std::move(complete)} {
    state_.use([&](State& state) { state.all.from = state.all.dropped = floor; });
}

Result<std::unique_ptr<Watch>> History::watch(std::string prefix, Revision after,
                                              std::function<void()> notify) {
    auto notifier = std::make_shared<Notifier>(std::move(notify));
    return state_.use([&](State& state) -> Result<std::unique_ptr<Watch>> {
        if (after < state.all.dropped) return std::unexpected{expired(after, state.all.dropped)};
        Channel& channel = state.channel(prefix, after);
        ++channel.watches;
        ++state.watches;
        state.wait(channel, notifier);
        return std::make_unique<PositionedWatch>(shared_from_this(), channel, notifier, after);
    });
}

std::vector<std::shared_ptr<Notifier>> History::append(std::vector<EventPtr> events, Tree tree) {
    std::vector<std::shared_ptr<Notifier>> told;
    // The old tree's nodes are freed after the lock: that can be the last look at many objects.
    Tree old = std::move(tree);
    state_.use([&](State& state) {
        std::swap(state.tree, old);
        for (auto& event : events) {
            state.each_channel(event->key.name, [&](Channel& channel) {
                channel.events.append(event);
                for (auto& notifier : channel.waiting) {
                    notifier->waits = false;
                    told.push_back(std::move(notifier));
                }
                channel.waiting.clear();
            });
        }
    });
    return told;
}

EventPtr History::drop_oldest() {
    return state_.use([](State& state) {
        ASSERT(!state.all.events.empty());
        EventPtr oldest = state.all.events[0];
        state.each_channel(oldest->key.name, [&](Channel& channel) {
            if (channel.events.empty() || channel.events[0] != oldest) return;
            channel.events.drop_first();
            channel.dropped = oldest->revision;
        });
        return oldest;
    });
}

void History::raise_floor(Revision floor) {
    state_.use([&](State& state) { state.all.dropped = std::max(state.all.dropped, floor); });
}

Revision History::floor() const {
    return state_.use([](const State& state) { return state.all.dropped; });
}

size_t History::watches() const {
    return state_.use([](const State& state) { return state.watches; });
}

Result<History::Past> History::past(Revision at, std::optional<Revision> near) const {
    return state_.use([&](const State& state) -> Result<Past> {
        const auto& events = state.all.events;
        if (at < state.all.dropped) return std::unexpected{expired(at, state.all.dropped)};
        Past past;
        const size_t last = near ? events.first_after(*near) : events.size();
        for (size_t i = events.first_after(at); i < last; ++i) past.events.push_back(events[i]);
        if (!near) past.tree = state.tree;
        return past;
    });
}

}   // namespace skiff::store
