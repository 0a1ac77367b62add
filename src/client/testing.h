// For tests: an executor of one thread under virtual time, and an API of plain objects in memory
// that can be told to fail. Included by tests only.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/text.h"
#include "client/client.h"
#include "codec/json.h"

namespace skiff::client::testing {

// Tasks run in the order they were posted; time moves only when nothing else is left to do. A task
// that waits runs the others meanwhile, on its own stack.
class FakeExecutor final : public Executor, private Clock {
  public:
    void post(Task task) override { tasks_.push_back(std::move(task)); }
    TimerId after(Duration delay, Task task) override {
        const auto id = static_cast<TimerId>(++last_timer_);
        timers_.emplace(std::pair{now_ + std::max(delay, Duration::zero()), id}, std::move(task));
        return id;
    }
    bool cancel(TimerId id) override {
        return std::erase_if(timers_, [&](const auto& timer) { return timer.first.second == id; });
    }
    std::shared_ptr<Waiter> make_waiter() override { return std::make_shared<FakeWaiter>(*this); }
    Clock& clock() override { return *this; }

    void settle() {   // all that needs no time
        while (step()) {}
    }
    void advance(Duration span) {
        const MonoTime until = now_ + span;
        do settle();
        while (jump(until));
        now_ = std::max(now_, until);
    }
    MonoTime at() const { return now_; }
    size_t timers() const { return timers_.size(); }

  private:
    class FakeWaiter final : public Waiter {
      public:
        explicit FakeWaiter(FakeExecutor& executor) : executor_{executor} {}
        void notify() override { notified_ = true; }
        bool wait_until(std::optional<MonoTime> deadline) override {
            while (!notified_) {
                if (executor_.step()) continue;
                if (executor_.jump(deadline.value_or(MonoTime::max()))) continue;
                ASSERT(deadline);   // nobody is left to notify: a test waits forever
                executor_.now_ = std::max(executor_.now_, *deadline);
                return false;
            }
            return true;
        }

      private:
        FakeExecutor& executor_;
        bool notified_ = false;
    };

    WallTime now() const override {
        return WallTime{std::chrono::seconds{1'700'000'000}} + now_.time_since_epoch();
    }
    MonoTime monotonic() const override { return now_; }
    bool step() {
        if (tasks_.empty()) return false;
        Task task = std::move(tasks_.front());
        tasks_.pop_front();
        task();
        return true;
    }
    bool jump(MonoTime until) {   // to the next timer, unless it is later than that
        if (timers_.empty() || timers_.begin()->first.first > until) return false;
        now_ = timers_.begin()->first.first;
        tasks_.push_back(std::move(timers_.begin()->second));
        timers_.erase(timers_.begin());
        return true;
    }

    std::deque<Task> tasks_;
    std::map<std::pair<MonoTime, TimerId>, Task> timers_;
    MonoTime now_;
    uint64_t last_timer_ = 0;
};

class FakeRandom final : public Random {   // splitmix64
  public:
    explicit FakeRandom(uint64_t seed = 1) : state_{seed} {}
    void fill(std::span<unsigned char> bytes) override {
        for (auto& byte : bytes) {
            uint64_t z = state_ += 0x9e3779b97f4a7c15;
            z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
            z = (z ^ z >> 27) * 0x94d049bb133111eb;
            byte = static_cast<unsigned char>((z ^ z >> 31) >> 56);
        }
    }

  private:
    uint64_t state_;
};

// Objects by the path of their resource and key; every write is a revision.
class FakeApi final : public Transport {
  public:
    explicit FakeApi(FakeExecutor& executor) : executor_{executor} {}

    // Faults.
    std::deque<Error> fail_sends;     // answered to the next requests, one each
    std::deque<Error> fail_watches;   // how the next watches end at once
    Duration latency{};               // of every answer
    bool lose_answers = false;        // writes are done, their answers are not: "maybe"
    std::function<void(const ApiRequest&)> on_request;

    std::vector<std::string> requests;   // "GET /api/v1/things?limit=500"
    uint64_t revision = 100;

    // `rest` is the JSON of further members, e.g. R"(,"spec":{})".
    void put(const std::string& path, const std::string& rest = "", const std::string& owner = "") {
        const auto key = key_of(path);
        auto known = objects_.find(path);
        const std::string uid =
            known != objects_.end() ? known->second.uid : concat("uid-", revision + 1);
        std::string meta = concat("\"name\":\"", key.name, "\",\"uid\":\"", uid, "\"");
        if (!key.name_space.empty()) append(meta, ",\"namespace\":\"", key.name_space, "\"");
        if (!owner.empty()) append(meta, ",\"ownerReferences\":[{\"uid\":\"", owner, "\"}]");
        store(path, uid, meta, rest);
    }
    void erase(const std::string& path) {
        const auto known = objects_.find(path);
        if (known == objects_.end()) return;
        ++revision;
        record(path, WatchEvent::Type::Deleted, text_of(known->second, revision));
        objects_.erase(known);
    }
    void bookmark() {
        for (auto* stream : streams_)
            stream->send({WatchEvent::Type::Bookmark,
                          Bytes{concat(R"({"metadata":{"resourceVersion":")", revision, "\"}}")}});
    }
    void drop_watches(const Result<>& how = {}) {
        for (auto* stream : std::vector{streams_}) stream->end(how);
    }
    void compact() { compacted_ = revision; }
    size_t watches() const { return streams_.size(); }
    bool has(const std::string& path) const { return objects_.contains(path); }
    std::string text(const std::string& path) const {
        return text_of(objects_.at(path), objects_.at(path).revision);
    }

    void send(ApiRequest request,
              std::move_only_function<void(Result<ApiResponse>)> done) override {
        requests.push_back(line_of(request));
        if (on_request) on_request(request);
        auto answer = fail_sends.empty() ? serve(request) : refuse(fail_sends);
        if (lose_answers && answer && request.method != "GET")
            answer = fail(Reason::ServiceUnavailable, "connection lost");
        executor_.after(latency, [done = std::move(done), answer = std::move(answer)]() mutable {
            done(std::move(answer));
        });
    }

    std::unique_ptr<Stream> watch(ApiRequest request, std::shared_ptr<WatchSink> sink) override {
        requests.push_back(line_of(request));
        auto stream = std::make_unique<FakeStream>(*this, request.path, std::move(sink));
        streams_.push_back(stream.get());
        const uint64_t from =
            parse_number<uint64_t>(parameter(request.query, "resourceVersion")).value_or(0);
        if (!fail_watches.empty()) {
            stream->end(std::unexpected{take(fail_watches)});
        } else if (from < compacted_) {
            Error expired = error_from_status(
                410,
                R"({"kind":"Status","reason":"Expired","message":"too old resource version"})");
            stream->end(std::unexpected{expired});
        } else {
            for (const auto& event : history_)
                if (event.revision > from && covers(request.path, event.path))
                    stream->send({event.type, event.object});
        }
        return stream;
    }

  private:
    struct Stored {
        std::string uid;
        std::string meta;   // members of metadata, without resourceVersion
        std::string rest;
        uint64_t revision = 0;
    };
    struct Event {
        std::string path;
        uint64_t revision;
        WatchEvent::Type type;
        Bytes object;
    };
    // Delivers by the executor, in order, and nothing after its end.
    class FakeStream final : public Stream {
      public:
        FakeStream(FakeApi& api, std::string path, std::shared_ptr<WatchSink> sink)
            : api_{&api}, path_{std::move(path)}, sink_{std::move(sink)} {}
        ~FakeStream() override {
            *open_ = false;
            std::erase(api_->streams_, this);
        }
        void send(WatchEvent event) {
            api_->executor_.post([open = open_, sink = sink_, event = std::move(event)] {
                if (*open) sink->event(event);
            });
        }
        void end(const Result<>& how) {
            std::erase(api_->streams_, this);
            api_->executor_.post([open = open_, sink = sink_, how] {
                if (std::exchange(*open, false)) sink->ended(how);
            });
        }
        const std::string& path() const { return path_; }

      private:
        FakeApi* api_;
        std::string path_;
        std::shared_ptr<WatchSink> sink_;
        std::shared_ptr<bool> open_ = std::make_shared<bool>(true);
    };

    static std::string line_of(const ApiRequest& request) {
        return concat(request.method, " ", request.path, request.query.empty() ? "" : "?",
                      request.query);
    }
    static Error take(std::deque<Error>& errors) {
        Error error = std::move(errors.front());
        errors.pop_front();
        return error;
    }
    static std::unexpected<Error> refuse(std::deque<Error>& errors) {
        return std::unexpected{take(errors)};
    }
    static std::string parameter(std::string_view query, std::string_view name) {
        for (const auto part : split(query, '&'))
            if (const auto [key, value] = cut(part, '='); key == name && value)
                return std::string{*value};
        return {};
    }
    // ".../namespaces/NS/RESOURCE/NAME" or ".../RESOURCE/NAME"
    static ObjectKey key_of(std::string_view path) {
        const auto parts = split(path, '/');
        const size_t count = parts.size();
        ObjectKey key{.name = std::string{parts[count - 1]}};
        if (count >= 4 && parts[count - 4] == "namespaces") key.name_space = parts[count - 3];
        return key;
    }
    // Whether a collection's path (of one or all namespaces) has the object in it.
    static bool covers(std::string_view collection, std::string_view path) {
        const std::string_view of = path.substr(0, path.rfind('/'));
        if (of == collection) return true;
        const size_t at = of.find("/namespaces/");
        if (at == std::string_view::npos) return false;
        const std::string_view after = of.substr(at + 12);
        return concat(of.substr(0, at), after.substr(after.find('/'))) == collection;
    }
    static std::string text_of(const Stored& object, uint64_t at) {
        return concat("{\"metadata\":{", object.meta, ",\"resourceVersion\":\"", at, "\"}",
                      object.rest, "}");
    }

    void store(const std::string& path, const std::string& uid, const std::string& meta,
               const std::string& rest) {
        const bool is_new = !objects_.contains(path);
        objects_[path] = {uid, meta, rest, ++revision};
        record(path, is_new ? WatchEvent::Type::Added : WatchEvent::Type::Modified, text(path));
    }
    void record(const std::string& path, WatchEvent::Type type, const std::string& text) {
        history_.push_back({path, revision, type, Bytes{text}});
        for (auto* stream : streams_)
            if (covers(stream->path(), path)) stream->send({type, history_.back().object});
    }

    Result<ApiResponse> serve(const ApiRequest& request) {
        if (request.method == "POST") return create(request);
        const auto known = objects_.find(request.path);
        if (known == objects_.end()) {
            if (request.method == "GET" && !is_item(request.path)) return list(request);
            return fail(Reason::NotFound, concat(request.path, " not found"));
        }
        if (request.method == "GET") return ApiResponse{200, Bytes{text(request.path)}};
        if (request.method == "DELETE") return remove(request, known->second);
        if (request.method == "PUT") return update(request, known->second);
        patches.push_back(request.body);
        return change(request.path, known->second, known->second.rest, request.body);
    }
    bool is_item(std::string_view path) const {
        const auto parts = split(path, '/');
        const bool spaced =
            parts.size() > 4 && std::ranges::find(parts, "namespaces") != parts.end();
        const size_t base = parts[1] == "api" ? 3 : 4;
        return parts.size() - base == (spaced ? 4u : 2u);
    }
    Result<ApiResponse> create(const ApiRequest& request) {
        const auto body = codec::parse_json(request.body);
        const std::string path =
            concat(request.path, "/", body->root.text_at({"metadata", "name"}));
        if (objects_.contains(path))
            return fail(Reason::AlreadyExists, concat(path, " already exists"));
        put(path, rest_of(body->root), owner_of(body->root));
        return ApiResponse{201, Bytes{text(path)}};
    }
    Result<ApiResponse> update(const ApiRequest& request, const Stored& known) {
        const auto body = codec::parse_json(request.body);
        return change(request.path, known, rest_of(body->root), request.body);
    }
    Result<ApiResponse> change(const std::string& path, const Stored& known,
                               const std::string& rest, std::string_view body) {
        const auto wanted =
            json_text(json_member(json_member(body, "metadata"), "resourceVersion"));
        if (!wanted.empty() && wanted != concat(known.revision))
            return fail(Reason::Conflict, concat(path, " has changed"));
        store(path, known.uid, known.meta, rest);
        return ApiResponse{200, Bytes{text(path)}};
    }
    Result<ApiResponse> remove(const ApiRequest& request, const Stored& known) {
        const auto wanted = json_member(request.body, "preconditions");
        const auto uid = json_text(json_member(wanted, "uid"));
        const auto version = json_text(json_member(wanted, "resourceVersion"));
        if ((!uid.empty() && uid != known.uid) ||
            (!version.empty() && version != concat(known.revision)))
            return fail(Reason::Conflict, concat(request.path, " is another"));
        erase(request.path);
        return ApiResponse{200, Bytes{R"({"kind":"Status","status":"Success"})"}};
    }
    Result<ApiResponse> list(const ApiRequest& request) {
        const auto limit =
            parse_number<size_t>(parameter(request.query, "limit")).value_or(100'000);
        const auto after = parameter(request.query, "continue");   // the last path, in hex
        std::string items, last, next;
        size_t count = 0;
        for (const auto& [path, object] : objects_) {
            if (!covers(request.path, path) || hex(path) <= after) continue;
            if (count++ == limit) {
                next = last;
                break;
            }
            append(items, items.empty() ? "" : ",", text(path));
            last = hex(path);
        }
        return ApiResponse{
            200,
            Bytes{concat(R"({"kind":"ThingList","apiVersion":"v1","metadata":{"resourceVersion":")",
                         revision, "\",\"continue\":\"", next, "\"},\"items\":[", items, "]}")}};
    }
    static std::string rest_of(const codec::Json& root) {
        std::string rest;
        for (const auto& member : root.members())
            if (member.key != "metadata")
                append(rest, ",\"", member.key, "\":", codec::to_json(member.value));
        return rest;
    }
    static std::string owner_of(const codec::Json& root) {
        const auto* owners = root.at_path({"metadata", "ownerReferences"});
        return owners && !owners->empty() ? std::string{owners->items()[0].text_at({"uid"})} : "";
    }

  public:
    std::vector<std::string> patches;   // bodies, as they came

  private:
    FakeExecutor& executor_;
    std::map<std::string, Stored> objects_;
    std::vector<Event> history_;
    std::vector<FakeStream*> streams_;
    uint64_t compacted_ = 0;
};

}   // namespace skiff::client::testing
