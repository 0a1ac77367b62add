// Token Secrets, by tables.
#include <gtest/gtest.h>

#include "api/view_testing.h"
#include "controllers/token_controller.h"

namespace skiff::controllers {
namespace {

using api::of;

Result<std::string> made(const view::TokenAccount&, const view::TokenSecret&) { return "tok"; }

std::string words(const client::Plan& plan) {
    std::string out;
    for (const auto& write : plan.writes) {
        constexpr const char* verbs[] = {"create", "update", "patch", "delete"};
        out += std::string{out.empty() ? "" : "; "} + verbs[static_cast<int>(write.verb)] + " " +
               write.key.name;
        if (write.verb == client::Write::Verb::Patch) out += " " + write.body;
    }
    return out;
}

TEST(TokenController, a_secret_gets_what_it_lacks_and_goes_with_its_account) {
    const auto robot = of<view::TokenAccount>(
        R"({"metadata":{"name":"robot","namespace":"d","uid":"u1","resourceVersion":"5"}})");
    const auto secret = [](std::string annotations, std::string data) {
        return of<view::TokenSecret>(
            R"({"metadata":{"name":"s","namespace":"d","uid":"s1","resourceVersion":"7","annotations":{)" +
            annotations + R"(}},"data":{)" + data + "}}");
    };
    const std::string name = R"("kubernetes.io/service-account.name":"robot")";
    const std::string uid = R"(,"kubernetes.io/service-account.uid":"u1")";
    const std::string full = R"("token":"dG9r","ca.crt":"Q0E=","namespace":"ZA==")";
    const auto plan = [&](const view::TokenSecret& of_it, const view::TokenAccount* account) {
        return words(plan_token_secret(of_it, account, "CA", made).value());
    };
    EXPECT_EQ(plan(secret("", ""), nullptr), "");
    EXPECT_EQ(plan(secret(name, ""), nullptr), "delete s");
    EXPECT_EQ(plan(secret(name + R"(,"kubernetes.io/service-account.uid":"old")", ""), &robot),
              "delete s");
    EXPECT_EQ(
        plan(secret(name, ""), &robot),
        R"(patch s {"metadata":{"annotations":{"kubernetes.io/service-account.uid":"u1"}},"data":{"token":"dG9r","ca.crt":"Q0E=","namespace":"ZA=="}})");
    EXPECT_EQ(plan(secret(name + uid, full), &robot), "");
    EXPECT_EQ(
        plan(secret(name + uid, R"("token":"b3RoZXI=","ca.crt":"b2xk","namespace":"ZA==")"),
             &robot),
        R"(patch s {"metadata":{"annotations":{"kubernetes.io/service-account.uid":"u1"}},"data":{"ca.crt":"Q0E="}})");
}

TEST(TokenController, accounts_of_2017_have_a_secret_and_none_that_is_gone) {
    const auto account = [](std::string secrets) {
        return of<view::TokenAccount>(
            R"({"metadata":{"name":"robot","namespace":"d","uid":"u1"},"secrets":[)" + secrets +
            "]}");
    };
    const auto held = std::make_shared<const view::TokenSecret>(
        of<view::TokenSecret>(R"({"metadata":{"name":"robot-token-a","namespace":"d"}})"));
    EXPECT_EQ(words(plan_account_secrets(account(""), {}, {}, "")), "");
    EXPECT_EQ(words(plan_account_secrets(account(""), {}, {}, "robot-token-x")),
              R"(create robot-token-x; patch robot {"secrets":[{"name":"robot-token-x"}]})");
    EXPECT_EQ(words(plan_account_secrets(account(R"({"name":"pull"})"), {held}, {}, "n")),
              R"(patch robot {"secrets":[{"name":"pull"},{"name":"robot-token-a"}]})");
    EXPECT_EQ(words(plan_account_secrets(account(R"({"name":"robot-token-a"})"), {held}, {}, "n")),
              "");
    EXPECT_EQ(words(plan_account_secrets(account(R"({"name":"robot-token-b"},{"name":"pull"})"), {},
                                         {"robot-token-b"}, "")),
              R"(patch robot {"secrets":[{"name":"pull"}]})");
}

}   // namespace
}   // namespace skiff::controllers
