#include "client/https_transport.h"

#include <deque>

#include <gtest/gtest.h>

#include "base/text.h"
#include "client/testing.h"

namespace skiff::client {
namespace {

using testing::FakeExecutor;

// The loop's promises on the fake executor: one thread, virtual time.
class FakeLoop final : public net::Loop {
  public:
    explicit FakeLoop(FakeExecutor& executor) : executor_{executor} {}
    void run() override {}
    void stop() override {}
    void post(Task task) override { executor_.post(std::move(task)); }
    bool in_loop() const override { return true; }
    std::unique_ptr<Watch> watch(int, unsigned, Ready) override { return nullptr; }
    TimerId after(Duration delay, Task task) override {
        return executor_.after(delay, std::move(task));
    }
    bool cancel(TimerId id) override { return executor_.cancel(id); }
    Clock& clock() override { return executor_.clock(); }

  private:
    FakeExecutor& executor_;
};

// A network of scripted servers: what the test says comes out of the exchange it picks.
struct Wire {
    struct Exchange {
        std::string host;
        net::ClientRequest request;
        net::ExchangeSink sink;
        bool cancelled = false;
    };
    std::deque<Exchange> exchanges;   // a deque: references stay
    std::vector<std::string> dead;    // hosts that refuse

    Exchange& last() { return exchanges.back(); }
    void answer(int status, std::string_view body, std::string_view retry_after = {}) {
        auto& exchange = last();
        net::Headers headers;
        if (!retry_after.empty()) headers.add("retry-after", retry_after);
        exchange.sink.head(status, headers);
        if (!body.empty()) exchange.sink.data(body);
        exchange.sink.end({});
    }
};

class FakeHttp final : public net::HttpClient {
  public:
    FakeHttp(Wire& wire, net::Loop& loop, std::string host)
        : wire_{wire}, loop_{loop}, host_{std::move(host)} {}
    std::unique_ptr<Exchange> start(net::ClientRequest request, net::ExchangeSink sink) override {
        auto& made = wire_.exchanges.emplace_back(host_, std::move(request), std::move(sink));
        if (std::ranges::find(wire_.dead, host_) != wire_.dead.end())
            loop_.post([&made] {
                if (!made.cancelled)
                    made.sink.end(fail(Reason::InternalError, "connect: Connection refused"));
            });
        return std::make_unique<FakeExchange>(made);
    }
    void upgrade(net::ClientRequest, std::function<void(Result<Upgraded>)>) override {}

  private:
    struct FakeExchange final : Exchange {
        explicit FakeExchange(Wire::Exchange& made) : exchange{made} {}
        ~FakeExchange() override { exchange.cancelled = true; }
        void pause() override {}
        void resume() override {}
        Wire::Exchange& exchange;
    };
    Wire& wire_;
    net::Loop& loop_;
    std::string host_;
};

struct Recorder final : WatchSink {
    void event(WatchEvent event) override {
        events.push_back(concat(static_cast<int>(event.type), " ", event.object.view()));
        if (on_event) on_event();
    }
    void ended(Result<> how) override {
        ends.push_back(how ? "clean" : std::string{reason_text(how.error().reason)});
    }
    std::vector<std::string> events, ends;
    std::function<void()> on_event;
};

struct HttpsTest : ::testing::Test {
    explicit HttpsTest(std::vector<std::string> hosts = {"one", "two"}) {
        HttpsOptions options{.bearer_token = [this] { return token; }, .user_agent = "skiff/test"};
        for (const auto& host : hosts) options.servers.push_back({.host = host, .port = 6443});
        options.connect = [this](net::Loop& on, net::Endpoint endpoint) {
            return std::make_unique<FakeHttp>(wire, on, endpoint.host);
        };
        transport = make_https_transport(loop, std::move(options));
    }
    ~HttpsTest() override {
        transport.reset();
        executor.settle();
    }
    void send(ApiRequest request) {
        transport->send(std::move(request), [this](Result<ApiResponse> answer) {
            answers.push_back(
                answer ? concat(answer->status, " ", answer->body.view())
                       : concat(reason_text(answer.error().reason), ": ", answer.error().message));
            last_error = answer ? Error{} : answer.error();
        });
        executor.settle();
    }

    FakeExecutor executor;
    FakeLoop loop{executor};
    Wire wire;
    std::string token = "secret";
    std::vector<std::string> answers;
    Error last_error;
    std::unique_ptr<Transport> transport;
};
using Texts = std::vector<std::string>;

TEST_F(HttpsTest, a_request_carries_path_query_body_and_token) {
    send({.method = "POST",
          .path = "/apis/x/v1/roles/system:a b",
          .query = "dryRun=All",
          .content_type = "application/json",
          .body = "{}"});
    const auto& request = wire.last().request;
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(request.target, "/apis/x/v1/roles/system:a%20b?dryRun=All");
    EXPECT_EQ(request.body, "{}");
    EXPECT_EQ(request.headers.find("content-type"), "application/json");
    EXPECT_EQ(request.headers.find("authorization"), "Bearer secret");
    EXPECT_EQ(request.headers.find("user-agent"), "skiff/test");
    wire.answer(201, "{\"a\":1}");
    EXPECT_EQ(answers, (Texts{"201 {\"a\":1}"}));
    token = "renewed";
    send({.path = "/api"});
    EXPECT_EQ(wire.last().request.headers.find("authorization"), "Bearer renewed");
    EXPECT_FALSE(wire.last().request.headers.find("content-type"));
}

TEST_F(HttpsTest, a_status_becomes_an_error) {
    send({.path = "/api"});
    wire.answer(429, R"({"kind":"Status","reason":"TooManyRequests","message":"busy"})", "7");
    EXPECT_EQ(answers, (Texts{"TooManyRequests: busy"}));
    EXPECT_EQ(last_error.retry_after, 7s);
    send({.path = "/api"});
    wire.answer(404, "404 page not found\n");
    EXPECT_EQ(answers.back(), "NotFound: 404 page not found");
}

TEST_F(HttpsTest, another_server_is_found_when_the_current_one_is_gone) {
    wire.dead = {"one"};
    send({.path = "/api"});
    ASSERT_EQ(wire.exchanges.size(), 2u);
    EXPECT_EQ(wire.last().host, "two");
    wire.answer(200, "{}");
    EXPECT_EQ(answers, (Texts{"200 {}"}));
    send({.path = "/api"});   // and it stays there
    EXPECT_EQ(wire.last().host, "two");
    wire.answer(200, "{}");
    wire.dead = {"two"};
    send({.method = "PUT", .path = "/api"});   // a write is not repeated
    EXPECT_EQ(answers.back(), "ServiceUnavailable: PUT /api: connect: Connection refused");
    send({.method = "PUT", .path = "/api"});   // the next goes elsewhere
    EXPECT_EQ(wire.last().host, "one");
    wire.dead = {"one", "two"};
    send({.path = "/api"});
    EXPECT_TRUE(answers.back().starts_with("ServiceUnavailable: GET /api"));
}

TEST_F(HttpsTest, a_server_that_does_not_answer_is_given_up) {
    send({.path = "/api", .timeout = 5s});
    executor.advance(4s);
    EXPECT_TRUE(answers.empty());
    executor.advance(2s);
    EXPECT_EQ(answers, (Texts{"Timeout: GET /api: the server did not answer in time"}));
    EXPECT_TRUE(wire.last().cancelled);
    wire.last().sink.end({});   // late
    EXPECT_EQ(answers.size(), 1u);
}

TEST_F(HttpsTest, a_watch_delivers_frames_however_they_are_cut) {
    auto sink = std::make_shared<Recorder>();
    auto stream = transport->watch({.path = "/api", .query = "watch=true"}, sink);
    executor.settle();
    wire.last().sink.head(200, {});
    wire.last().sink.data("{\"type\":\"ADDED\",\"object\":{\"a\":\"}\"}}\n{\"type\":\"MOD");
    wire.last().sink.data("IFIED\",\"object\":{}}\n{\"object\":{},\"type\":\"DELETED\"}");
    wire.last().sink.data("{\"type\":\"BOOKMARK\",\"object\":{}}\n");
    EXPECT_EQ(sink->events, (Texts{"0 {\"a\":\"}\"}", "1 {}", "2 {}", "3 {}"}));
    wire.last().sink.end({});
    EXPECT_EQ(sink->ends, (Texts{"clean"}));
}

TEST_F(HttpsTest, a_watch_ends_once_with_its_reason) {
    const struct {
        std::function<void(Wire::Exchange&)> play;
        const char* end;
    } rows[] = {
        {[](auto& e) {
             e.sink.head(200, {});
             e.sink.data(
                 R"({"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}})");
             e.sink.data(R"({"type":"ADDED","object":{}})");
             e.sink.end({});
         },
         "Expired"},
        {[](auto& e) {
             e.sink.head(410, {});
             e.sink.data(R"({"kind":"Status","reason":"Expired"})");
             e.sink.end({});
         },
         "Expired"},
        {[](auto& e) {
             e.sink.head(200, {});
             e.sink.end(fail(Reason::InternalError, "reset"));
         },
         "ServiceUnavailable"},
        {[](auto& e) {
             e.sink.head(200, {});
             e.sink.data(R"({"type":"ODD","object":{}})");
         },
         "InternalError"},
    };
    for (const auto& row : rows) {
        auto sink = std::make_shared<Recorder>();
        auto stream = transport->watch({.path = "/api"}, sink);
        executor.settle();
        row.play(wire.last());
        executor.settle();
        EXPECT_EQ(sink->ends, (Texts{row.end}));
        EXPECT_TRUE(sink->events.empty());
        EXPECT_TRUE(wire.last().cancelled);
    }
}

TEST_F(HttpsTest, a_silent_watch_is_taken_for_dead) {
    auto sink = std::make_shared<Recorder>();
    auto stream = transport->watch({.path = "/api"}, sink);
    executor.settle();
    wire.last().sink.head(200, {});
    for (int i = 0; i < 10; ++i) {
        executor.advance(1min);
        wire.last().sink.data("{\"type\":\"BOOKMARK\",\"object\":{}}\n");
    }
    EXPECT_TRUE(sink->ends.empty());
    executor.advance(3min);
    EXPECT_EQ(sink->ends, (Texts{"ServiceUnavailable"}));
}

TEST_F(HttpsTest, a_stopped_watch_says_nothing_more) {
    auto sink = std::make_shared<Recorder>();
    auto stream = transport->watch({.path = "/api"}, sink);
    executor.settle();
    wire.last().sink.head(200, {});
    sink->on_event = [&] { stream.reset(); };   // even from its own call
    const std::string event = "{\"type\":\"ADDED\",\"object\":{}}";
    wire.last().sink.data(event + event);
    executor.settle();
    EXPECT_EQ(sink->events.size(), 1u);
    EXPECT_TRUE(wire.last().cancelled);
    EXPECT_TRUE(sink->ends.empty());
    auto early = transport->watch({.path = "/api"}, sink);
    early.reset();   // before it began
    executor.settle();
    EXPECT_EQ(wire.exchanges.size(), 1u);
    EXPECT_EQ(executor.timers(), 0u);
}

TEST_F(HttpsTest, the_end_of_the_transport_answers_what_waits) {
    send({.path = "/api"});
    transport.reset();
    executor.settle();
    EXPECT_EQ(answers, (Texts{"ServiceUnavailable: GET /api: the client is closed"}));
    EXPECT_TRUE(wire.last().cancelled);
    EXPECT_EQ(executor.timers(), 0u);
}

}   // namespace
}   // namespace skiff::client
