// What a delete says about dependents.
#include "apiserver/testing.h"

namespace skiff::apiserver::testing {
namespace {

constexpr std::string_view web = "/apis/apps/v1/namespaces/default/deployments/web";
constexpr std::string_view rc = "/api/v1/namespaces/default/replicationcontrollers/rc";

std::string body(std::string_view name, std::string_view selector, std::string_view more = "") {
    return concat(R"({"metadata":{"name":")", name, '"', more,
                  R"(},"spec":{"replicas":2,"selector":)", selector,
                  R"(,"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[)",
                  R"({"name":"c","image":"i"}]}}}})");
}
Answer make_web(TestServer& server, std::string_view more = "") {
    return server.post("/apis/apps/v1/namespaces/default/deployments",
                       body("web", R"({"matchLabels":{"app":"web"}})", more));
}
Answer make_rc(TestServer& server) {
    return server.post("/api/v1/namespaces/default/replicationcontrollers",
                       body("rc", R"({"app":"web"})"));
}
std::string finalizers(const Answer& answer) {
    const auto* list = answer.at({"metadata", "finalizers"});
    return list ? codec::to_json(*list) : "";
}

TEST(Delete, the_policy_becomes_the_garbage_collectors_finalizer) {
    const struct {
        const char* what;
        const char* options;
        const char* finalizers;   // "": it is gone at once
        int status;
    } rows[] = {
        {"nothing said", "", "", 200},
        {"background", R"({"propagationPolicy":"Background"})", "", 200},
        {"foreground", R"({"propagationPolicy":"Foreground"})", R"(["foregroundDeletion"])", 200},
        {"orphan", R"({"propagationPolicy":"Orphan"})", R"(["orphan"])", 200},
        {"the old way to orphan", R"({"orphanDependents":true})", R"(["orphan"])", 200},
        {"the old way not to", R"({"orphanDependents":false})", "", 200},
    };
    for (const auto& row : rows) {
        TestServer server;
        ASSERT_EQ(make_web(server).status, 201);
        EXPECT_EQ(server.remove(web, row.options).status, row.status) << row.what;
        const auto left = server.get(web);
        EXPECT_EQ(finalizers(left), row.finalizers) << row.what;
        EXPECT_EQ(left.status, std::string_view{row.finalizers}.empty() ? 404 : 200) << row.what;
    }
    TestServer server;
    ASSERT_EQ(make_rc(server).status, 201);
    EXPECT_EQ(server.remove(rc).status, 200);
    EXPECT_EQ(finalizers(server.get(rc)), R"(["orphan"])") << "as before there was a collector";
    EXPECT_EQ(server.remove(rc, R"({"propagationPolicy":"Background"})").status, 200);
    EXPECT_EQ(server.get(rc).status, 404) << "a later word takes the finalizer away";
    ASSERT_EQ(make_web(server, R"(,"finalizers":["foregroundDeletion","a/b"])").status, 201);
    EXPECT_EQ(server.remove(web).status, 200);
    EXPECT_EQ(finalizers(server.get(web)), R"(["foregroundDeletion","a/b"])");
    EXPECT_EQ(server.remove(web, R"({"propagationPolicy":"Orphan"})").status, 200);
    EXPECT_EQ(finalizers(server.get(web)), R"(["a/b","orphan"])");
}

}   // namespace
}   // namespace skiff::apiserver::testing
