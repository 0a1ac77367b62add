#include "ingress/served_pods.h"

#include <gtest/gtest.h>

#include <chrono>

namespace skiff::ingress {
namespace {

using namespace std::chrono_literals;
using Names = std::vector<std::string>;

const client::ObjectKey web{.name_space = "d", .name = "web"};
const client::ObjectKey api{.name_space = "d", .name = "api"};

class ServedPodsTest : public testing::Test {
  protected:
    std::unique_ptr<Executor> executor =
        make_thread_pool(os_clock(), {.threads_max = 4, .name = "test"});
    ServedPods pods{*executor};
};

TEST_F(ServedPodsTest, who_is_not_served_is_free_at_once) {
    pods.in_force({{web, {{"other", {"a:1"}}}}});
    EXPECT_EQ(pods.wait_until_dropped("one", 10s), Names{});
}

TEST_F(ServedPodsTest, who_is_dropped_knows_from_where) {
    pods.in_force({{web, {{"one", {"a:1", "a:2"}}}}});
    executor->after(20ms, [this] { pods.in_force({}); });
    EXPECT_EQ(pods.wait_until_dropped("one", 10s), (Names{"a:1", "a:2"}));
    EXPECT_EQ(pods.wait_until_dropped("one", 10s), (Names{"a:1", "a:2"})) << "a moment later too";
}

TEST_F(ServedPodsTest, the_time_is_over) {
    EXPECT_EQ(pods.wait_until_dropped("one", 10ms), Names{}) << "nothing is known yet";
    pods.in_force({{web, {{"one", {"a:1"}}}}});
    EXPECT_EQ(pods.wait_until_dropped("one", 10ms), Names{"a:1"});
}

TEST_F(ServedPodsTest, one_of_two_services_is_served_still) {
    pods.in_force({{web, {{"one", {"a:1"}}}}, {api, {{"one", {"a:2"}}, {"two", {"b:2"}}}}});
    pods.in_force(web, {});
    EXPECT_EQ(pods.wait_until_dropped("one", 10ms), Names{"a:2"});
    pods.in_force(api, {{"two", {"b:2"}}});
    EXPECT_EQ(pods.wait_until_dropped("one", 10s), Names{"a:2"});
    EXPECT_EQ(pods.wait_until_dropped("two", 10ms), Names{"b:2"});
    pods.in_force(web, {{"one", {"a:1"}}});
    EXPECT_EQ(pods.wait_until_dropped("one", 10ms), Names{"a:1"}) << "it is back";
}

}   // namespace
}   // namespace skiff::ingress
