// What is SQLite's own: its file, its syncs, its errors, its snapshots.
#include <fstream>

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "store/fault_vfs.h"
#include "store/test_support.h"

namespace skiff::store {
namespace {

LogRow row(int64_t revision, std::string key, std::string text = "{}") {
    return {.revision = revision, .key = "/p/" + key, .prefix_size = 3, .text = std::move(text)};
}

void execute(const std::string& path, const char* sql) {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, sql, nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(database);
    sqlite3_close(database);
}

std::string error_at_open(const std::string& path) {
    const auto engine = open_sqlite({.path = path, .reserve_bytes = 0});
    return engine ? "" : engine.error().message;
}

void expect_says(const std::string& error, std::initializer_list<std::string_view> parts) {
    for (const auto part : parts)
        EXPECT_NE(error.find(part), std::string::npos) << "'" << part << "' in: " << error;
}

TEST(StoreSqlite, relaxed_appends_do_not_sync_and_a_durable_one_syncs_them_all) {
    FaultDisk disk{1};
    auto engine = *open_sqlite({.path = "/s.db", .vfs = disk.name(), .reserve_bytes = 0});
    ASSERT_TRUE(engine->append({row(1, "a")}, true).has_value());
    const auto before = disk.syncs();
    for (int i = 2; i < 10; ++i) ASSERT_TRUE(engine->append({row(i, "lease")}, false).has_value());
    EXPECT_EQ(disk.syncs(), before);
    ASSERT_TRUE(engine->append({row(10, "b")}, true).has_value());
    EXPECT_EQ(disk.syncs(), before + 1);   // one fdatasync, of the WAL
    disk.cut_power();
    engine.reset();
    disk.start_process();
    engine = *open_sqlite({.path = "/s.db", .vfs = disk.name(), .reserve_bytes = 0});
    size_t rows = 0;
    ASSERT_TRUE(engine->load([&](LogRow&&) { ++rows; }).has_value());
    EXPECT_EQ(rows, 10u);
}

TEST(StoreSqlite, a_power_cut_takes_no_more_than_the_last_second_of_relaxed_commits) {
    FaultDisk disk{1};
    StepExecutor executor;
    const auto open = [&] {
        auto engine = open_sqlite({.path = "/s.db", .vfs = disk.name(), .reserve_bytes = 0});
        return *open_store(*std::move(engine), executor, {});
    };
    auto store = open();
    const auto leases = store->resource("/registry/leases/");
    const auto renew = [&](const char* name) {
        ASSERT_TRUE(commit_and_wait(executor, *store, relaxed(put({leases, name}))).has_value());
    };
    ASSERT_TRUE(commit_and_wait(executor, *store, put({leases, "durable"})).has_value());
    const auto before = disk.syncs();
    renew("old");
    renew("old too");
    EXPECT_EQ(disk.syncs(), before);
    executor.advance(1s);
    EXPECT_EQ(disk.syncs(), before + 1);
    renew("with a durable one after it");
    ASSERT_TRUE(commit_and_wait(executor, *store, put({leases, "durable"})).has_value());
    executor.advance(1s);
    EXPECT_EQ(disk.syncs(), before + 2);   // nothing was left to sync
    disk.cut_power();
    store.reset();
    disk.start_process();
    store = open();
    EXPECT_EQ(store->view(store->resource("/registry/leases/")).size(), 4u);
}

TEST(StoreSqlite, a_row_comes_back_as_it_was) {
    TempDirectory directory;
    const SqliteOptions options{.path = directory / "s.db", .reserve_bytes = 0};
    const LogRow rows[] = {
        {.revision = 7,
         .rows_after = 1,
         .key = "/r/a/b",
         .prefix_size = 3,
         .text = "{\"x\":1}",
         .splice_at = 1,
         .schema_revision = 5,
         .created = 3,
         .time_ms = 1234567890123},
        {.revision = 7, .rows_after = 0, .key = "/r/gone", .prefix_size = 3, .created = 2},
        {.revision = 8, .key = "/r/empty", .prefix_size = 3, .text = ""},
        {.revision = 9, .key = "/r/large", .prefix_size = 3, .text = std::string(1'500'000, 'x')},
    };
    ASSERT_TRUE(
        (*open_sqlite(options))->append({std::begin(rows), std::end(rows)}, true).has_value());
    auto engine = *open_sqlite(options);
    size_t next = 0;
    ASSERT_TRUE(engine
                    ->load([&](LogRow&& loaded) {
                        const LogRow& wanted = rows[next++];
                        EXPECT_EQ(loaded.id(), wanted.id());
                        EXPECT_EQ(loaded.revision, wanted.revision);
                        EXPECT_EQ(loaded.key, wanted.key);
                        EXPECT_EQ(loaded.prefix_size, wanted.prefix_size);
                        EXPECT_EQ(loaded.text, wanted.text);
                        EXPECT_EQ(loaded.splice_at, wanted.splice_at);
                        EXPECT_EQ(loaded.schema_revision, wanted.schema_revision);
                        EXPECT_EQ(loaded.created, wanted.created);
                        EXPECT_EQ(loaded.time_ms, wanted.time_ms);
                    })
                    .has_value());
    EXPECT_EQ(next, std::size(rows));
}

TEST(StoreSqlite, errors_name_the_file_and_say_what_to_do) {
    TempDirectory directory;
    const auto path = directory / "s.db";
    {
        const auto engine = open_sqlite({.path = path, .reserve_bytes = 0});
        ASSERT_TRUE(engine.has_value());
        expect_says(error_at_open(path), {path, "already running", "--root"});
    }
    execute(path, "UPDATE meta SET value = 2 WHERE name = 'format_major'");
    expect_says(error_at_open(path), {path, "format 2", "newer skiff"});
    execute(path, "UPDATE meta SET value = 1 WHERE name = 'format_major'");
    execute(path, "UPDATE meta SET value = 99 WHERE name = 'format_minor'");
    EXPECT_EQ(error_at_open(path), "");   // a newer minor is no obstacle
    expect_says(error_at_open(directory / "no/such/s.db"), {"no/such/s.db", "directory"});
    const auto other = directory / "other.db";
    execute(other, "CREATE TABLE songs (title)");
    expect_says(error_at_open(other), {other, "not a Skiff store"});
    const auto text = directory / "text.db";
    std::ofstream{text} << std::string(10'000, 'x');
    expect_says(error_at_open(text), {text, "damaged", "skiff snapshot restore"});
}

TEST(StoreSqlite, a_snapshot_is_whole_while_commits_go_on) {
    TempDirectory directory;
    StepExecutor executor;
    auto store = *open_store(*open_sqlite({.path = directory / "s.db"}), executor, {});
    const auto pods = store->resource("/registry/pods/");
    for (int i = 0; i < 50; ++i)
        ASSERT_TRUE(commit_and_wait(executor, *store, put({pods, concat("p", i)})).has_value());
    const auto saved = directory / "saved.db";
    const auto revision = store->revision();
    ASSERT_TRUE(store->snapshot_to(saved).has_value());
    ASSERT_TRUE(commit_and_wait(executor, *store, put({pods, "later"})).has_value());
    auto copy = *open_store(*open_sqlite({.path = saved}), executor, {});
    EXPECT_EQ(copy->view(copy->resource("/registry/pods/")).size(), 50u);
    EXPECT_GE(copy->revision(), revision);
    expect_says(store->snapshot_to(directory / "no/such").error().message, {"no/such"});
}

TEST(StoreSqlite, nobody_else_may_read_the_files) {
    TempDirectory directory;
    auto engine = *open_sqlite({.path = directory / "s.db"});
    ASSERT_TRUE(engine->append({row(1, "a")}, true).has_value());
    ASSERT_TRUE(engine->snapshot_to(directory / "copy.db").has_value());
    for (const auto* name : {"s.db", "s.db-wal", "copy.db"}) {
        struct stat found {};
        ASSERT_EQ(::stat((directory / name).c_str(), &found), 0) << name;
        EXPECT_EQ(found.st_mode & 0777, 0600u) << name;
    }
}

TEST(StoreSqlite, the_file_does_not_grow_with_updates) {
    FaultDisk disk{1};
    StepExecutor executor;
    auto engine = open_sqlite({.path = "/s.db", .vfs = disk.name(), .reserve_bytes = 0});
    auto store = *open_store(*std::move(engine), executor, {.window = 1min});
    const Key lease{store->resource("/registry/leases/"), "kube-node-lease/n"};
    uint64_t early = 0;
    for (int i = 0; i < 20'000; ++i) {
        ASSERT_TRUE(commit_and_wait(executor, *store, relaxed(put(lease, std::string(500, 'x'))))
                        .has_value());
        executor.advance(100ms);   // 600 revisions a window
        if (i == 3000) early = disk.bytes();
    }
    EXPECT_LE(disk.bytes(), early + early / 4);
}

}   // namespace
}   // namespace skiff::store
