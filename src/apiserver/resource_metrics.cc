#include "apiserver/resource_metrics.h"

#include <map>
#include <set>

#include "apiserver/resource_usage.h"
#include "apiserver/selection.h"
#include "base/guarded.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

constexpr Duration window_min = std::chrono::seconds{1};
constexpr Duration window_max = std::chrono::minutes{2};
constexpr auto node_timeout = std::chrono::seconds{5};

struct Wanted {   // one object to give, if its node measures it
    std::string name_space;
    std::string name;
    std::string node;
    std::vector<std::pair<std::string, std::string>> labels;
};

}   // namespace

FetchUsage fetch_usage_over(net::Loop& loop) {
    return [&loop](const net::Endpoint& node, std::function<void(Result<std::string>)> done) {
        loop.post([&loop, node, done = std::move(done)] {
            struct Fetch {
                std::unique_ptr<net::HttpClient> client;   // outlives the exchange
                std::unique_ptr<net::HttpClient::Exchange> exchange;
                int status = 0;
                std::string body;
            };
            auto fetch = std::make_shared<Fetch>();
            fetch->client = net::make_http_client(loop, node);
            net::ExchangeSink sink;
            sink.head = [raw = fetch.get()](int status, const net::Headers&) {
                raw->status = status;
            };
            sink.data = [raw = fetch.get()](std::string_view bytes) { raw->body += bytes; };
            sink.end = [&loop, fetch, done](Result<> how) {
                if (how && fetch->status != 200)
                    how = skiff::fail(Reason::ServiceUnavailable,
                                      concat("the node answered ", fetch->status));
                done(how ? Result<std::string>{std::move(fetch->body)}
                         : std::unexpected{std::move(how).error()});
                // The exchange holds this callback: it is let go of after its return.
                loop.post([fetch] { fetch->exchange.reset(); });
            };
            fetch->exchange = fetch->client->start(
                {.target = "/metrics/resource", .timeout = node_timeout}, std::move(sink));
        });
    };
}

class ResourceMetrics::Core : public std::enable_shared_from_this<Core> {
  public:
    Core(Registry& registry, FindNode find_node)
        : registry_{registry}, find_node_{std::move(find_node)} {}

    void set_fetch(FetchUsage fetch) {
        state_.use([&](State& state) { state.fetch = std::move(fetch); });
    }

    void serve(const CallPtr& call) {
        auto gathering = std::make_shared<Gathering>();
        gathering->call = call;
        gathering->wanted =
            call->info.resource == "nodes" ? wanted_nodes(*call) : wanted_pods(*call);
        std::set<std::string> nodes;
        for (const auto& wanted : gathering->wanted) nodes.insert(wanted.node);
        if (nodes.empty()) return answer(*gathering, {});
        if (!state_.use([](State& state) { return static_cast<bool>(state.fetch); }))
            return call->fail({.reason = Reason::ServiceUnavailable,
                               .message = "no metrics are collected at the moment"});
        gathering->missing = nodes.size();
        for (const auto& node : nodes)
            ask(node, [self = shared_from_this(), gathering, node](const NodeUsage& usage) {
                self->arrived(gathering, node, usage);
            });
    }

  private:
    using Done = std::function<void(const NodeUsage& usage)>;
    using Usages = std::map<std::string, NodeUsage, std::less<>>;   // by node

    struct Node {
        std::optional<UsageSample> last;
        MonoTime last_at;
        NodeUsage usage;   // up to `last`
        bool asking = false;
        std::vector<Done> waiting;
    };
    struct State {
        FetchUsage fetch;
        std::map<std::string, Node, std::less<>> nodes;
    };
    struct Gathering {
        CallPtr call;
        std::vector<Wanted> wanted;
        Guarded<Usages> usages;
        std::atomic<size_t> missing = 0;
    };
    using GatheringPtr = std::shared_ptr<Gathering>;

    std::vector<Wanted> wanted_nodes(const Call& call) const {
        std::vector<Wanted> found;
        scan("nodes", "", [&](std::string_view name, const store::Object& object) {
            if (!call.info.name.empty() && name != call.info.name) return;
            found.push_back({.name_space = {},
                             .name = std::string{name},
                             .node = std::string{name},
                             .labels = object.attributes->labels});
        });
        return found;
    }

    std::vector<Wanted> wanted_pods(const Call& call) const {
        std::vector<Wanted> found;
        const auto prefix =
            call.info.name_space.empty() ? std::string{} : concat(call.info.name_space, "/");
        scan("pods", prefix, [&](std::string_view path, const store::Object& object) {
            const auto [name_space, name] = cut(path, '/');
            if (!call.info.name.empty() && name != call.info.name) return;
            const auto field = [&](std::string_view key) -> std::string {
                for (const auto& [known, value] : object.attributes->fields)
                    if (known == key) return std::string{value};
                return {};
            };
            if (field("status.phase") != "Running") return;
            found.push_back({.name_space = std::string{name_space},
                             .name = std::string{name.value_or("")},
                             .node = field("spec.nodeName"),
                             .labels = object.attributes->labels});
        });
        return found;
    }

    template <class F>
    void scan(std::string_view plural, const std::string& prefix, F&& take) const {
        const auto view = registry_.parts().store.view(registry_.core(plural).resource);
        view.scan(prefix, std::nullopt, [&](std::string_view name, const store::ObjectPtr& object) {
            if (object->attributes) take(name, *object);
            return true;
        });
    }

    // Gives the node's figures, at once when they are fresh; questions at the same time share one.
    void ask(const std::string& node, Done done) {
        const auto now = registry_.parts().clock.monotonic();
        std::optional<NodeUsage> fresh;
        const bool begin = state_.use([&](State& state) {
            auto& known = state.nodes[node];
            if (known.last && known.usage.complete && now - known.last_at < window_min) {
                fresh = known.usage;
                return false;
            }
            known.waiting.push_back(done);
            return !std::exchange(known.asking, true);
        });
        if (fresh) return done(*fresh);
        if (begin) measure(node, false);
    }

    void measure(const std::string& node, bool again) {
        auto fetch = state_.use([](State& state) { return state.fetch; });
        const auto endpoint = find_node_(node);
        if (!fetch || !endpoint) return finish(node, {});
        fetch(*endpoint, [self = shared_from_this(), node, again](Result<std::string> text) {
            self->measured(node, again, text);
        });
    }

    void measured(const std::string& node, bool again, const Result<std::string>& text) {
        if (!text) return finish(node, {});
        const auto& clock = registry_.parts().clock;
        const auto now = clock.monotonic();
        auto sample = parse_resource_metrics(*text, clock.now());
        const auto usage = state_.use([&](State& state) {
            auto& known = state.nodes[node];
            const auto age = now - known.last_at;
            const bool usable = known.last && age < window_max && (again || age >= window_min);
            known.usage =
                usable ? usage_between(*known.last, sample) : usage_between(UsageSample{}, sample);
            known.last = std::move(sample);
            known.last_at = now;
            return known.usage;
        });
        if (usage.complete || again) return finish(node, usage);
        registry_.parts().executor.after(
            window_min, [self = shared_from_this(), node] { self->measure(node, true); });
    }

    void finish(const std::string& node, const NodeUsage& usage) {
        const auto waiting = state_.use([&](State& state) {
            auto& known = state.nodes[node];
            known.asking = false;
            auto taken = std::exchange(known.waiting, {});
            // A node that is gone, or does not answer, leaves nothing behind.
            if (!usage.node && usage.pods.empty()) state.nodes.erase(node);
            return taken;
        });
        for (const auto& done : waiting) done(usage);
    }

    void arrived(const GatheringPtr& gathering, const std::string& node, const NodeUsage& usage) {
        gathering->usages.use([&](Usages& usages) { usages[node] = usage; });
        if (gathering->missing.fetch_sub(1) != 1) return;
        registry_.parts().executor.post([self = shared_from_this(), gathering] {
            gathering->usages.use([&](const Usages& usages) { self->answer(*gathering, usages); });
        });
    }

    void answer(Gathering& gathering, const Usages& usages) const {
        const auto& resource = *gathering.call->resource;
        const bool nodes = gathering.call->info.resource == "nodes";
        std::vector<store::ObjectPtr> objects;
        for (const auto& wanted : gathering.wanted) {
            const auto found = usages.find(wanted.node);
            if (found == usages.end()) continue;
            Arena arena;
            auto object = Json::object();
            if (nodes) {
                if (!found->second.node) continue;
                object = node_metrics(*found->second.node, arena);
            } else {
                const auto pod =
                    found->second.pods.find(concat(wanted.name_space, "/", wanted.name));
                if (pod == found->second.pods.end()) continue;
                object = pod_metrics(pod->second, arena);
            }
            name(object, wanted, arena);
            objects.push_back(made_object(resource, object));
        }
        registry_.answer_made(gathering.call, std::move(objects));
    }

    void name(Json& object, const Wanted& wanted, Arena& arena) const {
        auto& metadata = metadata_of(object, arena);
        metadata.set(arena, "name", Json::string(arena, wanted.name));
        if (!wanted.name_space.empty())
            metadata.set(arena, "namespace", Json::string(arena, wanted.name_space));
        metadata.set(arena, "creationTimestamp",
                     Json::string(arena, rfc3339(registry_.parts().clock.now())));
        if (wanted.labels.empty()) return;
        auto& labels = metadata.make_object(arena, "labels");
        for (const auto& [key, value] : wanted.labels)
            labels.set(arena, key, Json::string(arena, value));
    }

    Registry& registry_;
    FindNode find_node_;
    Guarded<State> state_;
};

ResourceMetrics::ResourceMetrics(Registry& registry, FindNode find_node)
    : core_{std::make_shared<Core>(registry, std::move(find_node))} {}
ResourceMetrics::~ResourceMetrics() = default;

void ResourceMetrics::set_fetch(FetchUsage fetch) { core_->set_fetch(std::move(fetch)); }

bool ResourceMetrics::serve(const CallPtr& call) {
    if (call->info.group != "metrics.k8s.io") return false;
    core_->serve(call);
    return true;
}

}   // namespace skiff::apiserver
