// For tests: a whole API server over a store in memory, under virtual time on one thread, asked
// as a client would ask it. Included by tests only.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "apiserver/api_server.h"
#include "client/testing.h"
#include "net/tls.h"
#include "store/engine.h"

namespace skiff::apiserver::testing {

using HeaderList = std::vector<std::pair<std::string, std::string>>;

struct Answer {
    int status = 0;   // 0: none came
    net::Headers headers;
    std::string body;
    codec::Document json;   // null when the body is none
    std::shared_ptr<net::BodySource> source;

    std::string text(std::initializer_list<std::string_view> path) const {
        return std::string{json.root.text_at(path)};
    }
    const codec::Json* at(std::initializer_list<std::string_view> path) const {
        return json.root.at_path(path);
    }
    int64_t number(std::initializer_list<std::string_view> path) const {
        const auto* value = at(path);
        return value && value->is_integer() ? value->as_int() : -1;
    }
    std::string message() const { return text({"message"}); }
    std::string reason() const { return text({"reason"}); }
    std::string version() const { return text({"metadata", "resourceVersion"}); }
    std::string header(std::string_view name) const {
        return std::string{headers.find(name).value_or("")};
    }
    std::vector<std::string> names() const {   // of a list's items
        std::vector<std::string> out;
        if (const auto* items = at({"items"}))
            for (const auto& item : items->items())
                out.emplace_back(item.text_at({"metadata", "name"}));
        return out;
    }
};

inline std::string text_of(const std::vector<Slice>& slices) {
    std::string out;
    for (const auto& slice : slices) out += slice.view();
    return out;
}

// Takes the one answer.
class Catcher final : public net::Responder {
  public:
    explicit Catcher(std::shared_ptr<net::Response> into) : into_{std::move(into)} {
        into_->status = 0;
    }
    void send(net::Response response) override { *into_ = std::move(response); }
    void upgrade(net::Headers, std::function<void(std::unique_ptr<net::RawStream>)>) override {
        into_->status = 101;
    }
    void on_gone(std::function<void()>) override {}
    net::Loop& loop() override { std::abort(); }

  private:
    std::shared_ptr<net::Response> into_;
};

// A watch's body, pulled by hand: each look gives the events since the last.
class Watching {
  public:
    Watching(std::shared_ptr<net::BodySource> source, client::testing::FakeExecutor& executor)
        : source_{std::move(source)}, executor_{executor} {
        if (source_) source_->on_wake([] {});
    }
    struct Event {
        std::string type;
        std::string name;
        codec::Document object;
        std::string version() const {
            return std::string{object.root.text_at({"metadata", "resourceVersion"})};
        }
    };
    std::vector<Event> events() {
        executor_.settle();
        std::vector<Slice> out;
        while (source_ && !ended_) {
            const auto state = source_->pull(out, 1 << 16);
            if (state == net::BodySource::State::Wait) break;
            ended_ = state != net::BodySource::State::More;
        }
        std::vector<Event> found;
        const auto text = text_of(out);
        for (const auto line : split(text, '\n')) {
            if (line.empty()) continue;
            auto document = codec::parse_json(line);
            EXPECT_TRUE(document) << line;
            if (!document) continue;
            const auto* object = document->root.find("object");
            if (!object) continue;
            Event event{.type = std::string{document->root.text_at({"type"})},
                        .name = std::string{object->text_at({"metadata", "name"})},
                        .object = {}};
            event.object.root = object->deep_copy(event.object.arena);
            found.push_back(std::move(event));
        }
        return found;
    }
    std::string words() {   // "ADDED a, DELETED b"
        std::string out;
        for (const auto& event : events())
            append(out, out.empty() ? "" : ", ", event.type, event.name.empty() ? "" : " ",
                   event.name);
        return out;
    }
    bool ended() const { return ended_; }
    void drop() { source_.reset(); }

  private:
    std::shared_ptr<net::BodySource> source_;
    client::testing::FakeExecutor& executor_;
    bool ended_ = false;
};

inline std::string test_key_pem() {
    static const std::string pem = net::make_key_pem().value();
    return pem;
}

class TestServer {
  public:
    explicit TestServer(store::StoreOptions options = {},
                        std::string_view service_cidr = "10.96.0.0/16",
                        const std::function<void(ApiServerOptions&)>& change = {})
        : store{opened(std::move(options))},
          api{*store, executor.clock(), random, executor,
              server_options(executor.clock(), service_cidr, change)} {
        api.set_ready(true);
        for (const std::string_view name : {"default", "kube-system", "other"})
            EXPECT_EQ(post("/api/v1/namespaces", concat(R"({"metadata":{"name":")", name, R"("}})"))
                          .status,
                      201);
    }

    // As system:masters unless the headers bring an authorization of their own ("" for none).
    Answer request(std::string method, std::string_view target, std::string body = {},
                   HeaderList headers = {}, std::shared_ptr<const net::Peer> peer = nullptr) {
        const auto [path, query] = cut(target, '?');
        net::Request request{.method = std::move(method),
                             .path = std::string{path},
                             .query = std::string{query.value_or("")}};
        bool authorized = false;
        for (const auto& [name, value] : headers) {
            if (name == "authorization") authorized = true;
            if (!value.empty()) request.headers.add(name, value);
        }
        if (!authorized) request.headers.add("authorization", "Bearer admin");
        request.body = std::move(body);
        request.peer = std::move(peer);
        auto response = std::make_shared<net::Response>();
        api.handler()(std::move(request), std::make_shared<Catcher>(response));
        executor.settle();
        Answer answer{.status = response->status,
                      .headers = response->headers,
                      .body = text_of(response->body),
                      .json = {},
                      .source = response->source};
        if (auto document = codec::parse_json(answer.body)) answer.json = std::move(*document);
        return answer;
    }
    Answer get(std::string_view target, HeaderList headers = {}) {
        return request("GET", target, {}, std::move(headers));
    }
    Answer post(std::string_view target, std::string body, HeaderList headers = {}) {
        return request("POST", target, std::move(body), std::move(headers));
    }
    Answer put(std::string_view target, std::string body, HeaderList headers = {}) {
        return request("PUT", target, std::move(body), std::move(headers));
    }
    Answer remove(std::string_view target, std::string body = {}) {
        return request("DELETE", target, std::move(body));
    }
    Answer merge(std::string_view target, std::string body) {
        return patch(target, std::move(body), "application/merge-patch+json");
    }
    Answer patch(std::string_view target, std::string body, std::string type) {
        return request("PATCH", target, std::move(body), {{"content-type", std::move(type)}});
    }
    Watching watch(std::string_view target, HeaderList headers = {}) {
        auto answer = get(target, std::move(headers));
        EXPECT_EQ(answer.status, 200) << answer.body;
        return Watching{answer.source, executor};
    }
    // A config map with some labels: {"app":"a"}.
    Answer config_map(std::string_view name, std::string_view labels = "{}",
                      std::string_view name_space = "default") {
        return post(concat("/api/v1/namespaces/", name_space, "/configmaps"),
                    concat(R"({"metadata":{"name":")", name, R"(","labels":)", labels,
                           R"(},"data":{"k":"v"}})"));
    }
    Answer pod(std::string_view name, std::string_view more_spec = "",
               std::string_view more_metadata = "") {
        return post(
            "/api/v1/namespaces/default/pods",
            concat(R"({"metadata":{"name":")", name, '"', more_metadata,
                   R"(},"spec":{"containers":[{"name":"c","image":"i"}])", more_spec, "}}"));
    }

    client::testing::FakeExecutor executor;
    client::testing::FakeRandom random;
    std::unique_ptr<store::Store> store;
    ApiServer api;

  private:
    std::unique_ptr<store::Store> opened(store::StoreOptions options) {
        options.describe = ApiServer::describe;
        options.fatal = [](const Error& error) { ADD_FAILURE() << error.message; };
        return store::open_store(store::make_memory_engine(), executor, std::move(options)).value();
    }
    static ApiServerOptions server_options(Clock& clock, std::string_view service_cidr,
                                           const std::function<void(ApiServerOptions&)>& change) {
        ApiServerOptions options;
        options.service_cidr = service_cidr;
        options.service_account_key_pem = test_key_pem();
        const auto token = [](std::string_view name, std::string_view user,
                              std::vector<std::string> groups) {
            return StaticToken{.token = std::string{name},
                               .user = {.name = std::string{user},
                                        .uid = {},
                                        .groups = std::move(groups),
                                        .extra = {}},
                               .expires = {}};
        };
        options.tokens = {token("admin", "admin", {"system:masters"}), token("alice", "alice", {}),
                          token("node", "system:node:n1", {"system:nodes"}),
                          token("false-node", "mallory", {"system:nodes"}),
                          token("joining", "system:bootstrap:abcdef", {"system:bootstrappers"})};
        options.tokens.push_back(token("late", "admin", {"system:masters"}));
        options.tokens.back().expires = clock.now() + std::chrono::hours{1};
        if (change) change(options);
        return options;
    }
};

}   // namespace skiff::apiserver::testing
