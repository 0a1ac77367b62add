#include "apiserver/watch_feed.h"

#include "apiserver/status.h"
#include "base/text.h"

namespace skiff::apiserver {

std::string_view type_text(FeedEvent::Type type) {
    switch (type) {
    case FeedEvent::Type::Added: return "ADDED";
    case FeedEvent::Type::Modified: return "MODIFIED";
    case FeedEvent::Type::Deleted: return "DELETED";
    case FeedEvent::Type::Bookmark: return "BOOKMARK";
    }
    return {};
}

namespace {

Result<> check_watch_options(const RequestOptions& options) {
    const auto refuse = [](std::string_view why) {
        return fail(
            Reason::Invalid,
            concat("ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: ",
                   why));
    };
    const auto& match = options.resource_version_match;
    if (options.send_initial_events && match != "NotOlderThan")
        return refuse("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
    if (!options.send_initial_events && !match.empty())
        return refuse(
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
    if (!match.empty() && !options.continue_token.empty())
        return refuse("resourceVersionMatch is forbidden when continue is provided");
    return {};
}

}   // namespace

Result<std::unique_ptr<WatchFeed>> WatchFeed::open(const Call& call, store::Store& store,
                                                   const ServedResource& resource,
                                                   std::function<void()> notify) {
    TRY(auto selection, selection_of(call, resource));
    std::unique_ptr<WatchFeed> feed{new WatchFeed{std::move(selection)}};
    const auto text = call.options.resource_version.value_or("");
    const bool streams_initial = call.options.send_initial_events.value_or(false);
    TRY_OK(check_watch_options(call.options));
    store::Revision after;
    if (!text.empty()) {
        const auto number = parse_number<int64_t>(text);
        if (!number || *number < 0)
            return fail(Reason::BadRequest,
                        concat("resourceVersion: Invalid value: \"", text, "\": must be a number"));
        after.value = *number;
    }
    const bool initial = call.options.send_initial_events ? streams_initial : after.value == 0;
    if (initial && after > store.revision())
        return std::unexpected{too_large_version(after, store.revision())};
    if (initial || (call.options.send_initial_events && after.value == 0)) {
        feed->initial_ = store.view(resource.resource);
        feed->initial_left_ = initial;
        feed->initial_bookmark_ = streams_initial;
        after = feed->initial_.revision();
    }
    TRY(feed->watch_,
        store.watch(resource.resource, feed->selection_.prefix, after, std::move(notify)));
    return feed;
}

void WatchFeed::take_initial(std::vector<FeedEvent>& out, size_t max) {
    bool more = false;
    initial_.scan(selection_.prefix, initial_after_,
                  [&](std::string_view name, const store::ObjectPtr& object) {
                      if (out.size() >= max) {
                          more = true;
                          return false;
                      }
                      initial_after_ = std::string{name};
                      if (selection_.matches(*object))
                          out.push_back({.type = FeedEvent::Type::Added,
                                         .object = object,
                                         .text = object->text,
                                         .revision = object->modified});
                      return true;
                  });
    if (more) return;
    initial_left_ = false;
    if (initial_bookmark_) {
        out.push_back({.type = FeedEvent::Type::Bookmark,
                       .object = nullptr,
                       .text = {},
                       .revision = initial_.revision(),
                       .initial_end = true});
    }
    initial_ = {};
}

void WatchFeed::select(const store::Event& event, std::vector<FeedEvent>& out) const {
    const bool deleted = event.kind == store::Event::Kind::Delete;
    const bool matched = event.previous && selection_.matches(*event.previous);
    const bool matches = !deleted && selection_.matches(*event.object);
    using Type = FeedEvent::Type;
    if (matches) {
        out.push_back({.type = matched ? Type::Modified : Type::Added,
                       .object = event.object,
                       .text = event.object->text,
                       .revision = event.revision});
    } else if (deleted && (matched || (!event.previous && selection_.matches(*event.object)))) {
        out.push_back({.type = Type::Deleted,
                       .object = event.object,
                       .text = event.object->text,
                       .revision = event.revision});
    } else if (matched) {
        // It left the selection: the watcher sees its last matching state under this revision.
        out.push_back({.type = Type::Deleted,
                       .object = event.previous,
                       .text = event.previous->with_revision(event.revision),
                       .revision = event.revision});
    }
}

Result<std::vector<FeedEvent>> WatchFeed::next(size_t max) {
    std::vector<FeedEvent> out;
    if (initial_left_) {
        take_initial(out, max);
        if (initial_left_ || out.size() >= max) return out;
    }
    // Less than `max` says that nothing waits: nobody is told again of what was there before. Most
    // of a batch may fall outside the selection while more waits.
    for (;;) {
        TRY(const auto events, watch_->drain(max));
        for (const auto& event : events) select(*event, out);
        if (out.size() >= max || events.size() < max) return out;
    }
}

store::Revision WatchFeed::progress() const { return watch_->progress(); }

}   // namespace skiff::apiserver
