#include "agent/registry_auth.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace skiff::agent {
namespace {

TEST(RegistryAuth, entries_match_as_kubelet_matches_them) {
    struct Row {
        const char* entry;
        const char* image;
        bool matches;
    };
    const Row rows[] = {
        {"registry.example", "registry.example/a", true},
        {"https://registry.example/v2/", "registry.example/a", true},
        {"http://registry.example/v1/", "registry.example/a/b", true},
        {"registry.example", "other.example/a", false},
        {"registry.example", "registry.example:5000/a", false},
        {"registry.example:5000", "registry.example:5000/a", true},
        {"registry.example:5000", "registry.example/a", false},
        {"registry.example/team", "registry.example/team/app", true},
        {"registry.example/team", "registry.example/other/app", false},
        {"*.example", "registry.example/a", true},
        {"*.example", "a.registry.example/a", false},
        {"reg*.exam*", "registry.example/a", true},
        {"*.*.example", "a.registry.example/a", true},
        {"*", "registry.example/a", false},
        {"docker.io", "busybox", true},
        {"docker.io/library", "busybox", true},
        {"docker.io", "registry.example/busybox", false},
        {"127.0.0.1:5000", "127.0.0.1:5000/a:1", true},
        {"", "registry.example/a", false},
    };
    for (const Row& row : rows) {
        EXPECT_EQ(registry_matches(row.entry, *parse_image_name(row.image)), row.matches)
            << row.entry << " and " << row.image;
    }
}

std::string users(const std::vector<std::string>& configs, const char* image) {
    std::string out;
    for (const auto& auth : registry_auths(configs, *parse_image_name(image)))
        append(out, auth.username, ":", auth.password, " ");
    return out;
}

TEST(RegistryAuth, all_candidates_the_most_specific_first) {
    const std::string first =
        R"({"auths":{"r.example":{"username":"a","password":"1"},"r.example/team":{"username":"b","password":"2"},
            "*.example":{"username":"c","password":"3"}}})";
    const std::string second = R"({"r.example":{"auth":"ZDo0OjU="}})";   // dockercfg; d:4:5
    EXPECT_EQ(users({first, second}, "r.example/team/app"), "b:2 a:1 d:4:5 c:3 ");
    EXPECT_EQ(users({second, first}, "r.example/x"), "d:4:5 a:1 c:3 ");
    EXPECT_EQ(users({first, second}, "docker.io/x"), "");
}

TEST(RegistryAuth, docker_hub_has_many_names) {
    const std::string hub = R"({"auths":{"https://index.docker.io/v1/":{"auth":"dXNlcjpwYXNz"}}})";
    EXPECT_EQ(users({hub}, "busybox"), "user:pass ");
    EXPECT_EQ(users({hub}, "r.example/busybox"), "");
    const std::string exact = R"({"auths":{"docker.io":{"username":"x","password":"y"}}})";
    EXPECT_EQ(users({hub, exact}, "busybox"), "x:y ");
}

TEST(RegistryAuth, what_cannot_be_read_is_passed_over) {
    for (const char* wrong :
         {"", "rubbish", "[]", "3", R"({"auths":3})", R"({"auths":{"r.example":3}})",
          R"({"auths":{"r.example":{"auth":"!"}}})",
          R"({"auths":{"r.example":{"auth":"dXNlcg=="}}})"}) {
        for (const auto& auth : registry_auths({wrong}, *parse_image_name("r.example/a")))
            EXPECT_EQ(auth.username + auth.password, "") << wrong;
    }
    EXPECT_EQ(users({"rubbish", R"({"auths":{"r.example":{"username":"x","password":"y"}}})"},
                    "r.example/a"),
              "x:y ");
}

TEST(RegistryAuth, no_servers_address_is_handed_on) {
    const auto auths =
        registry_auths({R"({"auths":{"127.0.0.1:5000":{"username":"x","password":"y"}}})"},
                       *parse_image_name("127.0.0.1:5000/a"));
    ASSERT_EQ(auths.size(), 1u);
    EXPECT_EQ(auths[0].server_address, "");
}

}   // namespace
}   // namespace skiff::agent
