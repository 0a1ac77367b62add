#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string_view>

#include <gtest/gtest.h>
#include <sched.h>

#include "base/log.h"
#include "base/text.h"
#include "sim/seeds.h"

namespace skiff::sim {
namespace {

std::optional<uint64_t> only_seed;
std::optional<int> seeds_count;

// Only one thread runs at a time: handing over is quicker on one processor than across two.
void stay_on_one_processor() {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<size_t>(sched_getcpu()), &one);
    static_cast<void>(sched_setaffinity(0, sizeof one, &one));
}

}   // namespace

std::vector<uint64_t> seeds_to_run(int usual) {
    if (only_seed) return {*only_seed};
    std::vector<uint64_t> seeds;
    for (int i = 1; i <= seeds_count.value_or(usual); ++i)
        seeds.push_back(static_cast<uint64_t>(i));
    return seeds;
}

}   // namespace skiff::sim

int main(int argc, char** argv) {
    using namespace skiff;
    testing::InitGoogleTest(&argc, argv);
    set_log_level(LogLevel::Error);
    sim::stay_on_one_processor();
    if (const char* count = std::getenv("SKIFF_SIM_SEEDS"))
        sim::seeds_count = parse_number<int>(count);
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        if (word == "--seed" && i + 1 < argc)
            sim::only_seed = parse_number<uint64_t>(argv[++i]);
        else if (word.starts_with("--seed="))
            sim::only_seed = parse_number<uint64_t>(word.substr(7));
        else if (word == "--verbose")
            set_log_level(LogLevel::Debug);
        else {
            std::fprintf(stderr,
                         "usage: skiff_sim [--seed N] [--verbose] [googletest's flags]; "
                         "SKIFF_SIM_SEEDS=N: how many worlds\n");
            return 2;
        }
    }
    return RUN_ALL_TESTS();
}
