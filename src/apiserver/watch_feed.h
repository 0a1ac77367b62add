// A watch as the API means it: what the store's watch says, seen through a selection. Objects
// that come to match are ADDED, that cease to match are DELETED, and bookmarks tell progress.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "apiserver/call.h"
#include "apiserver/catalog.h"
#include "apiserver/selection.h"
#include "store/store.h"

namespace skiff::apiserver {

struct FeedEvent {
    enum class Type : uint8_t { Added, Modified, Deleted, Bookmark } type = Type::Added;
    store::ObjectPtr object;   // null for a bookmark
    Bytes text;                // the object's as it is to be shown: stored form, right revision
    store::Revision revision;
    bool initial_end = false;   // the bookmark that ends sendInitialEvents
};

class WatchFeed {
  public:
    // resourceVersion absent or 0: what exists now comes first as ADDED; else only what follows.
    // `notify` may be called from any thread, also during open. Errors: BadRequest, Expired.
    static Result<std::unique_ptr<WatchFeed>> open(const Call& call, store::Store& store,
                                                   const ServedResource& resource,
                                                   std::function<void()> notify);
    // About `max` events or more; less: there is nothing else now. Expired ends the feed.
    Result<std::vector<FeedEvent>> next(size_t max);
    store::Revision progress() const;   // for bookmarks

  private:
    explicit WatchFeed(Selection selection) : selection_{std::move(selection)} {}
    void select(const store::Event& event, std::vector<FeedEvent>& out) const;
    void take_initial(std::vector<FeedEvent>& out, size_t max);

    Selection selection_;
    store::View initial_;
    bool initial_left_ = false;
    bool initial_bookmark_ = false;
    std::optional<std::string> initial_after_;
    std::unique_ptr<store::Watch> watch_;
};

std::string_view type_text(FeedEvent::Type type);   // "ADDED"

}   // namespace skiff::apiserver
