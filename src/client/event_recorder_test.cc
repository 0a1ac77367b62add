#include "client/event_recorder.h"

#include <gtest/gtest.h>

#include "client/testing.h"

namespace skiff::client {
namespace {

using testing::FakeApi;
using testing::FakeExecutor;

struct EventTest : ::testing::Test {
    EventTest() {
        api.on_request = [this](const ApiRequest& request) { sent.push_back(request); };
    }
    void record(std::string_view reason, std::string_view message,
                EventType type = EventType::Normal) {
        recorder->record(pod, type, reason, message);
        executor.advance(0s);
    }
    std::string field(size_t index, std::string_view name) const {
        const auto value = json_member(sent[index].body, name);
        return value.starts_with('"') ? json_text(value) : std::string{value};
    }
    FakeExecutor executor;
    FakeApi api{executor};
    std::vector<ApiRequest> sent;
    ObjectReference pod{.api_version = "v1",
                        .kind = "Pod",
                        .name_space = "x",
                        .name = "web",
                        .uid = "u1",
                        .field_path = "spec.containers{web}"};
    std::unique_ptr<EventRecorder> recorder = std::make_unique<EventRecorder>(
        executor, api, EventRecorder::Source{.component = "kubelet", .host = "n1"});
};

TEST_F(EventTest, an_event_says_what_when_and_about_whom) {
    record("Pulled", "it's \"here\"");
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_EQ(sent[0].path, "/api/v1/namespaces/x/events");
    EXPECT_EQ(sent[0].body,
              R"({"kind":"Event","apiVersion":"v1","metadata":{"name":"web.17979cfe362a0000",)"
              R"("namespace":"x"},"involvedObject":{"kind":"Pod","namespace":"x","name":"web",)"
              R"("uid":"u1","apiVersion":"v1","fieldPath":"spec.containers{web}"},)"
              R"("reason":"Pulled","message":"it's \"here\"","source":{"component":"kubelet",)"
              R"("host":"n1"},"firstTimestamp":"2023-11-14T22:13:20Z",)"
              R"("lastTimestamp":"2023-11-14T22:13:20Z","count":1,"type":"Normal",)"
              R"("reportingComponent":"kubelet","reportingInstance":"n1"})");
    pod = {.api_version = "v1", .kind = "Node", .name = "n1"};
    record("Starting", "");
    EXPECT_EQ(sent[1].path, "/api/v1/namespaces/default/events");
}

TEST_F(EventTest, a_repeated_event_is_counted_up) {
    record("BackOff", "again", EventType::Warning);
    executor.advance(5s);
    record("BackOff", "again", EventType::Warning);
    record("BackOff", "again", EventType::Warning);
    ASSERT_EQ(sent.size(), 3u);
    EXPECT_EQ(sent[1].method, "PATCH");
    EXPECT_EQ(sent[1].path, "/api/v1/namespaces/x/events/web.17979cfe362a0000");
    EXPECT_EQ(sent[1].body,
              R"({"count":2,"lastTimestamp":"2023-11-14T22:13:25Z","message":"again"})");
    EXPECT_EQ(field(2, "count"), "3");
    api.erase(sent[1].path);   // an hour later
    record("BackOff", "again", EventType::Warning);
    EXPECT_EQ(sent[4].method, "POST");
    EXPECT_EQ(field(4, "count"), "1");
}

TEST_F(EventTest, similar_events_are_combined) {
    for (int i = 0; i < 13; ++i) {
        executor.advance(1s);
        record("Failed", concat("try ", i));
    }
    ASSERT_EQ(sent.size(), 13u);
    for (size_t i = 0; i < 11; ++i) EXPECT_EQ(sent[i].method, "POST") << i;
    EXPECT_EQ(field(10, "message"), "(combined from similar events): try 10");
    EXPECT_EQ(sent[12].method, "PATCH");
    EXPECT_EQ(field(12, "message"), "(combined from similar events): try 12");
}

TEST_F(EventTest, a_flood_about_one_object_is_held_back) {
    for (int i = 0; i < 100; ++i) record("Loop", "same");
    EXPECT_EQ(sent.size(), 25u);
    pod.uid = "u2";
    record("Loop", "same");
    EXPECT_EQ(sent.size(), 26u);
    pod.uid = "u1";
    executor.advance(10min);
    for (int i = 0; i < 100; ++i) record("Loop", "same");
    EXPECT_EQ(sent.size(), 28u);
}

TEST_F(EventTest, events_wait_in_order_while_the_server_is_away) {
    for (int i = 0; i < 3; ++i)
        api.fail_sends.push_back({.reason = Reason::ServiceUnavailable, .message = "away"});
    record("A", "1");
    record("B", "2");
    executor.advance(25s);
    EXPECT_EQ(sent.size(), 3u);
    executor.advance(10s);
    ASSERT_EQ(sent.size(), 5u);
    EXPECT_EQ(field(3, "reason"), "A");
    EXPECT_EQ(field(4, "reason"), "B");
    api.fail_sends.push_back({.reason = Reason::Forbidden, .message = "no"});
    record("C", "3");
    record("D", "4");
    EXPECT_EQ(field(6, "reason"), "D");   // what is refused is not tried again
}

TEST_F(EventTest, the_end_drops_what_waits) {
    api.fail_sends.assign(100, {.reason = Reason::ServiceUnavailable, .message = "away"});
    for (int i = 0; i < 3000; ++i) record("A", concat(i));
    recorder.reset();
    executor.advance(1h);
    EXPECT_EQ(sent.size(), 1u);
    EXPECT_EQ(executor.timers(), 0u);
}

TEST_F(EventTest, a_long_message_is_cut_between_characters) {
    std::string text(1023, 'x');
    record("Long", text + "\u00e4\u00e4");
    EXPECT_EQ(field(0, "message"), text);
}

}   // namespace
}   // namespace skiff::client
