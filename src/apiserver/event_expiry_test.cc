#include "apiserver/event_expiry.h"

#include "apiserver/testing.h"

namespace skiff::apiserver::testing {
namespace {

constexpr std::string_view events = "/api/v1/namespaces/default/events";

Answer told(TestServer& server, std::string_view name, std::string_view more) {
    return server.post(
        events, concat(R"({"metadata":{"name":")", name,
                       R"("},"involvedObject":{"kind":"Pod","namespace":"default","name":"a"})",
                       more, "}"));
}

TEST(EventExpiry, an_event_goes_an_hour_after_it_last_happened) {
    TestServer server;
    EventExpiry expiry{server.api.registry()};
    ASSERT_EQ(told(server, "old", R"(,"lastTimestamp":"2023-11-14T22:13:20Z")").status, 201);
    ASSERT_EQ(told(server, "again", R"(,"lastTimestamp":"2023-11-14T22:50:00Z")").status, 201);
    server.executor.advance(std::chrono::minutes{59});
    EXPECT_EQ(expiry.expire_now(), 0u);
    server.executor.advance(std::chrono::minutes{2});
    EXPECT_EQ(expiry.expire_now(), 1u);
    server.executor.settle();
    EXPECT_EQ(server.get(events).names(), std::vector<std::string>{"again"});
}

TEST(EventExpiry, it_looks_by_itself_while_it_lives) {
    TestServer server;
    {
        EventExpiry expiry{server.api.registry()};
        expiry.start();
        ASSERT_EQ(told(server, "a", "").status, 201);
        server.executor.advance(std::chrono::minutes{66});
        EXPECT_TRUE(server.get(events).names().empty());
    }
    ASSERT_EQ(told(server, "b", "").status, 201);
    server.executor.advance(std::chrono::hours{2});
    EXPECT_EQ(server.get(events).names(), std::vector<std::string>{"b"});
}

TEST(EventExpiry, the_latest_of_its_times_counts) {
    struct Case {
        std::string_view event;
        std::string_view when;
    };
    const Case cases[] = {
        {R"({"series":{"lastObservedTime":"2024-01-04T00:00:00.000000Z"},"lastTimestamp":"2024-01-03T00:00:00Z"})",
         "2024-01-04T00:00:00Z"},
        {R"({"lastTimestamp":"2024-01-03T00:00:00Z","eventTime":"2024-01-02T00:00:00.000000Z"})",
         "2024-01-03T00:00:00Z"},
        {R"({"lastTimestamp":null,"eventTime":"2024-01-02T00:00:00.000000Z"})",
         "2024-01-02T00:00:00Z"},
        {R"({"metadata":{"creationTimestamp":"2024-01-01T00:00:00Z"}})", "2024-01-01T00:00:00Z"},
    };
    for (const auto& c : cases) {
        const auto document = codec::parse_json(c.event).value();
        const auto when = last_happened(document.root);
        ASSERT_TRUE(when) << c.event;
        EXPECT_EQ(rfc3339(*when), c.when);
    }
    EXPECT_FALSE(last_happened(codec::parse_json("{}").value().root));
}

}   // namespace
}   // namespace skiff::apiserver::testing
