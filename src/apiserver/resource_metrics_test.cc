#include "apiserver/resource_metrics.h"

#include "apiserver/resource_usage.h"
#include "apiserver/testing.h"

namespace skiff::apiserver::testing {
namespace {

constexpr std::string_view pods_path = "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods";
constexpr std::string_view nodes_path = "/apis/metrics.k8s.io/v1beta1/nodes";

TEST(ResourceUsage, is_what_lies_between_two_measurements) {
    const WallTime start{std::chrono::seconds{1'700'000'000}};
    const UsageCounter before{.at = start, .cpu_seconds = 2.0, .memory_bytes = 1};
    const UsageCounter after{.at = start + 4s, .cpu_seconds = 3.0, .memory_bytes = 4096};
    const auto usage = usage_between(before, after);
    ASSERT_TRUE(usage);
    EXPECT_EQ(usage->cpu_nanocores, 250'000'000);
    EXPECT_EQ(usage->memory_bytes, 4096);
    EXPECT_FALSE(usage_between(after, before)) << "time runs forward";
    EXPECT_FALSE(usage_between({.at = start, .cpu_seconds = 9.0, .memory_bytes = 1}, after))
        << "a container that began anew counts from zero";
    EXPECT_FALSE(usage_between(UsageCounter{}, after));
}

TEST(ResourceUsage, lines_that_say_nothing_are_passed_over) {
    const auto sample = parse_resource_metrics(
        "# TYPE node_cpu_usage_seconds_total counter\n"
        "node_cpu_usage_seconds_total 1.5e+01 1700000000500\n"
        "node_memory_working_set_bytes NaN\n"
        "container_cpu_usage_seconds_total{container=\"c\",namespace=\"n\",pod=\"p\"} 7\r\n"
        "container_cpu_usage_seconds_total{container=\"c\n"
        "rubbish\n\n{}\n",
        WallTime{std::chrono::seconds{1}});
    EXPECT_EQ(sample.node.cpu_seconds, 15.0);
    EXPECT_EQ(sample.node.at, WallTime{std::chrono::milliseconds{1'700'000'000'500}});
    EXPECT_FALSE(sample.node.memory_bytes);
    ASSERT_EQ(sample.pods.size(), 1u);
    EXPECT_EQ(sample.pods.at("n/p").at("c").cpu_seconds, 7.0);
    EXPECT_EQ(sample.pods.at("n/p").at("c").at, WallTime{std::chrono::seconds{1}});
}

class ResourceMetricsTest : public ::testing::Test {
  protected:
    ResourceMetricsTest() {
        server_.post("/api/v1/nodes",
                     R"({"metadata":{"name":"n1","labels":{"zone":"a"}},"status":{"addresses":[
                        {"type":"InternalIP","address":"10.0.0.1"}]}})");
        server_.pod("web", R"(,"nodeName":"n1")", R"(,"labels":{"app":"a"})");
        server_.pod("waiting", R"(,"nodeName":"n1")");
        server_.merge("/api/v1/namespaces/default/pods/web/status",
                      R"({"status":{"phase":"Running"}})");
        server_.api.set_usage_fetch([this](const net::Endpoint& node,
                                           std::function<void(Result<std::string>)> done) {
            ++asked_;
            EXPECT_EQ(node.host, "10.0.0.1");
            const auto cpu = std::to_string(
                std::chrono::duration<double>{server_.executor.at().time_since_epoch()}.count() *
                load_);
            done(down_ ? Result<std::string>{skiff::fail(Reason::ServiceUnavailable, "gone")}
                       : concat("node_cpu_usage_seconds_total ", cpu,
                                "\nnode_memory_working_set_bytes 2048\n"
                                "container_cpu_usage_seconds_total{container=\"c\","
                                "namespace=\"default\",pod=\"web\"} ",
                                cpu,
                                "\ncontainer_memory_working_set_bytes{container=\"c\","
                                "namespace=\"default\",pod=\"web\"} 1024\n"));
        });
    }

    // The answer may take the second that a measurement needs.
    Answer ask(std::string_view target, HeaderList headers = {}) {
        net::Request request{.method = "GET", .path = {}, .query = {}};
        const auto [path, query] = cut(target, '?');
        request.path = path;
        request.query = query.value_or("");
        request.headers.add("authorization", "Bearer admin");
        for (const auto& [name, value] : headers) request.headers.add(name, value);
        auto response = std::make_shared<net::Response>();
        server_.api.handler()(std::move(request), std::make_shared<Catcher>(response));
        server_.executor.advance(2s);
        Answer answer{.status = response->status,
                      .headers = response->headers,
                      .body = text_of(response->body),
                      .json = {},
                      .source = {}};
        if (auto document = codec::parse_json(answer.body)) answer.json = std::move(*document);
        return answer;
    }

    TestServer server_;
    int asked_ = 0;
    double load_ = 0.5;
    bool down_ = false;
};

TEST_F(ResourceMetricsTest, the_first_question_measures_twice_and_the_next_goes_on_from_there) {
    const auto first = ask(nodes_path);
    ASSERT_EQ(first.status, 200) << first.body;
    EXPECT_EQ(asked_, 2);
    const auto* node = &first.at({"items"})->items()[0];
    EXPECT_EQ(node->text_at({"metadata", "name"}), "n1");
    EXPECT_EQ(node->text_at({"metadata", "labels", "zone"}), "a");
    EXPECT_EQ(node->text_at({"usage", "cpu"}), "500000000n");
    EXPECT_EQ(node->text_at({"usage", "memory"}), "2Ki");
    EXPECT_EQ(node->text_at({"window"}), "1s");
    load_ = 1;
    server_.executor.advance(13s);
    const auto second = ask(concat(pods_path, "/web"));
    ASSERT_EQ(second.status, 200) << second.body;
    EXPECT_EQ(asked_, 3);
    EXPECT_EQ(second.text({"window"}), "14s");
    EXPECT_EQ(second.text({"apiVersion"}), "metrics.k8s.io/v1beta1");
    EXPECT_EQ(second.at({"containers"})->items()[0].text_at({"name"}), "c");
}

TEST_F(ResourceMetricsTest, pods_are_selected_as_pods_are) {
    EXPECT_EQ(ask(concat(pods_path, "?labelSelector=app%3Da")).at({"items"})->size(), 1u);
    EXPECT_EQ(ask(concat(pods_path, "?labelSelector=app%3Db")).at({"items"})->size(), 0u);
    EXPECT_EQ(ask("/apis/metrics.k8s.io/v1beta1/namespaces/other/pods").at({"items"})->size(), 0u);
    EXPECT_EQ(ask("/apis/metrics.k8s.io/v1beta1/pods").at({"items"})->size(), 1u);
    EXPECT_EQ(ask(concat(pods_path, "/waiting")).status, 404);
    const auto table = ask(pods_path, {{"accept", "application/json;as=Table;v=v1;g=meta.k8s.io"}});
    EXPECT_EQ(codec::to_json(*table.at({"rows"})->items()[0].find("cells")),
              R"(["web","500m","1Ki","4s"])");
}

TEST_F(ResourceMetricsTest, a_node_that_does_not_answer_is_left_out) {
    down_ = true;
    const auto list = ask(nodes_path);
    EXPECT_EQ(list.status, 200);
    EXPECT_EQ(list.at({"items"})->size(), 0u);
    EXPECT_EQ(ask(concat(nodes_path, "/n1")).status, 404);
}

TEST_F(ResourceMetricsTest, without_a_way_to_nodes_there_are_none) {
    server_.api.set_usage_fetch({});
    EXPECT_EQ(ask(nodes_path).status, 503);
}

TEST_F(ResourceMetricsTest, who_has_no_role_may_not_read_them) {
    EXPECT_EQ(server_.get(nodes_path, {{"authorization", "Bearer alice"}}).status, 403);
}

}   // namespace
}   // namespace skiff::apiserver::testing
