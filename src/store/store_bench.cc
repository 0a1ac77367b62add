// store_bench [DIRECTORY [SECONDS]]: what the store costs on this machine, beside a plain file
// that is appended to and synced with the same bytes, in the same run and the same directory.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "base/guarded.h"
#include "base/os.h"
#include "base/text.h"
#include "store/engine.h"
#include "store/image.h"
#include "store/object.h"
#include "store/store.h"

namespace skiff::store {
namespace {

constexpr int rounds = 3;
constexpr size_t object_bytes = 2048;
constexpr int keys = 1000;

struct Speed {
    double per_second = 0;
    double p50_us = 0;
    double p99_us = 0;
    double max_us = 0;
};

double seconds_since(MonoTime start) {
    return std::chrono::duration<double>(os_clock().monotonic() - start).count();
}

Speed speed_of(std::vector<double>& latencies_us, double seconds) {
    std::ranges::sort(latencies_us);
    const auto at = [&](double part) {
        return latencies_us[static_cast<size_t>(part *
                                                static_cast<double>(latencies_us.size() - 1))];
    };
    return {static_cast<double>(latencies_us.size()) / seconds, at(0.5), at(0.99), at(1)};
}

// Appends `group` objects' bytes and syncs, over and over: what the disk gives at best.
Speed plain_file(const std::string& directory, int group, double seconds) {
    const auto path = directory + "/plain.log";
    const Fd file{::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_APPEND | O_CLOEXEC, 0600)};
    const std::string bytes(object_bytes * static_cast<size_t>(group), 'x');
    std::vector<double> latencies;
    const auto start = os_clock().monotonic();
    while (seconds_since(start) < seconds) {
        const auto began = os_clock().monotonic();
        if (::write(file.get(), bytes.data(), bytes.size()) < 0 || ::fdatasync(file.get()) != 0)
            std::abort();
        for (int i = 0; i < group; ++i) latencies.push_back(seconds_since(began) * 1e6);
    }
    auto speed = speed_of(latencies, seconds_since(start));
    ::unlink(path.c_str());
    return speed;
}

// So many commits in flight: each completion starts the next.
class Load {
  public:
    Load(Executor& executor, Store& store, Durability durability)
        : store_{store},
          durability_{durability},
          done_{executor.make_waiter()},
          resource_{store.resource("/registry/pods/")} {}

    Speed run(int in_flight, double seconds) {
        seconds_ = seconds;
        start_ = os_clock().monotonic();
        running_ = in_flight;
        for (int i = 0; i < in_flight; ++i) next(i);
        done_->wait();
        return state_.use(
            [&](auto& latencies) { return speed_of(latencies, seconds_since(start_)); });
    }

  private:
    void next(int number) {
        constexpr std::string_view head = R"({"metadata":{)";
        Write write{.key = {resource_, concat("default/web-", number % keys)},
                    .splice_at = static_cast<uint32_t>(head.size())};
        write.text =
            concat(head, R"("name":"web"},"data":")", std::string(object_bytes - 60, 'x'), "\"}");
        Transaction transaction{.durability = durability_};
        transaction.writes.push_back(std::move(write));
        const auto began = os_clock().monotonic();
        store_.commit(std::move(transaction), [this, number, began](Result<Committed> committed) {
            if (!committed) std::abort();
            state_.use([&](auto& latencies) { latencies.push_back(seconds_since(began) * 1e6); });
            if (seconds_since(start_) < seconds_) return next(number + 64);
            if (--running_ == 0) done_->notify();
        });
    }

    Store& store_;
    Durability durability_;
    std::shared_ptr<Waiter> done_;
    ResourceId resource_;
    MonoTime start_;
    double seconds_ = 0;
    std::atomic<int> running_ = 0;
    Guarded<std::vector<double>> state_;
};

void print(const char* what, const Speed& speed, double base) {
    std::printf("%-34s %9.0f/s  %5.2f  p50 %7.0f us  p99 %7.0f us  max %8.0f us\n", what,
                speed.per_second, speed.per_second / base, speed.p50_us, speed.p99_us,
                speed.max_us);
}

void commits(const std::string& directory, double seconds) {
    auto pool = make_thread_pool(os_clock());
    const auto path = directory + "/bench.db";
    auto store = *open_store(*open_sqlite({.path = path}), *pool, {});
    std::printf("commits of %zu bytes; the ratio is to the plain file of the line above\n",
                object_bytes);
    for (int round = 0; round < rounds; ++round) {
        for (const int in_flight : {1, 64}) {
            const auto plain = plain_file(directory, in_flight, seconds);
            print(in_flight == 1 ? "plain file, 1 a sync" : "plain file, 64 a sync", plain,
                  plain.per_second);
            const auto before = store->statistics();
            const auto durable = Load{*pool, *store, Durability::Durable}.run(in_flight, seconds);
            const auto after = store->statistics();
            print(concat("store, durable, ", in_flight, " in flight").c_str(), durable,
                  plain.per_second);
            std::printf("    %.1f commits a batch\n",
                        static_cast<double>(after.commits - before.commits) /
                            static_cast<double>(after.engine_batches - before.engine_batches));
            const auto relaxed = Load{*pool, *store, Durability::Relaxed}.run(in_flight, seconds);
            print(concat("store, relaxed, ", in_flight, " in flight").c_str(), relaxed,
                  plain.per_second);
        }
    }
    store.reset();
    const auto start = os_clock().monotonic();
    const auto file_mb = static_cast<double>(std::filesystem::file_size(path)) / 1e6;
    store = *open_store(*open_sqlite({.path = path}), *pool, {});
    std::printf("restart: %.0f MB file, window of %lld revisions, %.0f ms\n", file_mb,
                static_cast<long long>(store->revision().value -
                                       store->statistics().oldest_watchable.value),
                seconds_since(start) * 1e3);
}

// The image alone: what a revision, a look back and a watched event cost at a size.
void image(int objects) {
    Image image{5min, 100'000};
    const auto pods = image.resource("/registry/pods/");
    const std::string text = concat("{\"metadata\":{", std::string(1000, ' '));
    int64_t revision = 0;
    const auto write = [&](int i) {
        ++revision;
        std::vector<Change> changes;
        changes.push_back(
            {.key = {pods, concat("ns-", i % 1000, "/web-", i * 7919LL % objects)},
             .object = make_object(
                 {.text = text, .splice_at = 13, .created = {revision}, .modified = {revision}}),
             .revision = {revision}});
        image.apply(std::move(changes), {});
        image.publish({revision});
        image.trim({});
    };
    const auto per = [](const char* what, int count, const auto& body) {
        const auto start = os_clock().monotonic();
        body();
        std::printf("  %-44s %9.2f us\n", what, seconds_since(start) * 1e6 / count);
    };
    std::printf("image of %d objects\n", objects);
    per("create, publish", objects, [&] {
        for (int i = 0; i < objects; ++i) write(i);
    });
    per("update, publish", 50'000, [&] {
        for (int i = 0; i < 50'000; ++i) write(i * 31 % objects);
    });
    size_t found = 0;
    per("get", 100'000, [&] {
        for (int i = 0; i < 100'000; ++i)
            found += image.view(pods).get(concat("ns-", i % 1000, "/web-", i * 7919LL % objects)) !=
                     nullptr;
    });
    per("scan, an object", objects, [&] {
        image.view(pods).scan("", std::nullopt,
                              [&](std::string_view, const ObjectPtr&) { return ++found > 0; });
    });
    per("view 1,000 revisions back", 1, [&] { (void)image.view_at(pods, {revision - 1000}); });
    per("view 50,000 revisions back", 1, [&] { (void)image.view_at(pods, {revision - 50'000}); });
    per("the same again", 1, [&] { (void)image.view_at(pods, {revision - 50'000}); });
    std::vector<std::unique_ptr<Watch>> watches;
    const auto watch = [&](std::string prefix) {
        watches.push_back(*image.history(pods)->watch(std::move(prefix), {revision}, [] {}));
    };
    for (int i = 0; i < 10'000; ++i) watch(concat("elsewhere-", i, "/"));
    per("update beside 10,000 watches of others", 50'000, [&] {
        for (int i = 0; i < 50'000; ++i) write(i * 31 % objects);
    });
    watches.clear();
    for (int i = 0; i < 1000; ++i) watch("");
    per("update, 1,000 watches notified and drained", 1000, [&] {
        for (int i = 0; i < 1000; ++i) {
            write(i);
            for (auto& one : watches) found += (*one->drain(100)).size();
        }
    });
    if (found == 0) std::abort();
}

int run(int argc, char** argv) {
    std::string directory = argc > 1 ? argv[1] : "/tmp";
    directory += "/skiff-store-bench-XXXXXX";
    if (!::mkdtemp(directory.data())) {
        std::perror(directory.c_str());
        return 1;
    }
    image(100'000);
    commits(directory, argc > 2 ? std::atof(argv[2]) : 2.0);
    return remove_tree(directory) ? 0 : 1;
}

}   // namespace
}   // namespace skiff::store

int main(int argc, char** argv) { return skiff::store::run(argc, argv); }
