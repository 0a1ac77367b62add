// Runs one fuzz target: first its corpus, then inputs made from what reached new code, until the
// time is over or something is wrong; then the input is written to a file that --run repeats.
//
//   skiff_fuzz --list
//   skiff_fuzz --target json [--corpus DIR] [--seconds 20] [--seed N] [--keep DIR] [--crashes DIR]
//   skiff_fuzz --target json --run FILE...
#include <unistd.h>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>

#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

#include "base/fuzz.h"
#include "base/time.h"
#include "coverage.h"

namespace skiff::fuzz {
namespace {

constexpr size_t input_bytes_max = 4096;
constexpr unsigned input_seconds_max = 10;
// What the project promises for anything that is sent to it: 16 times the input and 1 MiB.
constexpr size_t memory_factor_max = 16;
constexpr size_t memory_bytes_max = 1u << 20;

struct Options {
    std::string target;
    std::string corpus;
    std::string keep;
    std::string crashes = ".";
    unsigned seconds = 0;
    uint64_t seed = 0;
    bool list = false;
    std::vector<std::string> run;
};

const Target* target;
std::string current;   // the input that is being run
Options options;

void save_current(const char* what) {
    const auto name = options.crashes + "/" + std::string{target->name()} + "-" +
                      std::to_string(std::hash<std::string>{}(current)) + ".input";
    std::ofstream{name, std::ios::binary} << current;
    std::fprintf(stderr, "\n%s: %s (%zu bytes)\nagain: skiff_fuzz --target %s --run %s\n",
                 std::string{target->name()}.c_str(), what, current.size(),
                 std::string{target->name()}.c_str(), name.c_str());
}

[[noreturn]] void give_up(const char* what) {
    __sanitizer_set_death_callback(nullptr);
    save_current(what);
    std::_Exit(1);
}

void run_input(const std::string& input) {
    current = input;
    // A copy of its own with nothing behind it, so that a read beyond the end is seen.
    const std::vector<char> exact{input.begin(), input.end()};
    const std::string_view bytes{exact.data(), exact.size()};
    alarm(input_seconds_max);
    begin_input();
    target->run(bytes);
    auto memory = end_input();
    if (memory.peak > memory_factor_max * input.size() + memory_bytes_max) {
        std::fprintf(stderr, "%zu bytes of memory for %zu\n", memory.peak, input.size());
        give_up("memory out of proportion");
    }
    // What grows once may be a table made at first use; what grows each time is a leak.
    for (int again = 0; memory.kept > 0 && again < 4; ++again) {
        begin_input();
        target->run(bytes);
        memory = end_input();
    }
    if (memory.kept > 0) give_up("memory is kept each time");
    alarm(0);
}

// --- which inputs are worth keeping -------------------------------------------------------------

// As AFL counts: how often, in steps.
uint8_t step(uint8_t count) {
    if (count < 4) return static_cast<uint8_t>(1 << count >> 1);
    return count < 8 ? 8 : count < 16 ? 16 : count < 32 ? 32 : count < 128 ? 64 : 128;
}

struct Corpus {
    std::vector<std::string> inputs;
    std::array<uint8_t, edges_max> seen{};
    size_t reached = 0;

    // Whether the input that was just run did something new.
    bool learn() {
        bool found = false;
        for (const auto i : passed) {
            const auto bit = step(edges[i]);
            if (seen[i] & bit) continue;
            reached += seen[i] == 0;
            seen[i] |= bit;
            found = true;
        }
        return found;
    }
};

class Mutator {
  public:
    explicit Mutator(uint64_t seed) : random_{seed} {}

    std::string next(const Corpus& corpus) {
        const auto& inputs = corpus.inputs;
        // What was found last is looked at more often, and so is what is short.
        const size_t newest = std::min<size_t>(inputs.size(), 1 + inputs.size() / 4);
        size_t at = below(2) ? below(inputs.size()) : inputs.size() - 1 - below(newest);
        const size_t other = below(inputs.size());
        if (inputs[other].size() < inputs[at].size()) at = other;
        std::string input = inputs[at];
        for (size_t changes = 1 + below(1u << below(5)); changes; --changes)
            change(input, inputs[below(inputs.size())]);
        if (input.size() > input_bytes_max) input.resize(input_bytes_max);
        return input;
    }

  private:
    size_t below(size_t bound) { return bound ? random_() % bound : 0; }
    char byte() { return static_cast<char>(below(256)); }

    void change(std::string& input, const std::string& other) {
        using namespace std::string_view_literals;
        static constexpr auto interesting = "\0\1\x7f\x80\xff \t\r\n\"'\\/{}[]:,.-+09eE"sv;
        const size_t at = below(input.size() + 1);
        const size_t size = std::min(1 + below(below(3) ? 8 : 128), input.size() - at);
        switch (below(12)) {
        case 0:
            if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << below(8)));
            break;
        case 1:
            if (at < input.size()) input[at] = byte();
            break;
        case 2: input.insert(at, 1, byte()); break;
        case 3: input.insert(at, 1, interesting[below(interesting.size())]); break;
        case 4: input.erase(at, size); break;
        case 5: input.insert(below(input.size() + 1), input.substr(at, size)); break;
        case 6:   // the same again and again: depth, length
            for (size_t times = below(64); times; --times) {
                if (input.size() > input_bytes_max) break;
                input.insert(at, input.substr(at, size));
            }
            break;
        case 7: {   // from another input
            const size_t from = below(other.size() + 1);
            input.insert(at, other, from, 1 + below(64));
            break;
        }
        case 8:
            if (at < input.size()) input[at] = static_cast<char>(input[at] + (below(2) ? 1 : -1));
            break;
        case 9: input.resize(at); break;
        default:
            if (words.empty()) break;
            const auto& word = words[below(words.size())];
            if (below(2)) {
                input.insert(at, word);
            } else {
                input.replace(at, word.size(), word);
            }
        }
    }

    std::mt19937_64 random_;
};

std::string read_file(const std::filesystem::path& path) {
    std::ifstream stream{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{stream}, {}};
}

std::vector<std::filesystem::path> files_of(const std::string& folder) {
    std::vector<std::filesystem::path> files;
    std::error_code problem;
    for (const auto& entry : std::filesystem::directory_iterator{folder, problem})
        files.push_back(entry.path());
    std::ranges::sort(files);
    return files;
}

int fuzz() {
    Corpus corpus;
    for (const auto& folder : {options.corpus, options.keep}) {
        for (const auto& file : files_of(folder)) {
            run_input(read_file(file));
            if (corpus.learn() || folder == options.corpus) corpus.inputs.push_back(current);
        }
    }
    const size_t given = corpus.inputs.size();
    if (corpus.inputs.empty()) corpus.inputs.emplace_back();
    Mutator mutator{options.seed};
    const auto end = os_clock().monotonic() + std::chrono::seconds{options.seconds};
    size_t runs = 0;
    while (os_clock().monotonic() < end) {
        run_input(mutator.next(corpus));
        ++runs;
        if (!corpus.learn()) continue;
        corpus.inputs.push_back(current);
        if (options.keep.empty()) continue;
        const auto name = std::to_string(std::hash<std::string>{}(current));
        std::ofstream{options.keep + "/" + name, std::ios::binary} << current;
    }
    std::printf("%-18s %8zu inputs, %6zu edges, corpus %zu + %zu, seed %llu: ok\n",
                std::string{target->name()}.c_str(), runs, corpus.reached, given,
                corpus.inputs.size() - given, static_cast<unsigned long long>(options.seed));
    return 0;
}

bool parse(int count, char** arguments) {
    options.seed = static_cast<uint64_t>(os_clock().now().time_since_epoch().count());
    for (int i = 1; i < count; ++i) {
        const std::string_view name = arguments[i];
        if (name == "--list") {
            options.list = true;
            continue;
        }
        if (i + 1 == count) return false;
        const std::string value = arguments[++i];
        if (name == "--target") {
            options.target = value;
        } else if (name == "--corpus") {
            options.corpus = value;
        } else if (name == "--keep") {
            options.keep = value;
        } else if (name == "--crashes") {
            options.crashes = value;
        } else if (name == "--seconds") {
            options.seconds = static_cast<unsigned>(std::stoul(value));
        } else if (name == "--seed") {
            options.seed = std::stoull(value);
        } else if (name == "--run") {
            options.run.assign(arguments + i, arguments + count);
            return true;
        } else {
            return false;
        }
    }
    return true;
}

}   // namespace
}   // namespace skiff::fuzz

// Leaks are looked for after every input; what is read at exit would need ptrace.
extern "C" const char* __asan_default_options() {
    return "detect_leaks=0:handle_abort=1:allocator_may_return_null=1:detect_stack_use_after_"
           "return=1";
}

extern "C" const char* __ubsan_default_options() { return "abort_on_error=1:print_stacktrace=1"; }

int main(int count, char** arguments) {
    using namespace skiff::fuzz;
    if (!parse(count, arguments)) {
        std::fprintf(stderr, "skiff_fuzz: see the head of tests/fuzz/driver.cc\n");
        return 2;
    }
    auto targets = Target::all();
    std::ranges::sort(targets, {}, &Target::name);
    for (const auto* each : targets) {
        if (options.list) std::printf("%s\n", std::string{each->name()}.c_str());
        if (each->name() == options.target) target = each;
    }
    if (options.list) return 0;
    if (!target) {
        std::fprintf(stderr, "there is no target '%s'; see --list\n", options.target.c_str());
        return 2;
    }
    watch_allocations();
    __sanitizer_set_death_callback([] { save_current("crashed"); });
    std::signal(SIGALRM, [](int) { give_up("takes too long"); });
    if (options.run.empty()) return fuzz();
    for (const auto& file : options.run) {
        run_input(read_file(file));
        std::printf("%s: ok\n", file.c_str());
    }
    return 0;
}
