#include "sim/cluster.h"

#include <algorithm>
#include <ranges>

#include "base/text.h"
#include "client/json_scan.h"

namespace skiff::sim {
namespace {

apiserver::User component(std::string_view name) {
    apiserver::User user{.name = std::string{name}, .uid = {}, .groups = {}, .extra = {}};
    if (name.starts_with("system:serviceaccount:"))
        user.groups = {"system:serviceaccounts", "system:serviceaccounts:kube-system"};
    return user;
}

std::unexpected<Error> cut_off(std::string_view why) {
    return fail(Reason::ServiceUnavailable, std::string{why});
}

// The storage prefix of a watched collection, "" when it is not the whole of one.
std::string prefix_of(const client::ApiRequest& request) {
    if (request.query.contains("Selector=")) return {};
    static const std::map<std::string_view, std::string_view> prefixes{
        {"/api/v1/pods", "/registry/pods/"},
        {"/api/v1/nodes", "/registry/minions/"},
        {"/api/v1/namespaces", "/registry/namespaces/"},
        {"/api/v1/configmaps", "/registry/configmaps/"},
    };
    const auto found = prefixes.find(request.path);
    return found == prefixes.end() ? std::string{} : std::string{found->second};
}

int64_t revision_in(std::string_view object) {
    const auto identity = client::identity_of(object);
    return identity ? parse_number<int64_t>(identity->resource_version).value_or(0) : 0;
}

int64_t start_of(std::string_view query) {
    for (const auto part : split(query, '&'))
        if (const auto [name, value] = cut(part, '='); name == "resourceVersion" && value)
            return parse_number<int64_t>(*value).value_or(0);
    return 0;
}

}   // namespace

// A watch through the faults, and what it promises: nothing twice, nothing left out, in order.
class FaultStream final : public client::Transport::Stream {
  public:
    struct Line {
        Cluster& cluster;
        Executor& own;
        std::shared_ptr<client::WatchSink> sink;
        std::string prefix;
        std::string what;
        int64_t last = 0;
        bool open = true;

        void event(client::WatchEvent event) {
            if (!open) return;
            const auto revision = revision_in(event.object.view());
            check(event.type, revision);
            last = std::max(last, revision);
            sink->event(std::move(event));
        }
        void end(Result<> how) {
            if (std::exchange(open, false)) sink->ended(std::move(how));
        }
        void check(client::WatchEvent::Type type, int64_t revision) {
            using Type = client::WatchEvent::Type;
            auto& record = cluster.record();
            const bool bookmark = type == Type::Bookmark;
            if (bookmark ? revision < last : revision <= last)
                record.broken(concat(what, ": revision ", revision, " came after ", last));
            if (prefix.empty() || last == 0) return;
            const auto& changes = record.changes(prefix);
            auto next = std::ranges::upper_bound(changes, last, {}, &Record::Change::revision);
            if (next == changes.end() || next->revision > revision) {
                if (!bookmark)
                    record.broken(concat(what, ": an event of revision ", revision,
                                         ", which was never written"));
                return;
            }
            if (bookmark || next->revision < revision)
                return record.broken(concat(what, ": ", next->key, " of revision ", next->revision,
                                            " was left out"));
            const auto right = next->deleted   ? Type::Deleted
                               : next->creates ? Type::Added
                                               : Type::Modified;
            if (type != right)
                record.broken(concat(what, ": the event of ", next->key, " at ", revision,
                                     " has another type"));
        }
    };
    // Between the server's stream and the line: events come on, or the connection is lost here.
    class Sink final : public client::WatchSink {
      public:
        explicit Sink(std::shared_ptr<Line> line) : line_{std::move(line)} {}
        void event(client::WatchEvent event) override {
            if (cut_) return;
            auto& cluster = line_->cluster;
            if (cluster.world().chance(cluster.faults.slow_watch))
                cluster.world().sleep(cluster.world().between(0ms, 3s));
            else
                cluster.world().pass();
            if (cut_ || !line_->open || cluster.dead()) return;
            if (cluster.world().chance(cluster.faults.dropped_watch)) {
                cut_ = true;
                const bool clean = cluster.world().chance(0.5);
                line_->own.post([line = line_, clean] {
                    line->end(clean ? Result<>{} : Result<>{cut_off("the watch broke off")});
                });
                return;
            }
            line_->event(std::move(event));
        }
        void ended(Result<> how) override {
            if (!std::exchange(cut_, true)) line_->end(std::move(how));
        }

      private:
        std::shared_ptr<Line> line_;
        bool cut_ = false;
    };

    FaultStream(Cluster& cluster, std::shared_ptr<Line> line)
        : cluster_{cluster}, line_{std::move(line)}, number_{++cluster.last_number_} {
        cluster_.streams_.emplace(number_, this);
    }
    ~FaultStream() override {
        line_->open = false;
        cluster_.streams_.erase(number_);
    }
    // The server dies.
    void lose() {
        inner = nullptr;
        line_->own.post([line = line_] { line->end(cut_off("the server is gone")); });
    }
    const Line& line() const { return *line_; }
    std::unique_ptr<client::Transport::Stream> inner;

  private:
    Cluster& cluster_;
    std::shared_ptr<Line> line_;
    const uint64_t number_;
};

Duration Cluster::delay() {
    const bool slow = world_.chance(faults.slow);
    return world_.between(
        std::chrono::microseconds{50},
        slow ? Duration{std::chrono::seconds{3}} : Duration{std::chrono::milliseconds{2}});
}

void Cluster::check_answer(const Under& call, const Result<client::ApiResponse>& result) {
    if (!result || !call.writes) return;
    if (const auto revision = revision_in(result->body.view())) record_.told(call.what, revision);
}

void Cluster::answer(const std::shared_ptr<Under>& call, Result<client::ApiResponse> result,
                     Duration delay) {
    if (under_way_.erase(call) == 0) return;   // it has been answered
    check_answer(*call, result);
    world_.note(result ? static_cast<uint64_t>(result->status) : uint64_t{999});
    call->own.after(
        delay, [call, result = std::move(result)]() mutable { call->done(std::move(result)); });
}

FaultTransport::~FaultTransport() {
    std::erase_if(cluster_.under_way_, [this](const auto& call) { return call->of == this; });
}

void FaultTransport::send(client::ApiRequest request,
                          std::move_only_function<void(Result<client::ApiResponse>)> done) {
    auto& world = cluster_.world_;
    const bool reviews = request.path.contains("reviews");
    const auto call = std::make_shared<Cluster::Under>(
        Cluster::Under{.of = this,
                       .own = own_,
                       .done = std::move(done),
                       .number = ++cluster_.last_number_,
                       .what = concat(request.method, " ", request.path),
                       .writes = request.method != "GET" && !reviews});
    world.note(call->what);
    cluster_.under_way_.insert(call);
    if (!cluster_.server_ || cluster_.dead())
        return cluster_.answer(call, cut_off("connection refused"), cluster_.delay());
    if (world.chance(cluster_.faults.lost_request))
        return cluster_.answer(call, cut_off("the request was lost"), cluster_.delay());
    const bool lost = world.chance(cluster_.faults.lost_answer);
    auto* const server = cluster_.server_.get();
    server->process.after(cluster_.delay(), [&cluster = cluster_, server, call, lost,
                                             request = std::move(request), user = user_]() mutable {
        if (cluster.dead()) return cluster.answer(call, cut_off("connection reset"));
        server->as(user).send(
            std::move(request), [&cluster, call, lost](Result<client::ApiResponse> result) {
                if (cluster.dead() || lost)
                    return cluster.answer(call, cut_off("the answer was lost"), cluster.delay());
                cluster.answer(call, std::move(result), cluster.delay());
            });
    });
    world.pass();
}

std::unique_ptr<client::Transport::Stream> FaultTransport::watch(
    client::ApiRequest request, std::shared_ptr<client::WatchSink> sink) {
    auto& world = cluster_.world_;
    auto line = std::make_shared<FaultStream::Line>(
        FaultStream::Line{.cluster = cluster_,
                          .own = own_,
                          .sink = std::move(sink),
                          .prefix = prefix_of(request),
                          .what = concat("the watch of ", request.path, "?", request.query),
                          .last = start_of(request.query)});
    world.note(line->what);
    auto stream = std::make_unique<FaultStream>(cluster_, line);
    const auto end = [&](Result<> how) {
        own_.post([line, how = std::move(how)]() mutable { line->end(std::move(how)); });
    };
    if (!cluster_.server_ || cluster_.dead()) {
        end(cut_off("connection refused"));
    } else if (world.chance(cluster_.faults.lost_request)) {
        end(cut_off("the request was lost"));
    } else if (world.chance(cluster_.faults.expired_watch)) {
        end(fail(Reason::Expired, "too old resource version"));
    } else {
        stream->inner = cluster_.server_->as(user_).watch(
            std::move(request), std::make_shared<FaultStream::Sink>(line));
    }
    return stream;
}

client::Transport& Cluster::Server::as(const apiserver::User& user) {
    auto& transport = transports[user.name];
    if (!transport) transport = api->transport_as(user);
    return *transport;
}

Cluster::Cluster(World& world, Disk::Kind disk)
    : world_{world}, record_{world}, disk_{world, record_, disk} {}

Cluster::~Cluster() {
    if (server_) crash();
}

void Cluster::start() {
    server_ = std::make_unique<Server>(world_);
    auto& server = *server_;
    death_ = server.process.make_waiter();
    auto engine = disk_.open([this] { death_->notify(); });
    if (!engine) world_.give_up(concat("the disk cannot be opened: ", engine.error().message));
    store::StoreOptions options;
    options.describe = &apiserver::ApiServer::describe;
    options.fatal = [this](const Error&) { disk_.kill(); };
    auto store = store::open_store(std::move(*engine), server.process, std::move(options));
    if (!store) world_.give_up(concat("the store cannot be opened: ", store.error().message));
    server.store = std::move(*store);
    server.api = std::make_unique<apiserver::ApiServer>(*server.store, server.process.clock(),
                                                        world_.random(), server.process,
                                                        apiserver::ApiServerOptions{});
    server.api->set_ready(true);
    controllers::ControllersOptions parts;
    parts.transport_as = [this, &server](std::string_view user) {
        return std::make_unique<FaultTransport>(*this, server.process, component(user));
    };
    parts.sign = [](const std::string& csr,
                    const controllers::CertificateUse&) -> Result<std::string> {
        return concat("signed ", csr);
    };
    parts.inspect =
        [](const std::string& csr) -> Result<controllers::ControllersOptions::CsrFacts> {
        return controllers::ControllersOptions::CsrFacts{.common_name = csr,
                                                         .organizations = {"system:nodes"},
                                                         .dns_names = {},
                                                         .addresses = {}};
    };
    parts.root_ca_pem = root_ca;
    server.controllers =
        controllers::make_controllers(server.process, world_.random(), std::move(parts));
    server.scheduler_transport =
        std::make_unique<FaultTransport>(*this, server.process, component("system:kube-scheduler"));
    server.scheduler =
        scheduler::make_scheduler(server.process, world_.random(), *server.scheduler_transport);
    server.controllers->start();
    server.scheduler->start();
}

void Cluster::wait_for_death(MonoTime until) {
    if (!disk_.dead()) death_->wait_until(until);
}

void Cluster::crash() {
    disk_.kill();
    for (const auto number : std::vector<uint64_t>(std::views::keys(streams_).begin(),
                                                   std::views::keys(streams_).end()))
        if (const auto stream = streams_.find(number); stream != streams_.end())
            stream->second->lose();
    for (const auto& call : std::vector(under_way_.begin(), under_way_.end()))
        answer(call, cut_off("connection reset"));
    auto& server = *server_;
    server.scheduler.reset();
    server.controllers.reset();
    server.process.settle();
    server.transports.clear();
    server.api.reset();
    server.store.reset();
    server_.reset();
}

void Cluster::check_watches_are_complete() {
    for (const auto& [number, stream] : streams_) {
        const auto& line = stream->line();
        if (!line.open || line.prefix.empty() || line.last == 0 || !stream->inner) continue;
        const auto& changes = record_.changes(line.prefix);
        if (!changes.empty() && changes.back().revision > line.last)
            record_.broken(concat(line.what, ": ", changes.back().key, " at ",
                                  changes.back().revision, " never came; the last was ",
                                  line.last));
    }
}

}   // namespace skiff::sim
