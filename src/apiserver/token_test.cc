// Service account tokens: asked for, used, and no longer good.
#include "apiserver/testing.h"

namespace skiff::apiserver::testing {
namespace {

constexpr std::string_view accounts = "/api/v1/namespaces/default/serviceaccounts";
constexpr std::string_view reviews = "/apis/authentication.k8s.io/v1/tokenreviews";
constexpr std::string_view who = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

class TokenTest : public ::testing::Test {
  protected:
    TokenTest() {
        EXPECT_EQ(server.post(accounts, R"({"metadata":{"name":"robot"}})").status, 201);
    }
    Answer asked(std::string spec) {
        return server.post(concat(accounts, "/robot/token"), concat(R"({"spec":)", spec, "}"));
    }
    std::string token(std::string spec = "{}") {
        return asked(std::move(spec)).text({"status", "token"});
    }
    Answer as(const std::string& token_text) {
        return server.request("POST", who, "{}",
                              {{"authorization", concat("Bearer ", token_text)}});
    }
    Answer reviewed(const std::string& text, std::string_view audiences = "[]") {
        return server.post(
            reviews, concat(R"({"spec":{"token":")", text, R"(","audiences":)", audiences, "}}"));
    }
    TestServer server;
};

TEST_F(TokenTest, a_token_says_who_it_is_for_and_works_until_it_expires) {
    const auto answer = asked(R"({"expirationSeconds":1200})");
    ASSERT_EQ(answer.status, 201) << answer.body;
    EXPECT_EQ(answer.text({"kind"}), "TokenRequest");
    EXPECT_EQ(answer.number({"spec", "expirationSeconds"}), 1200);
    const auto text = answer.text({"status", "token"});
    for (int again = 0; again < 2; ++again) {   // the second time it is known
        const auto me = as(text);
        ASSERT_EQ(me.status, 201) << me.body;
        EXPECT_EQ(me.text({"status", "userInfo", "username"}),
                  "system:serviceaccount:default:robot");
    }
    server.executor.advance(std::chrono::seconds{1199});
    EXPECT_EQ(as(text).status, 201);
    server.executor.advance(std::chrono::seconds{1});
    EXPECT_EQ(as(text).status, 401);
}

TEST_F(TokenTest, a_token_for_another_audience_is_refused_here_and_good_there) {
    const auto text = token(R"({"audiences":["vault"]})");
    EXPECT_EQ(as(text).status, 401);
    EXPECT_EQ(reviewed(text).at({"status", "authenticated"})->as_bool(), false);
    const auto review = reviewed(text, R"(["vault","other"])");
    EXPECT_TRUE(review.at({"status", "authenticated"})->as_bool()) << review.body;
    EXPECT_EQ(codec::to_json(*review.at({"status", "audiences"})), R"(["vault"])");
}

TEST_F(TokenTest, a_token_of_a_deleted_account_is_refused_even_when_it_was_known) {
    const auto text = token();
    ASSERT_EQ(as(text).status, 201);
    EXPECT_EQ(server.remove(concat(accounts, "/robot")).status, 200);
    EXPECT_EQ(as(text).status, 401);
    EXPECT_EQ(server.post(accounts, R"({"metadata":{"name":"robot"}})").status,
              201);   // another of that name
    EXPECT_EQ(as(text).status, 401);
}

TEST_F(TokenTest, a_tampered_token_is_refused) {
    const auto text = token();
    ASSERT_EQ(as(text).status, 201);
    for (const size_t at : {text.find('.') + 20, text.rfind('.') + 20}) {
        auto other = text;
        other[at] = other[at] == 'A' ? 'B' : 'A';
        EXPECT_EQ(as(other).status, 401) << at;
    }
    const auto [head, rest] = cut(text, '.');
    EXPECT_EQ(as(concat(base64url(R"({"alg":"none","typ":"JWT"})"), ".", *rest)).status, 401);
    EXPECT_EQ(as(text.substr(0, text.rfind('.') + 1)).status, 401);
}

TEST_F(TokenTest, a_token_bound_to_a_pod_ends_with_the_pod) {
    const auto pod = server.pod("web", R"(,"serviceAccountName":"robot")");
    ASSERT_EQ(pod.status, 201) << pod.body;
    const auto text = token(R"({"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"web"}})");
    const auto me = as(text);
    ASSERT_EQ(me.status, 201) << me.body;
    EXPECT_EQ(codec::to_json(
                  *me.at({"status", "userInfo", "extra", "authentication.kubernetes.io/pod-name"})),
              R"(["web"])");
    EXPECT_EQ(server.remove("/api/v1/namespaces/default/pods/web").status, 200);
    EXPECT_EQ(as(text).status, 401);
}

TEST_F(TokenTest, what_no_token_can_be_given_for_is_told) {
    EXPECT_EQ(server.post(concat(accounts, "/nobody/token"), "{}").status, 404);
    EXPECT_EQ(asked(R"({"expirationSeconds":599})").status, 422);
    EXPECT_EQ(asked(R"({"boundObjectRef":{"kind":"Pod","name":"none"}})").status, 404);
    EXPECT_EQ(server.pod("foreign").status, 201);
    EXPECT_EQ(asked(R"({"boundObjectRef":{"kind":"Pod","name":"foreign"}})").status, 400);
}

TEST_F(TokenTest, a_review_of_nonsense_is_no_error_and_not_authenticated) {
    for (const auto* text : {"", "x", "a.b.c"}) {
        const auto review = reviewed(text);
        EXPECT_EQ(review.status, 201);
        EXPECT_FALSE(review.at({"status", "authenticated"})->as_bool()) << text;
    }
    EXPECT_EQ(reviewed("alice").text({"status", "user", "username"}), "alice");
}

TEST_F(TokenTest, a_token_bound_to_a_secret_or_node_ends_with_it) {
    const auto secrets = "/api/v1/namespaces/default/secrets";
    EXPECT_EQ(server.post(secrets, R"({"metadata":{"name":"s"}})").status, 201);
    const auto of_secret =
        token(R"({"boundObjectRef":{"kind":"Secret","apiVersion":"v1","name":"s"}})");
    EXPECT_EQ(as(of_secret).status, 201);
    EXPECT_EQ(server.remove(concat(secrets, "/s")).status, 200);
    EXPECT_EQ(as(of_secret).status, 401);
    EXPECT_EQ(server.post(secrets, R"({"metadata":{"name":"s"}})").status, 201);
    EXPECT_EQ(as(of_secret).status, 401);   // another of that name

    EXPECT_EQ(server.post("/api/v1/nodes", R"({"metadata":{"name":"n1"}})").status, 201);
    const auto of_node =
        token(R"({"boundObjectRef":{"kind":"Node","apiVersion":"v1","name":"n1"}})");
    const auto me = as(of_node);
    ASSERT_EQ(me.status, 201) << me.body;
    EXPECT_EQ(codec::to_json(*me.at(
                  {"status", "userInfo", "extra", "authentication.kubernetes.io/node-name"})),
              R"(["n1"])");
    EXPECT_EQ(server.remove("/api/v1/nodes/n1").status, 200);
    EXPECT_EQ(as(of_node).status, 401);
    const auto refused = asked(R"({"boundObjectRef":{"kind":"ConfigMap","apiVersion":"v1"}})");
    EXPECT_EQ(refused.status, 400);
    EXPECT_EQ(refused.message(), "cannot bind token for object of type /v1, Kind=ConfigMap");
}

TEST_F(TokenTest, a_token_in_a_secret_lives_with_the_secret_and_the_account) {
    const auto uid = server.get(concat(accounts, "/robot")).text({"metadata", "uid"});
    const SecretTokenSubject subject{"default", "robot", uid, "robot-token"};
    const auto text = server.api.secret_token(subject).value();
    EXPECT_EQ(as(text).status, 401);   // in no secret yet
    const auto secrets = "/api/v1/namespaces/default/secrets";
    const auto body = concat(
        R"({"metadata":{"name":"robot-token","annotations":{"kubernetes.io/service-account.name":"robot"}},)",
        R"("type":"kubernetes.io/service-account-token","data":{"token":")", base64(text),
        R"("}})");
    ASSERT_EQ(server.post(secrets, body).status, 201);
    const auto me = as(text);
    ASSERT_EQ(me.status, 201) << me.body;
    EXPECT_EQ(me.text({"status", "userInfo", "username"}), "system:serviceaccount:default:robot");
    EXPECT_TRUE(reviewed(text).at({"status", "authenticated"})->as_bool());
    EXPECT_EQ(as(server.api.secret_token({"default", "robot", uid, "other"}).value()).status, 401);
    server.executor.advance(std::chrono::hours{24 * 3650});
    EXPECT_EQ(as(text).status, 201);
    ASSERT_EQ(server.merge(concat(secrets, "/robot-token"), R"({"data":{"token":null}})").status,
              200);
    EXPECT_EQ(as(text).status, 401);
    EXPECT_EQ(server.remove(concat(secrets, "/robot-token")).status, 200);
    ASSERT_EQ(server.post(secrets, body).status, 201);
    EXPECT_EQ(as(text).status, 201);
    EXPECT_EQ(server.remove(concat(accounts, "/robot")).status, 200);
    EXPECT_EQ(as(text).status, 401);
}

TEST_F(TokenTest, the_issuer_tells_its_keys_to_service_accounts_and_not_to_the_world) {
    const auto about = server.get("/.well-known/openid-configuration");
    ASSERT_EQ(about.status, 200) << about.body;
    EXPECT_EQ(about.text({"issuer"}), "https://kubernetes.default.svc.cluster.local");
    EXPECT_TRUE(about.text({"jwks_uri"}).ends_with("/openid/v1/jwks"));
    const auto keys = server.get("/openid/v1/jwks");
    ASSERT_EQ(keys.status, 200) << keys.body;
    EXPECT_EQ(keys.header("content-type"), "application/jwk-set+json");
    const auto& key = keys.at({"keys"})->items()[0];
    EXPECT_EQ(base64url_decoded(key.text_at({"x"}))->size(), 32u);
    const auto text = token();
    const auto head = codec::parse_json(*base64url_decoded(split(text, '.')[0]));
    EXPECT_EQ(head->root.text_at({"kid"}), key.text_at({"kid"}));
    EXPECT_EQ(server.get("/openid/v1/jwks", {{"authorization", ""}}).status, 403);
}

}   // namespace
}   // namespace skiff::apiserver::testing
