// One resource's part of the watch window, and the watches on it. Watches pull: an event is held
// once, in a channel per watched prefix, and a watch is a position in a channel, so a slow watcher
// costs nothing and expires only when the window has dropped something it has not taken.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/guarded.h"
#include "store/store.h"
#include "store/tree.h"

namespace skiff::store {

using EventPtr = std::shared_ptr<const Event>;

// A queue of events in revision order; memory follows what is in it.
class EventQueue {
  public:
    size_t size() const { return events_.size() - first_; }
    bool empty() const { return size() == 0; }
    const EventPtr& operator[](size_t index) const { return events_[first_ + index]; }
    size_t first_after(Revision revision) const;   // index of the first event after it
    void append(EventPtr event) { events_.push_back(std::move(event)); }
    void prepend(std::vector<EventPtr> events);
    void drop_first();

  private:
    std::vector<EventPtr> events_;
    size_t first_ = 0;
};

// Tells a watch's owner that there is something; safe against the watch's end.
class Notifier {
  public:
    explicit Notifier(std::function<void()> notify) : notify_{std::move(notify)} {}
    void run();
    void stop();
    bool waits = false;   // is in its channel's list; under the history's lock

  private:
    Guarded<std::function<void()>> notify_;
};

class History : public std::enable_shared_from_this<History> {
  public:
    // `floor`: what happened up to there may be forgotten. `complete`: the revision up to which
    // the committer has filled every resource's history.
    History(Revision floor, std::shared_ptr<const std::atomic<int64_t>> complete);

    Result<std::unique_ptr<Watch>> watch(std::string prefix, Revision after,
                                         std::function<void()> notify);
    // Appends whole revisions and the tree as of the last; returns whom to tell.
    std::vector<std::shared_ptr<Notifier>> append(std::vector<EventPtr> events, Tree tree);
    // Drops the oldest event, and returns it. There must be one.
    EventPtr drop_oldest();

    void raise_floor(Revision floor);   // nothing at or below it is here
    Revision floor() const;
    size_t watches() const;

    // What is needed to go back to a revision: the events after it and the tree they led to.
    // Expired below the floor. `near`: a later revision whose tree the caller has; then only the
    // events up to that one, and no tree.
    struct Past {
        Tree tree;
        std::vector<EventPtr> events;
    };
    Result<Past> past(Revision at, std::optional<Revision> near) const;

  private:
    class PositionedWatch;
    struct Channel {
        std::string prefix;
        EventQueue events;
        Revision from;      // all matching events after this are in `events`, but for those
        Revision dropped;   // that the window dropped: all up to here
        size_t watches = 0;
        std::vector<std::shared_ptr<Notifier>> waiting;   // to be told at the next event
    };
    struct State {
        Channel all;   // the prefix "": always kept, it is the window itself
        std::unordered_map<std::string, std::unique_ptr<Channel>> channels;
        std::map<size_t, size_t> lengths;   // of the channels' prefixes: how many have it
        Tree tree;
        size_t watches = 0;

        Channel& channel(const std::string& prefix, Revision after);
        void release(Channel& channel);
        void wait(Channel& channel, const std::shared_ptr<Notifier>& notifier);
        template <class F>
        void each_channel(std::string_view name, F visit);
    };

    std::shared_ptr<const std::atomic<int64_t>> complete_;
    Guarded<State> state_;
};

Error expired(Revision asked, Revision floor);

}   // namespace skiff::store
