#include "apiserver/testing.h"

namespace skiff::apiserver::testing {
namespace {

constexpr std::string_view a = "/api/v1/namespaces/default/configmaps/a";
constexpr std::string_view pod_a = "/api/v1/namespaces/default/pods/a";
constexpr std::string_view json_type = "application/json-patch+json";
constexpr std::string_view strategic = "application/strategic-merge-patch+json";
constexpr std::string_view apply = "application/apply-patch+yaml";

TEST(Patch, the_four_kinds_each_change_in_their_way) {
    TestServer server;
    server.config_map("a");
    EXPECT_EQ(
        server.patch(a, R"([{"op":"add","path":"/data/j","value":"1"}])", std::string{json_type})
            .text({"data", "j"}),
        "1");
    EXPECT_EQ(server.merge(a, R"({"data":{"j":null,"m":"2"}})").text({"data", "m"}), "2");
    EXPECT_EQ(server.get(a).at({"data", "j"}), nullptr);
    server.pod("a");
    const auto merged = server.patch(
        pod_a,
        R"({"metadata":{"labels":{"s":"3"}},"spec":{"containers":[{"name":"c","image":"new"}]}})",
        std::string{strategic});
    ASSERT_EQ(merged.status, 200) << merged.body;
    ASSERT_EQ(merged.at({"spec", "containers"})->size(), 1u);
    EXPECT_EQ(merged.at({"spec", "containers"})->items()[0].text_at({"image"}), "new");
    EXPECT_FALSE(
        merged.at({"spec", "containers"})->items()[0].text_at({"imagePullPolicy"}).empty());
    const auto applied =
        server.patch(concat(a, "?fieldManager=me"),
                     "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  s: '4'\n",
                     std::string{apply});
    ASSERT_EQ(applied.status, 200) << applied.body;
    EXPECT_EQ(applied.text({"data", "s"}), "4");
    EXPECT_EQ(applied.text({"data", "k"}), "v");
    const auto made =
        server.patch("/api/v1/namespaces/default/configmaps/fresh?fieldManager=me",
                     R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"fresh"}})",
                     std::string{apply});
    EXPECT_EQ(made.status, 201) << made.body;
}

TEST(Patch, what_is_no_patch_or_fits_nothing_is_told) {
    TestServer server;
    server.config_map("a");
    struct Case {
        std::string_view target, body, type;
        int status;
        std::string_view message;
    };
    const Case cases[] = {
        {a, "{}", "application/json", 415, "application/merge-patch+json"},
        {a, "{}", "", 415, "accepted media types"},
        {a, "{", "application/merge-patch+json", 400, "error decoding patch"},
        {a, "[]", "application/merge-patch+json", 400, ""},
        {a, "{}", json_type, 400, ""},
        {a, R"([{"op":"frob","path":"/a"}])", json_type, 400, ""},
        {a, R"([{"op":"remove","path":"/data/none"}])", json_type, 422, ""},
        {a, R"([{"op":"test","path":"/data/k","value":"w"}])", json_type, 422, ""},
        {a, R"({"data":5})", "application/merge-patch+json", 422,
         "cannot be handled as a ConfigMap"},
        {a, R"({"metadata":{"name":"b"}})", "application/merge-patch+json", 400,
         "does not match the name on the URL"},
        {a, R"({"kind":"Secret"})", "application/merge-patch+json", 400, "kind"},
        {"/api/v1/namespaces/default/configmaps/a?fieldValidation=Strict", R"({"frob":1})",
         "application/merge-patch+json", 422, R"(unknown field "frob")"},
        {"/api/v1/namespaces/default/configmaps/none", "{}", "application/merge-patch+json", 404,
         "not found"},
        {"/api/v1/namespaces/default/configmaps", "{}", "application/merge-patch+json", 405, ""},
        {"/api/v1/namespaces/default/configmaps/a?force=true", "{}", "application/merge-patch+json",
         422, "may not be specified for non-apply patch"},
        {a, R"({"apiVersion":"v1","kind":"ConfigMap"})", apply, 422,
         "fieldManager: Required value: is required for apply patch"},
    };
    for (const auto& c : cases) {
        const auto answer = server.patch(c.target, std::string{c.body}, std::string{c.type});
        EXPECT_EQ(answer.status, c.status) << c.type << ' ' << c.body << answer.body;
        EXPECT_NE(answer.message().find(c.message), std::string::npos) << answer.message();
    }
    const auto warned = server.merge(a, R"({"frob":1})");
    EXPECT_EQ(warned.status, 200);
    EXPECT_EQ(warned.header("warning"), R"(299 - "unknown field \"frob\"")");
}

TEST(Patch, a_resource_version_in_it_is_a_precondition) {
    TestServer server;
    const auto old = server.config_map("a").version();
    const auto now = server.merge(a, R"({"data":{"x":"1"}})").version();
    const auto with = [](const std::string& version) {
        return concat(R"({"metadata":{"resourceVersion":")", version, R"("},"data":{"x":"2"}})");
    };
    EXPECT_EQ(server.merge(a, with(old)).status, 409);
    EXPECT_EQ(server.patch(a, with(old), std::string{strategic}).status, 409);
    EXPECT_EQ(server
                  .patch(a,
                         concat(R"([{"op":"replace","path":"/metadata/resourceVersion","value":")",
                                old, R"("}])"),
                         std::string{json_type})
                  .status,
              409);
    EXPECT_EQ(server.merge(a, with(now)).status, 200);
    EXPECT_EQ(server.merge(a, R"({"metadata":{"uid":"other"}})").status, 409);
}

TEST(Patch, what_changes_nothing_keeps_the_resource_version) {
    TestServer server;
    const auto made = server.config_map("a");
    EXPECT_EQ(server.merge(a, "{}").version(), made.version());
    EXPECT_EQ(server.merge(a, R"({"data":{"k":"v"}})").version(), made.version());
}

TEST(Patch, many_at_once_all_count) {
    TestServer server;
    server.config_map("a");
    // Ten patches are sent before the first is committed: each is decided again on what is there.
    auto transport = server.api.transport_as(
        {.name = "admin", .uid = {}, .groups = {"system:masters"}, .extra = {}});
    int done = 0;
    for (int i = 0; i < 10; ++i) {
        transport->send(
            {.method = "PATCH",
             .path = std::string{a},
             .query = {},
             .content_type = "application/merge-patch+json",
             .body = concat(R"({"data":{"n)", i, R"(":"1"}})")},
            [&](Result<client::ApiResponse> answer) { done += answer && answer->status == 200; });
    }
    server.executor.settle();
    EXPECT_EQ(done, 10);
    EXPECT_EQ(server.get(a).at({"data"})->size(), 11u);
}

}   // namespace
}   // namespace skiff::apiserver::testing
