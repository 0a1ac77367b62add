#include "client/client.h"

#include <gtest/gtest.h>

#include "client/testing.h"

namespace skiff::client {
namespace {

using testing::FakeApi;
using testing::FakeExecutor;

constexpr ResourceName things{"", "v1", "things"};

struct ClientTest : ::testing::Test {
    FakeExecutor executor;
    FakeApi api{executor};
    Client client{executor, api, "skiff-test"};
};

TEST(ClientPath, paths_leave_out_what_is_empty) {
    EXPECT_EQ(path_of({"", "v1", "pods"}, "default", "web", "status"),
              "/api/v1/namespaces/default/pods/web/status");
    EXPECT_EQ(path_of({"apps", "v1", "deployments"}, ""), "/apis/apps/v1/deployments");
    EXPECT_EQ(path_of({"", "v1", "nodes"}, "", "n1"), "/api/v1/nodes/n1");
}

TEST_F(ClientTest, an_object_is_created_read_changed_and_deleted) {
    const ObjectKey key{"x", "a"};
    const auto created = client.create_text(things, "x", R"({"metadata":{"name":"a"},"spec":"1"})");
    ASSERT_TRUE(created);
    EXPECT_EQ(json_member(*client.get_text(things, key), "spec"), "\"1\"");
    EXPECT_EQ(client.create_text(things, "x", R"({"metadata":{"name":"a"}})").error().reason,
              Reason::AlreadyExists);
    const auto version = identity_of(*created)->resource_version;
    const auto body =
        concat(R"({"metadata":{"name":"a","resourceVersion":")", version, R"("},"spec":"2"})");
    ASSERT_TRUE(client.update_text(things, key, body));
    EXPECT_EQ(client.update_text(things, key, body).error().reason, Reason::Conflict);
    EXPECT_EQ(client.remove_text(things, key, {.uid = "other"}).error().reason, Reason::Conflict);
    ASSERT_TRUE(client.remove_text(things, key, {.uid = identity_of(*created)->uid}));
    EXPECT_EQ(client.get_text(things, key).error().reason, Reason::NotFound);
    EXPECT_EQ(api.requests[0], "POST /api/v1/namespaces/x/things?fieldManager=skiff-test");
}

TEST_F(ClientTest, requests_carry_what_each_kind_of_call_says) {
    std::vector<ApiRequest> sent;
    api.on_request = [&](const ApiRequest& request) { sent.push_back(request); };
    api.put("/api/v1/things/a");
    for (const auto type :
         {PatchType::Json, PatchType::Merge, PatchType::StrategicMerge, PatchType::Apply})
        (void)client.patch_text(things, {"", "a"}, type, "{}", "status");
    EXPECT_EQ(sent[0].content_type, "application/json-patch+json");
    EXPECT_EQ(sent[1].content_type, "application/merge-patch+json");
    EXPECT_EQ(sent[2].content_type, "application/strategic-merge-patch+json");
    EXPECT_EQ(sent[3].content_type, "application/apply-patch+yaml");
    EXPECT_EQ(sent[3].query, "fieldManager=skiff-test&force=true");
    EXPECT_EQ(sent[0].path, "/api/v1/things/a/status");
    (void)client.remove_text(things, {"", "a"},
                             {.uid = "u\"",
                              .resource_version = "5",
                              .grace_period_seconds = 0,
                              .propagation_policy = "Foreground"});
    EXPECT_EQ(
        sent[4].body,
        R"({"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":0,)"
        R"("propagationPolicy":"Foreground","preconditions":{"uid":"u\"","resourceVersion":"5"}})");
    (void)client.remove_text(things, {"", "a"}, {});
    EXPECT_EQ(sent[5].body, R"({"kind":"DeleteOptions","apiVersion":"v1"})");
}

TEST_F(ClientTest, a_long_list_is_one_list) {
    for (int i = 1000; i < 2203; ++i) api.put(concat("/api/v1/namespaces/x/things/n", i));
    const auto list = client.list_text(things, "x", {});
    ASSERT_TRUE(list);
    EXPECT_EQ(list_page_of(*list)->items.size(), 1203u);
    EXPECT_EQ(list_page_of(*list)->resource_version, concat(api.revision));
    EXPECT_TRUE(codec::parse_json(*list));
    EXPECT_EQ(api.requests.size(), 3u);
}

TEST_F(ClientTest, a_busy_server_is_asked_again_when_it_says) {
    api.put("/api/v1/things/a");
    const Error busy{.reason = Reason::TooManyRequests, .message = "busy", .retry_after = 2s};
    api.fail_sends = {busy, busy};
    EXPECT_TRUE(client.get_text(things, {"", "a"}));
    EXPECT_EQ(executor.at().time_since_epoch(), 4s);
    api.fail_sends.assign(100, busy);
    EXPECT_EQ(client.get_text(things, {"", "a"}).error().reason, Reason::TooManyRequests);
    EXPECT_EQ(api.fail_sends.size(), 91u);
    api.fail_sends = {Error{.reason = Reason::InternalError, .message = "broken"}};
    EXPECT_EQ(client.get_text(things, {"", "a"}).error().reason, Reason::InternalError);
}

TEST_F(ClientTest, an_answer_that_never_comes_is_a_timeout) {
    api.latency = 1h;
    const auto answer = send_and_wait(executor, api, {.path = "/api", .timeout = 5s});
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().reason, Reason::Timeout);
    EXPECT_EQ(answer.error().message, "GET /api: no answer came in time");
    executor.advance(2h);   // it comes when nobody waits any more
}

TEST(ClientStatus, a_status_becomes_the_error_it_tells) {
    const auto error = error_from_status(
        422, R"({"kind":"Status","status":"Failure","reason":"Invalid","code":422,)"
             R"("message":"Pod \"x\" is invalid","details":{"name":"x","kind":"Pod","group":"g",)"
             R"("uid":"u","retryAfterSeconds":3,)"
             R"("causes":[{"reason":"FieldValueRequired","message":"m","field":"f"}]}})");
    EXPECT_EQ(error.reason, Reason::Invalid);
    EXPECT_EQ(error.message, "Pod \"x\" is invalid");
    EXPECT_EQ(error.causes, (std::vector<Cause>{{"FieldValueRequired", "m", "f"}}));
    EXPECT_EQ(error.subject->kind, "Pod");
    EXPECT_EQ(error.subject->uid, "u");
    EXPECT_EQ(error.retry_after, 3s);
    const struct {
        int status;
        const char* body;
        Reason reason;
        const char* message;
    } rows[] = {
        {404, "not here\n", Reason::NotFound, "not here"},
        {503, "", Reason::ServiceUnavailable, "the server answered 503"},
        {500, "x", Reason::InternalError, "x"},
        {409, "x", Reason::Conflict, "x"},
        {502, "<html>", Reason::InternalError, "<html>"},
        {409, R"({"kind":"Status","message":"m","reason":"Conflict"})", Reason::Conflict, "m"},
        {410, R"({"kind":"Status","reason":"Expired"})", Reason::Expired,
         "the server answered 410"},
        {418, R"({"kind":"Status","reason":"Odd","message":"t"})", Reason::Unknown, "t"},
    };
    for (const auto& row : rows) {
        const auto made = error_from_status(row.status, row.body);
        EXPECT_EQ(made.reason, row.reason) << row.status;
        EXPECT_EQ(made.message, row.message);
        EXPECT_EQ(made.http_code, row.status);
    }
}

}   // namespace
}   // namespace skiff::client
