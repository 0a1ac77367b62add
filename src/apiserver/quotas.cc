#include "apiserver/quotas.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "apiserver/admission_plugins.h"
#include "apiserver/quota_usage.h"
#include "base/guarded.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

using api::Quantity;

constexpr auto recount_delay_min = std::chrono::milliseconds{100};
constexpr auto recount_delay_max = std::chrono::seconds{10};
constexpr int recount_share = 20;   // of the time at most a twentieth goes to counting
constexpr auto second_look = std::chrono::seconds{1};
constexpr auto look_every = std::chrono::minutes{5};
constexpr size_t events_per_drain = 256;

ResourceAmounts hard_of(const Json& quota) { return amounts_in(quota.at_path({"spec", "hard"})); }

// What the status says of the bounds is what the spec says.
bool settled(const Json& quota) {
    const auto hard = hard_of(quota);
    if (hard != amounts_in(quota.at_path({"status", "hard"}))) return false;
    const auto used = amounts_in(quota.at_path({"status", "used"}));
    return std::ranges::all_of(hard, [&](const auto& entry) { return used.contains(entry.first); });
}

void set_status(Document& quota, const ResourceAmounts& used) {
    auto& [arena, root] = quota;
    auto status = Json::object();
    if (const auto* hard = root.at_path({"spec", "hard"}))
        status.set_borrowed(arena, "hard", hard->deep_copy(arena));
    auto& list = status.make_object(arena, "used");
    for (const auto& [name, amount] : used)
        list.set(arena, name, Json::string(arena, amount.canonical()));
    root.set_borrowed(arena, "status", status);
}

std::string_view namespace_in(std::string_view name) { return name.substr(0, name.find('/')); }

ResourceAmounts difference(const ResourceAmounts& after, const ResourceAmounts& before) {
    auto delta = after;
    for (const auto& [name, amount] : before) {
        auto& known = delta.try_emplace(name, Quantity::from_value(0)).first->second;
        known = known - amount;
    }
    std::erase_if(delta, [](const auto& entry) { return entry.second == Quantity{}; });
    return delta;
}

}   // namespace

struct Quotas::State : std::enable_shared_from_this<State> {
    State(store::Store& its_store, const Catalog& its_catalog, Executor& its_executor)
        : store{its_store},
          catalog{its_catalog},
          executor{its_executor},
          quotas{*catalog.find("", "v1", "resourcequotas")} {}

    store::Store& store;
    const Catalog& catalog;
    Executor& executor;
    const ServedResource& quotas;
    struct Pending {
        std::set<std::string, std::less<>> waiting;   // namespaces with a recount to come
        std::map<std::string, Duration, std::less<>> cost;
    };
    Guarded<Pending> pending;
    Guarded<std::map<std::string, std::deque<Task>>> turns;   // a namespace that is there is busy
    std::unique_ptr<store::Watch> watch;
    Guarded<bool> draining{false};
    std::atomic<bool> stopped{false};

    template <class Visit>
    void each(std::string_view prefix, Visit visit) const {
        store.view(quotas.resource)
            .scan(prefix, {}, [&](std::string_view name, const store::ObjectPtr& object) {
                visit(name, object);
                return true;
            });
    }

    ResourceAmounts counted(const Json& quota, std::string_view name_space) const {
        const auto hard = hard_of(quota);
        ResourceAmounts used;
        for (const auto& [name, amount] : hard) used.emplace(name, Quantity::from_value(0));
        for (const auto& resource : catalog.resources()) {
            if (!resource.persistent || !resource.namespaced || resource.kind != resource.stored)
                continue;
            if (!quota_concerns(*resource.stored, hard)) continue;
            store.view(resource.resource)
                .scan(
                    concat(name_space, "/"), {},
                    [&](std::string_view, const store::ObjectPtr& object) {
                        const auto document = parse_current(*object);
                        if (document && quota_scopes_match(quota, *resource.stored, document->root))
                            add_amounts(
                                used, masked(quota_usage(*resource.stored, document->root), hard));
                        return true;
                    });
        }
        return used;
    }

    ResourceAmounts used_of(const Json& quota, std::string_view name_space) const {
        return settled(quota) ? amounts_in(quota.at_path({"status", "used"}))
                              : counted(quota, name_space);
    }

    store::Write write_of(Document& quota, std::string_view name) const {
        auto text = stored_text(quota.root, *quotas.stored);
        store::Write write{.key = {.resource = quotas.resource, .name = std::string{name}}};
        write.attributes = describe(*quotas.stored, quota.root);
        write.text = std::move(text.text);
        write.splice_at = text.splice_at;
        return write;
    }

    store::Precondition as_read(std::string_view name, const store::Object& object) const {
        return {.must = store::Precondition::Must::BeAt,
                .key = {.resource = quotas.resource, .name = std::string{name}},
                .at = object.modified};
    }

    size_t recount(std::string_view name_space) {
        size_t changed = 0;
        each(concat(name_space, "/"), [&](std::string_view name, const store::ObjectPtr& object) {
            auto quota = parse_stored(*object);
            if (!quota) return;
            const auto used = counted(quota->root, name_space);
            if (settled(quota->root) && used == amounts_in(quota->root.at_path({"status", "used"})))
                return;
            ++changed;
            set_status(*quota, used);
            store::Transaction transaction;
            transaction.preconditions.push_back(as_read(name, *object));
            transaction.writes.push_back(write_of(*quota, name));
            store.commit(std::move(transaction),
                         [weak = weak_from_this(),
                          space = std::string{name_space}](const Result<store::Committed>& done) {
                             const auto self = weak.lock();
                             if (self && !done && done.error().reason == Reason::Conflict)
                                 self->later(space, recount_delay_min);
                         });
        });
        return changed;
    }

    void later(std::string_view name_space, Duration at_least) {
        const auto delay = pending.use([&](Pending& known) -> std::optional<Duration> {
            if (stopped || !known.waiting.emplace(name_space).second) return std::nullopt;
            const auto cost = known.cost.find(name_space);
            const auto wait = cost == known.cost.end() ? Duration{} : cost->second * recount_share;
            return std::clamp<Duration>(wait, at_least, recount_delay_max);
        });
        if (!delay) return;
        executor.after(*delay, [weak = weak_from_this(), space = std::string{name_space}] {
            const auto self = weak.lock();
            if (!self || self->stopped) return;
            self->pending.use([&](Pending& known) { known.waiting.erase(space); });
            const auto begun = self->executor.clock().monotonic();
            self->recount(space);
            const auto took = self->executor.clock().monotonic() - begun;
            self->pending.use([&](Pending& known) { known.cost[space] = took; });
        });
    }

    // Creates that were decided before the quota was there are counted by the second look.
    void notice(std::string_view name, const store::ObjectPtr& object) {
        const auto quota = parse_current(*object);
        if (!quota || settled(quota->root)) return;
        later(namespace_in(name), Duration{});
        executor.after(second_look,
                       [weak = weak_from_this(), space = std::string{namespace_in(name)}] {
                           if (const auto self = weak.lock()) self->later(space, recount_delay_min);
                       });
    }

    void open_watch() {
        auto opened = store.watch(quotas.resource, "", store.revision(), [weak = weak_from_this()] {
            if (const auto self = weak.lock())
                self->executor.post([weak] {
                    if (const auto alive = weak.lock()) alive->drain();
                });
        });
        if (opened) watch = std::move(*opened);
        each("", [&](std::string_view name, const store::ObjectPtr&) {
            later(namespace_in(name), recount_delay_min);
        });
    }

    void drain() {
        draining.use([&](bool&) {
            while (watch && !stopped) {
                auto events = watch->drain(events_per_drain);
                if (!events) return open_watch();   // the window has passed on
                if (events->empty()) return;
                for (const auto& event : *events)
                    if (event->kind == store::Event::Kind::Put)
                        notice(event->key.name, event->object);
            }
        });
    }

    void plan_look() {
        executor.after(look_every, [weak = weak_from_this()] {
            const auto self = weak.lock();
            if (!self || self->stopped) return;
            self->each("", [&](std::string_view name, const store::ObjectPtr&) {
                self->later(namespace_in(name), recount_delay_min);
            });
            self->plan_look();
        });
    }

    void leave(const std::string& name_space) {
        auto next = turns.use([&](auto& all) -> Task {
            const auto found = all.find(name_space);
            if (found == all.end()) return {};
            if (found->second.empty()) {
                all.erase(found);
                return {};
            }
            Task task = std::move(found->second.front());
            found->second.pop_front();
            return task;
        });
        if (next) executor.post(std::move(next));
    }
};

Quotas::Quotas(store::Store& store, const Catalog& catalog, Executor& executor)
    : state_{std::make_shared<State>(store, catalog, executor)} {}

Quotas::~Quotas() {
    state_->stopped = true;
    state_->draining.use([&](bool&) { state_->watch.reset(); });
}

void Quotas::start() {
    state_->draining.use([&](bool&) { state_->open_watch(); });
    state_->drain();
    state_->plan_look();
}

bool Quotas::guard(std::string_view name_space) const {
    return !name_space.empty() &&
           state_->store.view(state_->quotas.resource).count(concat(name_space, "/")) > 0;
}

void Quotas::freed(std::string_view name_space) { state_->later(name_space, recount_delay_min); }

size_t Quotas::recount_now(std::string_view name_space) { return state_->recount(name_space); }

void Quotas::in_turn(const CallPtr& call, std::string_view name_space, Task task) {
    if (!guard(name_space)) return task();
    const std::string space{name_space};
    call->when_answered([state = state_, space](int) { state->leave(space); });
    const bool now = state_->turns.use([&](auto& all) {
        const auto [turn, free] = all.try_emplace(space);
        if (!free) turn->second.push_back(std::move(task));
        return free;
    });
    if (now) task();
}

namespace {

Error exceeded(const ServedResource& resource, const Json& object, std::string_view quota,
               const ResourceAmounts& delta, const ResourceAmounts& used,
               const ResourceAmounts& over) {
    return denied(
        resource, metadata_text(object, "name"),
        concat("exceeded quota: ", quota, ", requested: ", quota_text(masked(delta, over)),
               ", used: ", quota_text(masked(used, over)), ", limited: ", quota_text(over)));
}

ResourceAmounts bounds_passed(const ResourceAmounts& delta, const ResourceAmounts& used,
                              const ResourceAmounts& hard) {
    ResourceAmounts over;
    for (const auto& [name, amount] : delta) {
        if (amount <= Quantity{}) continue;
        const auto known = used.find(name);
        const auto sum = known == used.end() ? amount : known->second + amount;
        if (const auto bound = hard.find(name); bound != hard.end() && sum > bound->second)
            over.emplace(name, bound->second);
    }
    return over;
}

}   // namespace

Result<bool> Quotas::charge(const ServedResource& resource, std::string_view name_space,
                            const Json* before, const Json& after, Claims claims) const {
    if (!resource.namespaced || !guard(name_space)) return false;
    const auto& kind = *resource.stored;
    const auto usage = quota_usage(kind, after);
    const auto usage_before = before ? quota_usage(kind, *before) : ResourceAmounts{};
    const auto own = resource.resource == state_->quotas.resource
                         ? store_name(resource, name_space, metadata_text(after, "name"))
                         : std::string{};
    bool frees = false;
    Result<> checked{};
    state_->each(
        concat(name_space, "/"), [&](std::string_view name, const store::ObjectPtr& object) {
            auto quota = parse_stored(*object);
            if (!checked || !quota || name == own) return;
            const auto hard = hard_of(quota->root);
            if (!quota_concerns(kind, hard)) return;
            const bool counts = quota_scopes_match(quota->root, kind, after);
            const bool counted = before && quota_scopes_match(quota->root, kind, *before);
            const auto quota_name = metadata_text(quota->root, "name");
            if (const auto unsaid = counts && !before ? quota_unsaid(hard, kind, after) : "";
                !unsaid.empty()) {
                checked = std::unexpected{
                    denied(resource, metadata_text(after, "name"),
                           concat("failed quota: ", quota_name, ": must specify ", unsaid))};
                return;
            }
            const auto delta = difference(counts ? masked(usage, hard) : ResourceAmounts{},
                                          counted ? masked(usage_before, hard) : ResourceAmounts{});
            const bool more = std::ranges::any_of(
                delta, [](const auto& entry) { return entry.second > Quantity{}; });
            if (!more) {
                frees |= !delta.empty();
                return;
            }
            auto used = state_->used_of(quota->root, name_space);
            if (const auto over = bounds_passed(delta, used, hard); !over.empty()) {
                checked = std::unexpected{exceeded(resource, after, quota_name, delta, used, over)};
                return;
            }
            add_amounts(used, delta);
            set_status(*quota, used);
            claims.also.push_back(state_->as_read(name, *object));
            claims.writes.push_back(state_->write_of(*quota, name));
        });
    TRY_OK(std::move(checked));
    return frees;
}

}   // namespace skiff::apiserver
