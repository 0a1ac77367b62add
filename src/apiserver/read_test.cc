// Get and list.
#include "apiserver/testing.h"

namespace skiff::apiserver::testing {
namespace {

constexpr std::string_view maps = "/api/v1/namespaces/default/configmaps";
const HeaderList table_form{
    {"accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}};

TEST(Get, an_object_that_is_not_there_is_named_in_the_404) {
    TestServer server;
    const auto answer = server.get(concat(maps, "/none"));
    EXPECT_EQ(answer.status, 404);
    EXPECT_EQ(answer.message(), R"(configmaps "none" not found)");
    EXPECT_EQ(answer.reason(), "NotFound");
    EXPECT_EQ(answer.text({"details", "name"}), "none");
    EXPECT_EQ(answer.number({"code"}), 404);
}

TEST(Get, every_form_of_an_object_is_given) {
    TestServer server;
    ASSERT_EQ(server.config_map("a").status, 201);
    const auto table = server.get(concat(maps, "/a"), table_form);
    EXPECT_EQ(table.text({"kind"}), "Table");
    ASSERT_EQ(table.at({"rows"})->size(), 1u);
    EXPECT_EQ(table.at({"rows"})->items()[0].at_path({"cells"})->items()[0].text(), "a");
    const auto partial =
        server.get(concat(maps, "/a"),
                   {{"accept", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}});
    EXPECT_EQ(partial.text({"kind"}), "PartialObjectMetadata");
    EXPECT_EQ(partial.text({"apiVersion"}), "meta.k8s.io/v1");
    EXPECT_EQ(partial.text({"metadata", "name"}), "a");
    EXPECT_EQ(partial.at({"data"}), nullptr);
    EXPECT_EQ(server.get(concat(maps, "/a"), {{"accept", "text/html"}}).status, 406);
    EXPECT_NE(server.get(concat(maps, "/a?pretty=true")).body.find('\n'), std::string::npos);
    EXPECT_EQ(server.request("HEAD", concat(maps, "/a")).status, 200);
    EXPECT_EQ(server.get(concat(maps, "/a/")).status, 200);
}

TEST(List, an_unknown_namespace_is_empty) {
    TestServer server;
    const auto answer = server.get("/api/v1/namespaces/none/configmaps");
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.text({"kind"}), "ConfigMapList");
    EXPECT_EQ(answer.at({"items"})->size(), 0u);
    EXPECT_EQ(answer.version(), std::to_string(server.store->revision().value));
}

TEST(List, namespaces_and_selectors_choose) {
    TestServer server;
    server.config_map("a", R"({"app":"web","tier":"front"})");
    server.config_map("b", R"({"app":"web"})");
    server.config_map("c", R"({"app":"db"})");
    server.config_map("a", R"({"app":"web"})", "other");
    struct Case {
        std::string_view target;
        std::vector<std::string> names;
    };
    const Case cases[] = {
        {"/api/v1/configmaps", {"a", "b", "c", "a"}},
        {"/api/v1/namespaces/default/configmaps", {"a", "b", "c"}},
        {"/api/v1/namespaces/default/configmaps?labelSelector=app%3Dweb", {"a", "b"}},
        {"/api/v1/namespaces/default/configmaps?labelSelector=app%21%3Dweb", {"c"}},
        {"/api/v1/namespaces/default/configmaps?labelSelector=app+in+(db,web),!tier", {"b", "c"}},
        {"/api/v1/namespaces/default/configmaps?labelSelector=tier", {"a"}},
        {"/api/v1/namespaces/default/configmaps?fieldSelector=metadata.name%3Db", {"b"}},
        {"/api/v1/namespaces/default/configmaps?fieldSelector=metadata.name%21%3Db", {"a", "c"}},
        {"/api/v1/namespaces/default/"
         "configmaps?fieldSelector=metadata.name%3Db&labelSelector=app%3Ddb",
         {}},
        {"/api/v1/configmaps?fieldSelector=metadata.namespace%3Dother", {"a"}},
        {"/api/v1/configmaps?fieldSelector=metadata.name%3Da", {"a", "a"}},
    };
    for (const auto& c : cases) EXPECT_EQ(server.get(c.target).names(), c.names) << c.target;
}

TEST(List, selectors_that_cannot_be_are_a_400) {
    TestServer server;
    const auto answer = server.get(concat(maps, "?fieldSelector=data.k%3Dv"));
    EXPECT_EQ(answer.status, 400);
    EXPECT_NE(answer.message().find("field label not supported: data.k"), std::string::npos)
        << answer.message();
    EXPECT_EQ(server.get(concat(maps, "?labelSelector=a%3D%3D%3Db")).status, 400);
    EXPECT_EQ(server.get("/api/v1/nodes?fieldSelector=metadata.namespace%3Da").status, 400);
}

TEST(List, pods_are_chosen_by_their_node_and_phase) {
    TestServer server;
    server.pod("a", R"(,"nodeName":"n1")");
    server.pod("b");
    EXPECT_EQ(server.get("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1").names(),
              std::vector<std::string>{"a"});
    EXPECT_EQ(
        server.get("/api/v1/pods?fieldSelector=spec.nodeName%3D,status.phase%3DPending").names(),
        std::vector<std::string>{"b"});
}

TEST(List, pages_show_one_state_whatever_is_written_between_them) {
    TestServer server;
    for (const auto* name : {"a", "b", "c", "d", "e"}) server.config_map(name);
    const auto first = server.get(concat(maps, "?limit=2"));
    EXPECT_EQ(first.names(), (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(first.number({"metadata", "remainingItemCount"}), 3);
    server.config_map("bb");
    server.remove(concat(maps, "/c"));
    const auto second =
        server.get(concat(maps, "?limit=2&continue=", first.text({"metadata", "continue"})));
    EXPECT_EQ(second.names(), (std::vector<std::string>{"c", "d"}));
    EXPECT_EQ(second.version(), first.version());
    EXPECT_EQ(second.number({"metadata", "remainingItemCount"}), 1);
    const auto last =
        server.get(concat(maps, "?limit=2&continue=", second.text({"metadata", "continue"})));
    EXPECT_EQ(last.names(), (std::vector<std::string>{"e"}));
    EXPECT_EQ(last.at({"metadata", "continue"}), nullptr);
    EXPECT_EQ(last.at({"metadata", "remainingItemCount"}), nullptr);
    EXPECT_EQ(server.get(concat(maps, "?limit=5")).at({"metadata", "continue"}), nullptr);
}

TEST(List, what_a_selector_leaves_is_not_counted) {
    TestServer server;
    for (const auto* name : {"a", "b", "c"}) server.config_map(name, R"({"x":"y"})");
    const auto page = server.get(concat(maps, "?limit=1&labelSelector=x%3Dy"));
    EXPECT_EQ(page.names(), std::vector<std::string>{"a"});
    EXPECT_FALSE(page.text({"metadata", "continue"}).empty());
    EXPECT_EQ(page.at({"metadata", "remainingItemCount"}), nullptr);
}

TEST(List, a_continue_token_of_a_forgotten_state_is_a_410_and_nonsense_a_400) {
    TestServer server{{.window_revisions_max = 4}};
    for (const auto* name : {"a", "b", "c"}) server.config_map(name);
    const auto first = server.get(concat(maps, "?limit=1"));
    const auto token = first.text({"metadata", "continue"});
    for (int i = 0; i < 40; ++i) server.config_map(concat("x", i));
    server.executor.advance(std::chrono::minutes{10});
    const auto late = server.get(concat(maps, "?limit=1&continue=", token));
    EXPECT_EQ(late.status, 410) << late.body;
    EXPECT_EQ(late.reason(), "Expired");
    EXPECT_NE(late.message().find("The provided continue parameter is too old"), std::string::npos)
        << late.message();
    EXPECT_EQ(server.get(concat(maps, "?continue=frob")).status, 400);
    EXPECT_EQ(server.get(concat(maps, "?resourceVersion=5&continue=", token)).status, 400);
}

TEST(List, the_table_of_resource_versions_of_kep_1904) {
    TestServer server;
    const auto old = server.config_map("a").version();
    server.config_map("b");
    using Names = std::vector<std::string>;
    struct Case {
        std::string query;
        int status;
        Names names;
    };
    const Case cases[] = {
        {"", 200, {"a", "b"}},
        {"?resourceVersion=", 200, {"a", "b"}},
        {"?resourceVersion=0", 200, {"a", "b"}},
        {concat("?resourceVersion=", old), 200, {"a", "b"}},          // not older than
        {concat("?resourceVersion=", old, "&limit=9"), 200, {"a"}},   // legacy: exact
        {concat("?resourceVersion=", old, "&resourceVersionMatch=Exact"), 200, {"a"}},
        {concat("?resourceVersion=", old, "&resourceVersionMatch=NotOlderThan"), 200, {"a", "b"}},
        {concat("?resourceVersion=", old, "&resourceVersionMatch=NotOlderThan&limit=9"),
         200,
         {"a", "b"}},
        {"?resourceVersion=0&resourceVersionMatch=NotOlderThan", 200, {"a", "b"}},
        {"?resourceVersion=0&resourceVersionMatch=Exact", 422, {}},
        {"?resourceVersionMatch=Exact", 422, {}},
        {"?resourceVersionMatch=NotOlderThan", 422, {}},
        {concat("?resourceVersion=", old, "&resourceVersionMatch=Frob"), 422, {}},
        {"?resourceVersionMatch=Exact&continue=x", 422, {}},
        {"?sendInitialEvents=true", 422, {}},
        {"?resourceVersion=99999", 504, {}},
        {"?resourceVersion=x", 400, {}},
    };
    for (const auto& c : cases) {
        const auto answer = server.get(concat(maps, c.query));
        EXPECT_EQ(answer.status, c.status) << c.query << answer.body;
        EXPECT_EQ(answer.names(), c.names) << c.query;
    }
    const auto future = server.get(concat(maps, "?resourceVersion=99999"));
    EXPECT_EQ(future.reason(), "Timeout");
    EXPECT_EQ(future.at({"details", "causes"})->items()[0].text_at({"reason"}),
              "ResourceVersionTooLarge");
    EXPECT_EQ(future.header("retry-after"), "1");
}

TEST(List, a_table_has_a_row_an_object_and_what_is_asked_of_it) {
    TestServer server;
    for (int i = 0; i < 130; ++i) server.config_map(concat("m", 100 + i));
    const auto table = server.get(concat(maps, "?limit=129"), table_form);
    ASSERT_EQ(table.status, 200);
    EXPECT_EQ(table.text({"kind"}), "Table");
    EXPECT_EQ(table.text({"apiVersion"}), "meta.k8s.io/v1");
    ASSERT_EQ(table.at({"rows"})->size(), 129u);
    EXPECT_EQ(table.at({"columnDefinitions"})->items()[0].text_at({"name"}), "Name");
    EXPECT_EQ(table.number({"metadata", "remainingItemCount"}), 1);
    const auto& row = table.at({"rows"})->items()[128];
    EXPECT_EQ(row.at_path({"cells"})->items()[0].text(), "m228");
    EXPECT_EQ(row.text_at({"object", "kind"}), "PartialObjectMetadata");
    const auto none = server.get(concat(maps, "?includeObject=None&limit=1"), table_form);
    EXPECT_EQ(none.at({"rows"})->items()[0].text_at({"object", "kind"}), "");
    const auto whole = server.get(concat(maps, "?includeObject=Object&limit=1"), table_form);
    EXPECT_EQ(whole.at({"rows"})->items()[0].text_at({"object", "kind"}), "ConfigMap");
    EXPECT_EQ(server.get("/api/v1/namespaces/none/configmaps", table_form).at({"rows"})->size(),
              0u);
    const auto pretty = server.get(concat(maps, "?pretty=true&limit=2"), table_form);
    EXPECT_EQ(pretty.at({"rows"})->size(), 2u);
}

TEST(List, metadata_alone_is_a_list_of_its_own_kind) {
    TestServer server;
    server.config_map("a");
    const auto list = server.get(
        maps, {{"accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}});
    EXPECT_EQ(list.text({"kind"}), "PartialObjectMetadataList");
    EXPECT_EQ(list.names(), std::vector<std::string>{"a"});
    EXPECT_EQ(list.at({"items"})->items()[0].find("data"), nullptr);
}

}   // namespace
}   // namespace skiff::apiserver::testing
