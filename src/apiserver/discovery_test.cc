// What clients choose from: the newest first, what is old last or, when it is hidden, not at all.
#include "apiserver/testing.h"

namespace skiff::apiserver::testing {
namespace {

// v1 before v1beta2 before v1beta1 before v1alpha1: Kubernetes' order of versions.
int rank(std::string_view version) {
    const auto digits = [](std::string_view text) {
        return parse_number<int>(text.substr(0, text.find_first_not_of("0123456789"))).value_or(0);
    };
    const int major = digits(version.substr(1));
    for (const auto& [word, base] : {std::pair{std::string_view{"beta"}, 1000}, {"alpha", 0}})
        if (const auto at = version.find(word); at != version.npos)
            return base + 20 * major + digits(version.substr(at + word.size()));
    return 10000 + major;
}

TEST(Discovery, the_newest_version_of_each_group_is_preferred) {
    TestServer server;
    const auto list = server.get("/apis");
    for (const auto& group : list.at({"groups"})->items()) {
        const auto versions = group.find("versions")->items();
        const auto preferred = group.text_at({"preferredVersion", "version"});
        EXPECT_EQ(preferred, versions[0].text_at({"version"}));
        for (size_t i = 1; i < versions.size(); ++i)
            EXPECT_GT(rank(versions[i - 1].text_at({"version"})),
                      rank(versions[i].text_at({"version"})))
                << group.text_at({"name"});
    }
}

// As charts do: the first of a list that .Capabilities.APIVersions has.
TEST(Discovery, templates_that_branch_on_what_is_offered_find_the_newest) {
    TestServer server;
    const auto has = [&](std::string_view api_version, std::string_view kind) {
        const auto list = server.get(concat("/apis/", api_version));
        if (list.status != 200) return false;
        return std::ranges::any_of(list.at({"resources"})->items(), [&](const codec::Json& entry) {
            return entry.text_at({"kind"}) == kind;
        });
    };
    for (const auto& [version, kind] : {std::pair{"networking.k8s.io/v1", "Ingress"},
                                        {"policy/v1", "PodDisruptionBudget"},
                                        {"autoscaling/v2", "HorizontalPodAutoscaler"},
                                        {"batch/v1", "CronJob"},
                                        {"apps/v1", "Deployment"},
                                        {"rbac.authorization.k8s.io/v1", "Role"}})
        EXPECT_TRUE(has(version, kind)) << version << " " << kind;
    EXPECT_FALSE(has("policy/v1beta1", "PodSecurityPolicy")) << "charts would make one";
}

// kubectl takes the first group that has a resource of the name.
TEST(Discovery, old_groups_and_metrics_come_last) {
    TestServer server;
    const auto list = server.get("/apis");
    const auto groups = list.at({"groups"})->items();
    ASSERT_GE(groups.size(), 2u);
    EXPECT_EQ(groups[groups.size() - 2].text_at({"name"}), "extensions");
    EXPECT_EQ(groups[groups.size() - 1].text_at({"name"}), "metrics.k8s.io");
}

TEST(Discovery, legacy_versions_can_be_hidden) {
    TestServer server{
        {}, "10.96.0.0/16", [](ApiServerOptions& options) { options.legacy_versions = false; }};
    EXPECT_EQ(server.get("/apis/extensions/v1beta1").status, 404);
    EXPECT_EQ(server.get("/apis/apps/v1beta2/deployments").status, 404);
    EXPECT_EQ(server.get("/openapi/v3/apis/apps/v1beta1").status, 404);
    const auto apps = server.get("/apis/apps");
    EXPECT_EQ(apps.at({"versions"})->size(), 1u);
    EXPECT_EQ(server.get("/apis/autoscaling/v1/horizontalpodautoscalers").status, 200);
    EXPECT_EQ(server.get("/apis/events.k8s.io/v1/events").status, 200);
    for (const auto& group : server.get("/apis").at({"groups"})->items())
        EXPECT_NE(group.text_at({"name"}), "extensions");
}

TEST(Discovery, the_parts_of_the_control_plane_are_listed_as_ever) {
    TestServer server;
    const auto list = server.get("/api/v1/componentstatuses");
    ASSERT_EQ(list.status, 200) << list.body;
    EXPECT_NE(list.header("warning").find("v1 ComponentStatus is deprecated in v1.19+"),
              std::string::npos);
    EXPECT_EQ(list.at({"items"})->size(), 3u);
    const auto one = server.get("/api/v1/componentstatuses/scheduler");
    EXPECT_EQ(one.at({"conditions"})->items()[0].text_at({"status"}), "True");
    EXPECT_EQ(server.get("/api/v1/componentstatuses/nobody").status, 404);
    const auto table = server.get("/api/v1/componentstatuses",
                                  {{"accept", "application/json;as=Table;v=v1;g=meta.k8s.io"}});
    EXPECT_EQ(codec::to_json(*table.at({"rows"})->items()[2].find("cells")),
              R"(["scheduler","Healthy","ok",""])");
}

}   // namespace
}   // namespace skiff::apiserver::testing
