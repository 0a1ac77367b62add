#include "api/normalize.h"
#include "apiserver/testing.h"
#include "codec/protobuf.h"

namespace skiff::apiserver::testing {
namespace {

constexpr std::string_view maps = "/api/v1/namespaces/default/configmaps";

TEST(Create, what_the_server_decides_is_set_by_the_server) {
    TestServer server;
    const auto answer = server.post(
        maps,
        R"({"metadata":{"name":"a","uid":"mine","creationTimestamp":"2001-01-01T00:00:00Z","selfLink":"/x","generation":7},"data":{"k":"v"}})",
        {{"user-agent", "kubectl/v1.33"}});
    ASSERT_EQ(answer.status, 201) << answer.body;
    EXPECT_EQ(answer.text({"kind"}), "ConfigMap");
    EXPECT_EQ(answer.text({"apiVersion"}), "v1");
    EXPECT_EQ(answer.text({"metadata", "namespace"}), "default");
    EXPECT_EQ(answer.text({"metadata", "uid"}).size(), 36u);
    EXPECT_EQ(answer.text({"metadata", "creationTimestamp"}), "2023-11-14T22:13:20Z");
    EXPECT_EQ(answer.at({"metadata", "selfLink"}), nullptr);
    EXPECT_EQ(answer.at({"metadata", "generation"}), nullptr);
    EXPECT_FALSE(answer.version().empty());
    EXPECT_EQ(answer.at({"metadata", "managedFields"})->items()[0].text_at({"manager"}), "kubectl");
    EXPECT_EQ(server.get(concat(maps, "/a")).body, answer.body);
}

TEST(Create, a_pod_loses_the_status_it_came_with) {
    TestServer server;
    const auto answer = server.post(
        "/api/v1/namespaces/default/pods",
        R"({"metadata":{"name":"a"},"spec":{"containers":[{"name":"c","image":"i"}]},"status":{"phase":"Running","podIP":"1.2.3.4"}})");
    ASSERT_EQ(answer.status, 201) << answer.body;
    EXPECT_EQ(answer.text({"status", "phase"}), "Pending");
    EXPECT_EQ(answer.text({"status", "podIP"}), "");
}

TEST(Create, a_name_that_is_taken_is_a_409_in_kubernetes_words) {
    TestServer server;
    ASSERT_EQ(server.config_map("a").status, 201);
    const auto answer = server.config_map("a");
    EXPECT_EQ(answer.status, 409);
    EXPECT_EQ(answer.reason(), "AlreadyExists");
    EXPECT_EQ(answer.message(), R"(configmaps "a" already exists)");
    EXPECT_EQ(answer.text({"details", "kind"}), "configmaps");
    EXPECT_EQ(server.config_map("a", "{}", "other").status, 201);
}

TEST(Create, bodies_that_do_not_fit_the_request_are_told_so) {
    TestServer server;
    struct Case {
        std::string_view path, body;
        int status;
        std::string_view message;
    };
    const Case cases[] = {
        {maps, R"({"metadata":{"name":"a","namespace":"other"}})", 400,
         "the namespace of the provided object does not match the namespace sent on the request"},
        {maps, R"({"kind":"Secret","apiVersion":"v1","metadata":{"name":"a"}})", 400,
         "cannot be handled as a ConfigMap"},
        {maps, R"({"kind":"ConfigMap","apiVersion":"v2","metadata":{"name":"a"}})", 400,
         "does not match the expected API version (v1)"},
        {maps, R"({"metadata":{"name":"a","resourceVersion":"5"}})", 400,
         "resourceVersion should not be set on objects to be created"},
        {maps, R"({"metadata":{}})", 422, "name or generateName is required"},
        {maps, R"({"metadata":{"name":"A_b"}})", 422, "metadata.name"},
        {maps, R"({"metadata":{"name":"a"},"data":5})", 400, "cannot be handled as a ConfigMap"},
        {maps, "[1]", 400, "object"},
        {maps, "{", 400, ""},
        {maps, "", 400, ""},
        {"/api/v1/namespaces/none/configmaps", R"({"metadata":{"name":"a"}})", 404,
         R"(namespaces "none" not found)"},
        {"/api/v1/configmaps", R"({"metadata":{"name":"a","namespace":"default"}})", 405,
         "does not allow this method"},
        {"/api/v1/namespaces/default/configmaps/a", R"({"metadata":{"name":"a"}})", 405,
         "does not allow this method"},
        {"/api/v1/namespaces/default/nodes", R"({"metadata":{"name":"a"}})", 404,
         "could not find the requested resource"},
        {"/api/v1/namespaces/default/namespaces", R"({"metadata":{"name":"a"}})", 404,
         "could not find the requested resource"},
        {"/api/v1/namespaces/default/frobs", "{}", 404, "could not find the requested resource"},
    };
    for (const auto& c : cases) {
        const auto answer = server.post(c.path, std::string{c.body});
        EXPECT_EQ(answer.status, c.status) << c.path << c.body << answer.body;
        EXPECT_NE(answer.message().find(c.message), std::string::npos) << answer.message();
        EXPECT_EQ(answer.text({"kind"}), "Status") << c.body;
    }
    EXPECT_EQ(server.request("POST", maps, "x", {{"content-type", "text/plain"}}).status, 415);
}

TEST(Create, unknown_and_duplicate_fields_are_refused_warned_of_or_ignored_as_asked) {
    TestServer server;
    const auto body = [](std::string_view name) {
        return concat(R"({"metadata":{"name":")", name, R"("},"data":{"k":"a","k":"b"},"frob":1})");
    };
    const auto strict = server.post(concat(maps, "?fieldValidation=Strict"), body("s"));
    EXPECT_EQ(strict.status, 400);
    EXPECT_NE(strict.message().find(
                  R"(strict decoding error: duplicate field "data.k", unknown field "frob")"),
              std::string::npos)
        << strict.message();
    const auto warned = server.post(concat(maps, "?fieldValidation=Warn"), body("w"));
    EXPECT_EQ(warned.status, 201);
    const auto warnings = warned.headers.all("warning");
    ASSERT_EQ(warnings.size(), 2u);
    EXPECT_EQ(warnings[0], R"(299 - "duplicate field \"data.k\"")");
    EXPECT_EQ(warnings[1], R"(299 - "unknown field \"frob\"")");
    EXPECT_EQ(warned.at({"frob"}), nullptr);
    EXPECT_EQ(warned.text({"data", "k"}), "b");
    const auto ignored = server.post(concat(maps, "?fieldValidation=Ignore"), body("i"));
    EXPECT_EQ(ignored.status, 201);
    EXPECT_TRUE(ignored.headers.all("warning").empty());
    EXPECT_EQ(server.post(maps, body("d")).headers.all("warning").size(),
              2u);   // Warn is the default
}

TEST(Create, generated_names_are_five_characters_more_and_another_is_taken_on_a_collision) {
    TestServer server;
    const std::string body = R"({"metadata":{"generateName":"job-"}})";
    std::vector<std::string> names;
    for (int i = 0; i < 20; ++i) {
        const auto answer = server.post(maps, body);
        ASSERT_EQ(answer.status, 201) << answer.body;
        names.push_back(answer.text({"metadata", "name"}));
        EXPECT_EQ(names.back().size(), 9u);
        EXPECT_TRUE(names.back().starts_with("job-"));
    }
    std::ranges::sort(names);
    EXPECT_EQ(std::ranges::unique(names).size(), 0u);

    // The same random again gives a name that is taken: the next one is tried.
    auto before = server.random;
    const auto first = server.post(maps, body);
    server.random = before;
    const auto second = server.post(maps, body);
    ASSERT_EQ(second.status, 201) << second.body;
    EXPECT_NE(first.text({"metadata", "name"}), second.text({"metadata", "name"}));
}

TEST(Create, a_dry_run_answers_as_if_and_stores_nothing) {
    TestServer server;
    const auto revision = server.store->revision();
    const auto answer = server.post(concat(maps, "?dryRun=All"), R"({"metadata":{"name":"a"}})");
    EXPECT_EQ(answer.status, 201);
    EXPECT_FALSE(answer.text({"metadata", "uid"}).empty());
    EXPECT_EQ(server.store->revision(), revision);
    EXPECT_EQ(server.get(concat(maps, "/a")).status, 404);
    EXPECT_EQ(server.post(concat(maps, "?dryRun=All"), R"({"metadata":{"name":"A_"}})").status,
              422);
}

TEST(Create, protobuf_bodies_are_read_and_answered_in_protobuf_when_only_that_is_accepted) {
    TestServer server;
    const auto* kind = api::builtin_message("core.v1.ConfigMap");
    ASSERT_NE(kind, nullptr);
    const auto object = codec::parse_json(R"({"metadata":{"name":"a"},"data":{"k":"v"}})").value();
    std::string message;
    ASSERT_TRUE(api::encode_protobuf(*kind, object.root, message));
    std::string body;
    codec::append_kubernetes_envelope(body, "v1", "ConfigMap",
                                      [&](auto& writer) { writer.out() += message; });
    const auto answer =
        server.post(maps, body,
                    {{"content-type", "application/vnd.kubernetes.protobuf"},
                     {"accept", "application/vnd.kubernetes.protobuf,application/json"}});
    ASSERT_EQ(answer.status, 201) << answer.body;
    EXPECT_EQ(answer.text({"data", "k"}), "v");
    const auto back =
        server.get(concat(maps, "/a"), {{"accept", "application/vnd.kubernetes.protobuf"}});
    ASSERT_EQ(back.status, 200);
    EXPECT_EQ(back.header("content-type"), "application/vnd.kubernetes.protobuf");
    const auto envelope = codec::open_kubernetes_envelope(back.body);
    ASSERT_TRUE(envelope);
    EXPECT_EQ(envelope->kind, "ConfigMap");
    EXPECT_EQ(
        server.post(maps, "k8s", {{"content-type", "application/vnd.kubernetes.protobuf"}}).status,
        400);
    const auto yaml =
        server.post(maps, "metadata:\n  name: yam\ndata:\n  k: v\n",
                    {{"content-type", "application/yaml"}, {"accept", "application/yaml"}});
    EXPECT_EQ(yaml.status, 201) << yaml.body;
    EXPECT_EQ(yaml.header("content-type"), "application/yaml");
}

TEST(Create, nothing_is_made_in_a_namespace_that_goes_away) {
    TestServer server;
    EXPECT_EQ(server
                  .post("/api/v1/namespaces",
                        R"({"metadata":{"name":"gone"},"spec":{"finalizers":["kubernetes"]}})")
                  .status,
              201);
    EXPECT_EQ(server.remove("/api/v1/namespaces/gone").status, 200);
    const auto answer = server.config_map("a", "{}", "gone");
    EXPECT_EQ(answer.status, 403) << answer.body;
    EXPECT_NE(answer.message().find("because it is being terminated"), std::string::npos)
        << answer.message();
    EXPECT_EQ(answer.at({"details", "causes"})->items()[0].text_at({"reason"}),
              "NamespaceTerminating");
}

}   // namespace
}   // namespace skiff::apiserver::testing
