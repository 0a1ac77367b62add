#include "apiserver/authn.h"

#include "apiserver/testing.h"

namespace skiff::apiserver::testing {
namespace {

constexpr std::string_view who = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

Answer review(TestServer& server, HeaderList headers,
              std::shared_ptr<const net::Peer> peer = nullptr) {
    return server.request("POST", who, "{}", std::move(headers), std::move(peer));
}

std::shared_ptr<const net::Peer> certified(std::string name,
                                           std::vector<std::string> organizations) {
    auto peer = std::make_shared<net::Peer>();
    peer->certificate = std::make_shared<net::Peer::Certificate>(net::Peer::Certificate{
        .common_name = std::move(name), .organizations = std::move(organizations), .der = {}});
    return peer;
}

std::string username(const Answer& answer) {
    return answer.text({"status", "userInfo", "username"});
}

TEST(Authn, a_token_names_its_user_and_the_authenticated_group) {
    TestServer server;
    const auto answer = review(server, {{"authorization", "Bearer alice"}});
    ASSERT_EQ(answer.status, 201) << answer.body;
    EXPECT_EQ(username(answer), "alice");
    EXPECT_EQ(codec::to_json(*answer.at({"status", "userInfo", "groups"})),
              R"(["system:authenticated"])");
}

TEST(Authn, unknown_and_expired_tokens_are_unauthorized) {
    TestServer server;
    EXPECT_EQ(review(server, {{"authorization", "Bearer nobody"}}).status, 401);
    EXPECT_EQ(review(server, {{"authorization", "Basic YTpi"}}).status, 401);
    EXPECT_EQ(review(server, {{"authorization", "Bearer late"}}).status, 201);
    server.executor.advance(std::chrono::hours{2});
    const auto answer = review(server, {{"authorization", "Bearer late"}});
    EXPECT_EQ(answer.status, 401);
    EXPECT_EQ(answer.reason(), "Unauthorized");
}

TEST(Authn, a_client_certificate_names_user_and_groups) {
    TestServer server;
    const auto answer = review(server, {{"authorization", ""}}, certified("bob", {"devs"}));
    ASSERT_EQ(answer.status, 201) << answer.body;
    EXPECT_EQ(username(answer), "bob");
    EXPECT_EQ(codec::to_json(*answer.at({"status", "userInfo", "groups"})),
              R"(["devs","system:authenticated"])");
}

TEST(Authn, a_certificate_that_was_not_accepted_is_a_401_that_says_why) {
    TestServer server;
    auto peer = std::make_shared<net::Peer>();
    peer->certificate_problem = "certificate has expired";
    const auto answer = review(server, {{"authorization", ""}}, peer);
    EXPECT_EQ(answer.status, 401);
    EXPECT_NE(answer.message().find("certificate has expired"), std::string::npos)
        << answer.message();
    // Whoever brings a good token too is known by that.
    EXPECT_EQ(username(review(server, {{"authorization", "Bearer alice"}}, peer)), "alice");
}

TEST(Authn, a_certificate_of_system_nodes_must_name_a_node) {
    TestServer server;
    EXPECT_EQ(username(review(server, {{"authorization", ""}},
                              certified("system:node:n1", {"system:nodes"}))),
              "system:node:n1");
    for (const auto* name : {"mallory", "system:node:"}) {
        const auto answer =
            review(server, {{"authorization", ""}}, certified(name, {"system:nodes"}));
        EXPECT_EQ(answer.status, 401) << name;
        EXPECT_NE(answer.message().find("system:node:"), std::string::npos) << answer.message();
    }
}

TEST(Impersonation, masters_may_act_as_others_and_others_may_not) {
    TestServer server;
    const auto answer = review(server, {{"impersonate-user", "bob"},
                                        {"impersonate-group", "devs"},
                                        {"impersonate-extra-reason", "why"}});
    ASSERT_EQ(answer.status, 201) << answer.body;
    EXPECT_EQ(username(answer), "bob");
    EXPECT_EQ(codec::to_json(*answer.at({"status", "userInfo", "groups"})),
              R"(["devs","system:authenticated"])");
    EXPECT_EQ(codec::to_json(*answer.at({"status", "userInfo", "extra"})), R"({"reason":["why"]})");

    const auto refused =
        review(server, {{"authorization", "Bearer alice"}, {"impersonate-user", "bob"}});
    EXPECT_EQ(refused.status, 403);
    EXPECT_EQ(
        refused.message(),
        R"(users "bob" is forbidden: User "alice" cannot impersonate resource "users" in API group "" at the cluster scope)");
    EXPECT_EQ(review(server, {{"impersonate-group", "devs"}}).status, 400);
}

TEST(Impersonation, rights_are_those_of_the_other) {
    TestServer server;
    EXPECT_EQ(server.get("/api/v1/secrets", {{"impersonate-user", "bob"}}).status, 403);
    EXPECT_EQ(server
                  .get("/api/v1/secrets",
                       {{"impersonate-user", "bob"}, {"impersonate-group", "system:masters"}})
                  .status,
              200);
}

TEST(Impersonation, a_service_account_gets_its_groups) {
    TestServer server;
    const auto answer = review(server, {{"impersonate-user", "system:serviceaccount:a:b"}});
    ASSERT_EQ(answer.status, 201);
    EXPECT_EQ(codec::to_json(*answer.at({"status", "userInfo", "groups"})),
              R"(["system:serviceaccounts","system:serviceaccounts:a","system:authenticated"])");
}

}   // namespace
}   // namespace skiff::apiserver::testing
