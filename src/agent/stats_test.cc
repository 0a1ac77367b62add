#include "agent/stats.h"

#include "agent/pod_record.h"
#include "codec/json.h"

#include <gtest/gtest.h>

namespace skiff::agent {
namespace {

constexpr WallTime at{std::chrono::milliseconds{1'700'000'000'123}};

TEST(NodeUsage, is_read_from_either_version_of_cgroups) {
    const std::string_view memory = "MemTotal: 1000 kB\nMemFree:  300 kB\nInactive(file): 200 kB\n";
    const auto one = node_usage(
        {.cpuacct_usage = "12345\n", .cpu_stat = {}, .proc_stat = {}, .meminfo = memory}, at);
    EXPECT_EQ(one.cpu_nanoseconds, 12345u);
    EXPECT_EQ(one.memory_bytes, 700u * 1024);
    EXPECT_EQ(one.working_set_bytes, 500u * 1024);
    EXPECT_EQ(one.available_bytes, 500u * 1024);
    const auto two = node_usage({.cpuacct_usage = {},
                                 .cpu_stat = "usage_usec 77\nuser_usec 50\n",
                                 .proc_stat = "cpu  1 0 0 0\n",
                                 .meminfo = memory},
                                at);
    EXPECT_EQ(two.cpu_nanoseconds, 77'000u);
    const auto neither = node_usage({.cpuacct_usage = {},
                                     .cpu_stat = {},
                                     .proc_stat = "cpu  1 2 3 400 500 6 7 8 90 10\ncpu0 1 1 1 1\n",
                                     .meminfo = {}},
                                    at);
    EXPECT_EQ(neither.cpu_nanoseconds, 27u * 10'000'000);
    EXPECT_FALSE(neither.working_set_bytes);
}

std::vector<cri::ContainerStats> two_containers() {
    std::vector<cri::ContainerStats> all;
    for (const std::string name : {"a", "b"}) {
        cri::ContainerStats stats;
        stats.attributes.labels = {{label_container_name, name},
                                   {label_pod_name, "web"},
                                   {label_pod_namespace, "default"},
                                   {label_pod_uid, "u"}};
        const int64_t time = at.time_since_epoch().count();
        stats.cpu = cri::CpuUsage{
            .timestamp = time, .usage_core_nano_seconds = 1'050'000'000, .usage_nano_cores = {}};
        stats.memory = cri::MemoryUsage{.timestamp = time};
        stats.memory->working_set_bytes = 4096;
        all.push_back(std::move(stats));
    }
    return all;
}

TEST(Stats, resource_metrics_are_as_kubelet_tells_them) {
    const auto text = resource_metrics(two_containers(), {.at = at,
                                                          .cpu_nanoseconds = 5'000'000'001,
                                                          .memory_bytes = {},
                                                          .working_set_bytes = 8192,
                                                          .available_bytes = {}});
    for (const std::string_view line :
         {"container_cpu_usage_seconds_total{container=\"a\",namespace=\"default\",pod=\"web\"} "
          "1.050000000 1700000000123\n",
          "container_memory_working_set_bytes{container=\"b\",namespace=\"default\",pod=\"web\"} "
          "4096 1700000000123\n",
          "node_cpu_usage_seconds_total 5.000000001 1700000000123\n",
          "node_memory_working_set_bytes 8192 1700000000123\n",
          "pod_cpu_usage_seconds_total{namespace=\"default\",pod=\"web\"} 2.100000000 "
          "1700000000123\n",
          "resource_scrape_error 0\n"})
        EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
}

TEST(Stats, a_summary_adds_up_pods_and_tells_of_the_node) {
    const auto text = stats_summary("n1", two_containers(),
                                    {.at = at,
                                     .cpu_nanoseconds = 5,
                                     .memory_bytes = 10,
                                     .working_set_bytes = 8,
                                     .available_bytes = 2});
    const auto summary = codec::parse_json(text);
    ASSERT_TRUE(summary) << text;
    const auto* pods = summary->root.find("pods");
    ASSERT_TRUE(pods && pods->size() == 1) << text;
    EXPECT_EQ(pods->items()[0].at_path({"cpu", "usageCoreNanoSeconds"})->as_int(), 2'100'000'000);
    EXPECT_EQ(pods->items()[0].find("containers")->size(), 2u);
    EXPECT_EQ(summary->root.text_at({"node", "cpu", "time"}), "2023-11-14T22:13:20.123000Z");
    EXPECT_EQ(summary->root.at_path({"node", "memory", "workingSetBytes"})->as_int(), 8);
}

}   // namespace
}   // namespace skiff::agent
