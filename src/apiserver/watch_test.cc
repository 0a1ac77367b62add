#include "apiserver/testing.h"

namespace skiff::apiserver::testing {
namespace {

constexpr std::string_view maps = "/api/v1/namespaces/default/configmaps";
const HeaderList table_form{
    {"accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}};

TEST(Watch, what_exists_comes_first_unless_a_revision_is_named) {
    TestServer server;
    const auto first = server.config_map("a").version();
    server.config_map("b");
    struct Case {
        std::string query;
        std::string_view words;
    };
    const Case cases[] = {
        {"?watch=true", "ADDED a, ADDED b"},
        {"?watch=1&resourceVersion=", "ADDED a, ADDED b"},
        {"?watch=1&resourceVersion=0", "ADDED a, ADDED b"},
        {concat("?watch=1&resourceVersion=", first), "ADDED b"},
        {concat("?watch=1&resourceVersion=", server.store->revision().value), ""},
    };
    for (const auto& c : cases)
        EXPECT_EQ(server.watch(concat(maps, c.query)).words(), c.words) << c.query;
    EXPECT_EQ(server.watch("/api/v1/watch/namespaces/default/configmaps").words(),
              "ADDED a, ADDED b");
    EXPECT_EQ(server.watch("/api/v1/watch/namespaces/default/configmaps/b").words(), "ADDED b");
}

TEST(Watch, changes_come_in_order_with_their_revisions) {
    TestServer server;
    auto watching = server.watch(concat(maps, "?watch=1"));
    const auto made = server.config_map("a");
    const auto changed = server.merge(concat(maps, "/a"), R"({"data":{"x":"1"}})");
    server.remove(concat(maps, "/a"));
    const auto events = watching.events();
    ASSERT_EQ(events.size(), 3u);
    EXPECT_EQ(events[0].type, "ADDED");
    EXPECT_EQ(events[0].version(), made.version());
    EXPECT_EQ(events[1].type, "MODIFIED");
    EXPECT_EQ(events[1].version(), changed.version());
    EXPECT_EQ(events[2].type, "DELETED");
    EXPECT_EQ(events[2].version(), std::to_string(server.store->revision().value));
    EXPECT_EQ(events[2].object.root.text_at({"data", "x"}), "1");
    EXPECT_EQ(watching.words(), "");
}

TEST(Watch, entering_a_selection_is_added_and_leaving_it_deleted) {
    TestServer server;
    auto watching = server.watch(concat(maps, "?watch=1&labelSelector=app%3Dweb"));
    server.config_map("a", R"({"app":"db"})");
    EXPECT_EQ(watching.words(), "");
    server.merge(concat(maps, "/a"), R"({"metadata":{"labels":{"app":"web"}}})");
    EXPECT_EQ(watching.words(), "ADDED a");
    server.merge(concat(maps, "/a"), R"({"data":{"x":"1"}})");
    EXPECT_EQ(watching.words(), "MODIFIED a");
    const auto left = server.merge(concat(maps, "/a"), R"({"metadata":{"labels":{"app":"db"}}})");
    const auto events = watching.events();
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].type, "DELETED");
    EXPECT_EQ(events[0].version(), left.version());
    EXPECT_EQ(events[0].object.root.text_at({"metadata", "labels", "app"}),
              "web");   // as it was last seen
    server.remove(concat(maps, "/a"));
    EXPECT_EQ(watching.words(), "");
}

TEST(Watch, a_pod_that_is_bound_enters_its_nodes_watch) {
    TestServer server;
    auto watching = server.watch("/api/v1/pods?watch=1&fieldSelector=spec.nodeName%3Dn1");
    server.pod("a");
    EXPECT_EQ(watching.words(), "");
    EXPECT_EQ(
        server.post("/api/v1/namespaces/default/pods/a/binding", R"({"target":{"name":"n1"}})")
            .status,
        201);
    EXPECT_EQ(watching.words(), "ADDED a");
}

TEST(Watch, other_namespaces_are_not_told_of) {
    TestServer server;
    auto watching = server.watch(concat(maps, "?watch=1"));
    server.config_map("a", "{}", "other");
    server.config_map("b");
    EXPECT_EQ(watching.words(), "ADDED b");
}

TEST(Watch, initial_events_end_with_a_bookmark_that_says_so) {
    TestServer server;
    server.config_map("a");
    const std::string_view query =
        "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks="
        "true";
    auto watching = server.watch(concat(maps, query));
    const auto events = watching.events();
    ASSERT_EQ(events.size(), 2u);
    EXPECT_EQ(events[0].type, "ADDED");
    EXPECT_EQ(events[1].type, "BOOKMARK");
    EXPECT_EQ(
        events[1].object.root.text_at({"metadata", "annotations", "k8s.io/initial-events-end"}),
        "true");
    EXPECT_EQ(events[1].object.root.text_at({"kind"}), "ConfigMap");
    EXPECT_EQ(events[1].version(), std::to_string(server.store->revision().value));
    server.config_map("b");
    EXPECT_EQ(watching.words(), "ADDED b");
    EXPECT_EQ(server
                  .watch(concat(
                      maps, "?watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan"))
                  .words(),
              "");
    EXPECT_EQ(server.get(concat(maps, "?watch=1&sendInitialEvents=true")).status, 422);
    EXPECT_EQ(server.get(concat(maps, "?watch=1&resourceVersionMatch=NotOlderThan")).status, 422);
}

TEST(Watch, a_metadata_only_client_gets_bookmarks_it_can_decode) {
    TestServer server;
    server.config_map("a");
    auto watching =
        server.watch(concat(maps,
                            "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&"
                            "allowWatchBookmarks=true"),
                     {{"accept", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}});
    for (const auto& event : watching.events()) {
        EXPECT_EQ(event.object.root.text_at({"kind"}), "PartialObjectMetadata") << event.type;
        EXPECT_EQ(event.object.root.find("data"), nullptr);
    }
}

TEST(Watch, bookmarks_tell_progress_while_nothing_happens) {
    TestServer server;
    auto watching = server.watch(concat(maps, "?watch=1&allowWatchBookmarks=true"));
    auto silent = server.watch(concat(maps, "?watch=1"));
    server.config_map("x", "{}", "other");
    EXPECT_EQ(watching.words(), "");
    server.executor.advance(std::chrono::seconds{61});
    const auto events = watching.events();
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].type, "BOOKMARK");
    EXPECT_EQ(events[0].version(), std::to_string(server.store->revision().value));
    EXPECT_EQ(silent.words(), "");
}

TEST(Watch, it_ends_when_its_time_is_over) {
    TestServer server;
    auto watching = server.watch(concat(maps, "?watch=1&timeoutSeconds=5"));
    auto default_time = server.watch(concat(maps, "?watch=1&timeoutSeconds=0"));
    EXPECT_EQ(watching.words(), "");
    EXPECT_FALSE(watching.ended());
    server.executor.advance(std::chrono::seconds{5});
    EXPECT_EQ(watching.words(), "");
    EXPECT_TRUE(watching.ended());
    EXPECT_EQ(default_time.words(), "");
    EXPECT_FALSE(default_time.ended());
    server.executor.advance(std::chrono::minutes{61});
    EXPECT_EQ(default_time.words(), "");
    EXPECT_TRUE(default_time.ended());
}

TEST(Watch, a_revision_yet_to_come_is_waited_for_but_not_with_what_exists) {
    TestServer server;
    const auto next = server.store->revision().value + 1;
    auto watching = server.watch(concat(maps, "?watch=1&resourceVersion=", next));
    server.config_map("a");
    EXPECT_EQ(watching.words(), "");   // it is at that revision, not after it
    server.config_map("b");
    EXPECT_EQ(watching.words(), "ADDED b");
    const auto answer = server.get(concat(
        maps, "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=",
        next + 100));
    EXPECT_EQ(answer.status, 504);
    EXPECT_EQ(answer.at({"details", "causes"})->items()[0].text_at({"reason"}),
              "ResourceVersionTooLarge");
}

TEST(Watch, a_forgotten_revision_is_a_410_at_once_and_an_error_event_later) {
    TestServer server{{.window_revisions_max = 4}};
    const auto old = server.config_map("a").version();
    auto slow = server.watch(concat(maps, "?watch=1&resourceVersion=", old));
    for (int i = 0; i < 40; ++i) server.config_map(concat("x", i));
    server.executor.advance(std::chrono::minutes{10});
    const auto answer = server.get(concat(maps, "?watch=1&resourceVersion=", old));
    EXPECT_EQ(answer.status, 410) << answer.body;
    EXPECT_EQ(answer.reason(), "Expired");
    const auto events = slow.events();
    ASSERT_FALSE(events.empty());
    EXPECT_EQ(events.back().type, "ERROR");
    EXPECT_EQ(events.back().object.root.text_at({"reason"}), "Expired");
    EXPECT_TRUE(slow.ended());
    EXPECT_EQ(server.get(concat(maps, "?watch=1&resourceVersion=x")).status, 400);
}

TEST(Watch, a_table_names_its_columns_once) {
    TestServer server;
    server.config_map("a");
    auto watching = server.watch(concat(maps, "?watch=1"), table_form);
    server.config_map("b");
    const auto events = watching.events();
    ASSERT_EQ(events.size(), 2u);
    EXPECT_EQ(events[0].object.root.text_at({"kind"}), "Table");
    EXPECT_GT(events[0].object.root.at_path({"columnDefinitions"})->size(), 0u);
    EXPECT_TRUE(events[1].object.root.at_path({"columnDefinitions"})->is_null());
    EXPECT_EQ(
        events[1].object.root.at_path({"rows"})->items()[0].at_path({"cells"})->items()[0].text(),
        "b");
}

// The same through the transport inside the process.
struct Sink final : client::WatchSink {
    void event(client::WatchEvent event) override {
        constexpr std::string_view types[] = {"ADDED", "MODIFIED", "DELETED", "BOOKMARK"};
        const auto document = codec::parse_json(event.object);
        append(words, words.empty() ? "" : ", ", types[static_cast<size_t>(event.type)], " ",
               document->root.text_at({"metadata", "name"}));
    }
    void ended(Result<> how) override {
        end = how ? "clean" : std::string{reason_text(how.error().reason)};
    }
    std::string words, end;
};

TEST(LocalTransport, a_watch_gives_the_same_events_and_stops_when_dropped) {
    TestServer server;
    auto transport = server.api.transport_as(
        {.name = "admin", .uid = {}, .groups = {"system:masters"}, .extra = {}});
    server.config_map("a", R"({"app":"web"})");
    auto sink = std::make_shared<Sink>();
    auto stream = transport->watch({.path = std::string{maps},
                                    .query = "labelSelector=app%3Dweb",
                                    .content_type = {},
                                    .body = {}},
                                   sink);
    server.executor.settle();
    EXPECT_EQ(sink->words, "ADDED a");
    server.merge(concat(maps, "/a"), R"({"metadata":{"labels":{"app":null}}})");
    server.config_map("b", R"({"app":"web"})");
    EXPECT_EQ(sink->words, "ADDED a, DELETED a, ADDED b");
    stream.reset();
    server.config_map("c", R"({"app":"web"})");
    EXPECT_EQ(sink->words, "ADDED a, DELETED a, ADDED b");
    EXPECT_EQ(sink->end, "");
}

TEST(LocalTransport, nothing_stays_behind_when_much_was_not_meant) {
    TestServer server;
    auto transport = server.api.transport_as(
        {.name = "admin", .uid = {}, .groups = {"system:masters"}, .extra = {}});
    auto sink = std::make_shared<Sink>();
    const auto from =
        concat("resourceVersion=", server.store->revision().value, "&labelSelector=app%3Dweb");
    for (int i = 0; i < 300; ++i)
        server.config_map(concat("m", 1000 + i), i == 10 || i == 290 ? R"({"app":"web"})" : "{}");
    const auto stream = transport->watch(
        {.path = std::string{maps}, .query = from, .content_type = {}, .body = {}}, sink);
    server.executor.settle();
    EXPECT_EQ(sink->words, "ADDED m1010, ADDED m1290");
}

TEST(LocalTransport, what_may_not_be_watched_ends_with_the_reason) {
    TestServer server;
    auto transport =
        server.api.transport_as({.name = "alice", .uid = {}, .groups = {}, .extra = {}});
    auto sink = std::make_shared<Sink>();
    const auto stream = transport->watch(
        {.path = std::string{maps}, .query = {}, .content_type = {}, .body = {}}, sink);
    server.executor.settle();
    EXPECT_EQ(sink->end, "Forbidden");
    std::string reason;
    transport->send(
        {.method = "GET", .path = std::string{maps}, .query = {}, .content_type = {}, .body = {}},
        [&](Result<client::ApiResponse> answer) {
            reason = answer ? "" : reason_text(answer.error().reason);
        });
    server.executor.settle();
    EXPECT_EQ(reason, "Forbidden");
}

}   // namespace
}   // namespace skiff::apiserver::testing
