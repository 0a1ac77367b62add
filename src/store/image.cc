#include "store/image.h"

#include <algorithm>

#include "base/text.h"
#include "store/object.h"

namespace skiff::store {
namespace {

constexpr size_t visited_views_max = 16;

size_t index_of(ResourceId resource) { return static_cast<size_t>(resource); }

int64_t row_of(const Object& object) { return object.modified.value - object.rows_after; }

}   // namespace

Image::Image(Duration window, size_t window_revisions_max)
    : window_{window}, window_revisions_max_{window_revisions_max} {}

ResourceId Image::resource(std::string_view prefix) {
    return resources_.use([&](Resources& all) {
        const auto [found, added] = all.ids.try_emplace(
            std::string{prefix}, ResourceId{static_cast<uint16_t>(all.prefixes.size())});
        if (added) {
            ASSERT(all.prefixes.size() < UINT16_MAX);
            all.prefixes.emplace_back(prefix);
            all.histories.push_back(std::make_shared<History>(all.floor, complete_));
        }
        return found->second;
    });
}

std::string Image::prefix(ResourceId resource) const {
    return resources_.use([&](const Resources& all) {
        ASSERT(index_of(resource) < all.prefixes.size());
        return all.prefixes[index_of(resource)];
    });
}

std::string Image::spell(const Key& key) const { return prefix(key.resource) + key.name; }

std::shared_ptr<History> Image::history(ResourceId resource) const {
    return resources_.use([&](const Resources& all) {
        ASSERT(index_of(resource) < all.histories.size());
        return all.histories[index_of(resource)];
    });
}

Image::Working& Image::working(ResourceId resource) {
    while (working_.size() <= index_of(resource)) working_.emplace_back();
    Working& found = working_[index_of(resource)];
    if (!found.changed) {
        found.changed = true;
        changed_.push_back(resource);
    }
    return found;
}

void Image::load_old(Change change) {
    Working& of = working(change.key.resource);
    const bool deletion = !change.object;
    const auto before = deletion ? of.tree.remove(change.key.name)
                                 : of.tree.put(change.key.name, std::move(change.object));
    if (before) garbage_.push_back(row_of(*before));
    if (deletion) garbage_.push_back(change.revision.value - change.rows_after);
}

void Image::load_event(Change change, MonoTime at) {
    std::vector<Change> changes;
    changes.push_back(std::move(change));
    apply(std::move(changes), at);
}

void Image::start(Revision revision, Revision floor) {
    floor_ = std::max(floor_.load(), floor.value);
    resources_.use([&](Resources& all) {
        all.floor = floor;
        for (auto& history : all.histories) history->raise_floor(floor);
    });
    publish(revision);
}

void Image::apply(std::vector<Change> changes, MonoTime at) {
    for (auto& change : changes) {
        Working& of = working(change.key.resource);
        auto event = std::make_shared<Event>();
        event->revision = change.revision;
        event->rows_after = change.rows_after;
        if (change.object) {
            event->object = change.object;
            event->previous = of.tree.put(change.key.name, std::move(change.object));
        } else {
            event->kind = Event::Kind::Delete;
            event->previous = of.tree.remove(change.key.name);
            if (!event->previous) {   // only a log that was tampered with
                garbage_.push_back(change.revision.value - change.rows_after);
                continue;
            }
            event->object = deleted_object(*event->previous, change.revision);
        }
        event->key = std::move(change.key);
        entries_.push_back({change.revision, at, event->key.resource});
        of.events.push_back(std::move(event));
    }
}

void Image::publish(Revision revision) {
    std::vector<std::pair<ResourceId, std::shared_ptr<const Tree>>> trees;
    for (const auto resource : changed_)
        trees.emplace_back(resource,
                           std::make_shared<const Tree>(working_[index_of(resource)].tree));
    std::vector<std::shared_ptr<Notifier>> told;
    publishing_.use([&](int&) {
        published_.use([&](Published& now) {
            now.revision = std::max(now.revision, revision);
            for (auto& [resource, tree] : trees) {
                if (now.trees.size() <= index_of(resource))
                    now.trees.resize(index_of(resource) + 1);
                std::swap(now.trees[index_of(resource)], tree);   // the old one is freed unlocked
            }
        });
        for (const auto resource : changed_) {
            Working& of = working_[index_of(resource)];
            of.changed = false;
            auto notifiers = history(resource)->append(std::exchange(of.events, {}), of.tree);
            std::ranges::move(notifiers, std::back_inserter(told));
        }
        changed_.clear();
        if (revision.value > *complete_)
            complete_->store(revision.value, std::memory_order_release);
    });
    for (const auto& notifier : told) notifier->run();
}

void Image::drop_oldest() {
    const Entry oldest = entries_.front();
    entries_.pop_front();
    const auto event = history(oldest.resource)->drop_oldest();
    floor_ = oldest.revision.value;
    // In this order: a deletion's row must not go before the rows that it deletes.
    if (event->previous) garbage_.push_back(row_of(*event->previous));
    if (event->kind == Event::Kind::Delete)
        garbage_.push_back(event->revision.value - event->rows_after);
}

void Image::trim(MonoTime now) {
    const auto floor_before = floor();
    while (!entries_.empty() &&
           (entries_.size() > window_revisions_max_ || entries_.front().at + window_ <= now ||
            entries_.front().revision == floor())) {
        drop_oldest();
    }
    if (floor() == floor_before) return;
    visits_.use([&](Visits& visits) {
        std::erase_if(visits.views, [&](const Visited& view) { return view.revision < floor(); });
    });
}

std::vector<int64_t> Image::oldest_garbage(size_t rows_max) const {
    const auto count = static_cast<ptrdiff_t>(std::min(rows_max, garbage_.size()));
    return {garbage_.begin(), garbage_.begin() + count};
}

void Image::drop_garbage(size_t rows) {
    garbage_.erase(garbage_.begin(), garbage_.begin() + static_cast<ptrdiff_t>(rows));
    if (garbage_.empty()) garbage_.shrink_to_fit();
}

std::optional<MonoTime> Image::next_trim() const {
    if (entries_.empty()) return std::nullopt;
    return entries_.front().at + window_;
}

Revision Image::revision() const {
    return published_.use([](const Published& now) { return now.revision; });
}

ObjectPtr Image::published(const Key& key) const {
    const auto tree = published_.use([&](const Published& now) {
        const size_t index = index_of(key.resource);
        return index < now.trees.size() ? now.trees[index] : nullptr;
    });
    return tree ? tree->get(key.name) : nullptr;
}

View Image::view(ResourceId resource) const {
    return published_.use([&](const Published& now) {
        const size_t index = index_of(resource);
        return View{index < now.trees.size() ? now.trees[index] : nullptr, now.revision};
    });
}

size_t Image::objects() const {
    return published_.use([](const Published& now) {
        size_t count = 0;
        for (const auto& tree : now.trees) count += tree ? tree->size() : 0;
        return count;
    });
}

size_t Image::tree_bytes(ResourceId resource) const {
    return published_.use(
        [&](const Published& now) { return now.trees[index_of(resource)]->memory_bytes(); });
}

size_t Image::watches() const {
    const auto histories = resources_.use([](const Resources& all) { return all.histories; });
    size_t count = 0;
    for (const auto& history : histories) count += history->watches();
    return count;
}

Result<View> Image::view_at(ResourceId resource, Revision at) const {
    View now = view(resource);
    if (at == now.revision()) return now;
    if (now.revision() < at) {
        // Upstream's words and reason: clients wait and ask again.
        return fail(Reason::Timeout, concat("Too large resource version: ", at.value,
                                            ", current: ", now.revision().value));
    }
    const Revision oldest = history(resource)->floor();
    if (at < oldest) return std::unexpected{expired(at, oldest)};
    if (auto tree = visited(resource, at)) return View{std::move(tree), at};
    TRY(auto tree, rebuild(resource, at));
    visits_.use([&](Visits& visits) {
        if (visits.views.size() >= visited_views_max) {
            visits.views.erase(std::ranges::min_element(visits.views, {}, &Visited::used));
        }
        visits.views.push_back({resource, at, tree, ++visits.clock});
    });
    return View{std::move(tree), at};
}

std::shared_ptr<const Tree> Image::visited(ResourceId resource, Revision at) const {
    return visits_.use([&](Visits& visits) -> std::shared_ptr<const Tree> {
        for (auto& view : visits.views) {
            if (view.resource != resource || view.revision != at) continue;
            view.used = ++visits.clock;
            return view.tree;
        }
        return nullptr;
    });
}

Result<std::shared_ptr<const Tree>> Image::rebuild(ResourceId resource, Revision at) const {
    // Between a publication's trees and histories the newest revisions have no events yet.
    if (complete_->load(std::memory_order_acquire) < at.value) publishing_.use([](int&) {});
    std::shared_ptr<const Tree> nearest;
    std::optional<Revision> near;
    visits_.use([&](const Visits& visits) {
        for (const auto& view : visits.views) {
            if (view.resource != resource || view.revision < at) continue;
            if (near && *near <= view.revision) continue;
            near = view.revision;
            nearest = view.tree;
        }
    });
    TRY(auto past, history(resource)->past(at, near));
    Tree tree = nearest ? *nearest : std::move(past.tree);
    for (auto event = past.events.rbegin(); event != past.events.rend(); ++event) {
        if ((*event)->previous) {
            tree.put((*event)->key.name, (*event)->previous);
        } else {
            tree.remove((*event)->key.name);
        }
    }
    return std::make_shared<const Tree>(std::move(tree));
}

}   // namespace skiff::store
