// The embedded engine: an append-only log table in SQLite, keyed by the row's own number. Its
// single connection holds the file exclusively, so a second server on the same data is refused,
// and there is no shared-memory file.
//
// Format rule. `meta` holds format_major and format_minor. A change that an older program may
// ignore (a new table, a new meta name, a nullable column at the end) raises the minor number: any
// program of the same major opens the file, and one of an older minor leaves what it does not know
// alone. Every other change raises the major number: a newer program upgrades the file at open, in
// one transaction, after keeping a copy beside it (FILE.format-N); an older program refuses it. To
// go down over a major number, restore that copy or a snapshot made before the upgrade.
//
// Durable appends commit with synchronous=FULL: SQLite syncs the WAL before the commit returns,
// and with it all frames before. Relaxed appends commit with synchronous=NORMAL: the frames are
// written to the WAL with write(2) and not synced.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include "base/guarded.h"
#include "base/log.h"
#include "base/os.h"
#include "base/text.h"
#include "store/engine.h"

namespace skiff::store {
namespace {

constexpr int format_major = 1;
constexpr int format_minor = 0;
constexpr int application_id = 0x536b6666;   // "Skff"; `file` shows it
constexpr int page_bytes = 8192;             // holds a usual object whole (libraries.md, 3)
constexpr int cache_kib = 1024;
constexpr int checkpoint_patience = 4;   // times the pages while commits wait: 4 MiB
constexpr int snapshot_pages_at_once = 64;

struct Close {
    void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Database = std::unique_ptr<sqlite3, Close>;
using Statement = std::unique_ptr<sqlite3_stmt, Close>;

constexpr const char* schema_sql =
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL);"
    // id: the row's number; a commit's rows are numbered up to its revision, id + rows_after.
    // key: whole, prefix_size of it are the resource's prefix. text: NULL for a deletion.
    "CREATE TABLE log (id INTEGER PRIMARY KEY, rows_after INTEGER NOT NULL, key TEXT NOT NULL,"
    " prefix_size INTEGER NOT NULL, text BLOB, splice_at INTEGER NOT NULL,"
    " schema_revision INTEGER NOT NULL, created INTEGER NOT NULL, time_ms INTEGER NOT NULL);";

// A file opened through the VFS beside SQLite's own.
class VfsFile {
  public:
    VfsFile() = default;
    VfsFile(VfsFile&&) = default;
    VfsFile& operator=(VfsFile&&) = delete;
    ~VfsFile() {
        if (file_ && file_->pMethods) file_->pMethods->xClose(file_.get());
    }
    // `kind`: SQLITE_OPEN_MAIN_DB or _WAL; SQLite's result code.
    int open(const std::string& vfs_name, const std::string& path, int kind) {
        sqlite3_vfs* vfs = sqlite3_vfs_find(vfs_name.empty() ? nullptr : vfs_name.c_str());
        name_.reset(const_cast<char*>(sqlite3_create_filename(path.c_str(), "", "", 0, nullptr)));
        file_.reset(static_cast<sqlite3_file*>(sqlite3_malloc(vfs->szOsFile)));
        if (!file_ || !name_) return SQLITE_NOMEM;
        file_->pMethods = nullptr;
        int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | kind;
        return vfs->xOpen(vfs, name_.get(), file_.get(), flags, &flags);
    }
    sqlite3_file* operator->() { return file_.get(); }
    sqlite3_file* get() { return file_.get(); }

  private:
    struct Free {
        void operator()(char* name) const { sqlite3_free_filename(name); }
        void operator()(sqlite3_file* file) const { sqlite3_free(file); }
    };
    std::unique_ptr<char, Free> name_;   // SQLite's files keep the pointer
    std::unique_ptr<sqlite3_file, Free> file_;
};

class SqliteEngine final : public Engine {
  public:
    explicit SqliteEngine(SqliteOptions options) : options_{std::move(options)} {}
    Result<> open();

    Result<> load(const std::function<void(LogRow&&)>& row) override;
    Result<> append(const std::vector<LogRow>& rows, bool durable) override;
    Result<> compact(const std::vector<int64_t>& ids, int64_t through) override;
    Result<int64_t> compacted() override { return meta("compacted"); }
    Result<> reserve(int64_t below) override;
    Result<int64_t> reserved() override { return meta("reserved"); }
    Result<> tidy(Load load) override;
    Result<> sync() override;
    Result<> snapshot_to(const std::string& path) override;

  private:
    enum class Sync : uint8_t { Normal, Full };

    Result<> configure();
    Result<> check_format();
    Result<> create();
    Result<> prepare();
    Result<> run(const char* sql);
    Result<Statement> statement(const char* sql);
    Result<int64_t> meta(const char* name);
    Result<> set_meta(const char* name, int64_t value);
    Result<> step(sqlite3_stmt* statement);
    Result<> set_sync(Sync sync);
    template <class Body>
    Result<> transaction(Sync sync, bool may_use_reserve, Body body);
    template <class Body>
    Result<> attempt(Sync sync, Body& body);
    Result<> insert(const LogRow& row);
    Result<> checkpoint();
    bool free_reserve();
    void fill_reserve();
    Result<> write_reserve(const std::string& path);
    Error error_of(int code, std::string_view doing) const;

    const SqliteOptions options_;
    // Guards the connection between the committer and snapshot_to, which reads in small pieces.
    Guarded<int> turn_;
    Database database_;
    VfsFile wal_;   // the WAL once more, for sync(): after the connection, so closed before it
    Statement begin_, commit_, rollback_, insert_, delete_, meta_get_, meta_set_;
    Sync sync_ = Sync::Full;
    int wal_pages_ = 0;
    bool reserve_held_ = false;
    bool reserve_wanted_ = false;
};

Error SqliteEngine::error_of(int code, std::string_view doing) const {
    const int primary = code & 0xff;
    const char* text = database_ ? sqlite3_errmsg(database_.get()) : sqlite3_errstr(code);
    auto say = [&](Reason reason, const auto&... advice) {
        return Error{.reason = reason,
                     .message = concat("'", options_.path, "': ", doing, ": ", advice...)};
    };
    switch (primary) {
    case SQLITE_FULL:
        return say(Reason::ServiceUnavailable,
                   "the disk is full: only deletions are possible until there is space again");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return say(Reason::Conflict,
                   "another process has it open: is a server already running"
                   " with this --root? Stop it, or use another --root");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return say(Reason::InternalError, "the file is damaged (", text,
                   "): restore a snapshot with 'skiff snapshot restore'");
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
        return say(Reason::InternalError, text, " (",
                   std::strerror(database_ ? sqlite3_system_errno(database_.get()) : 0),
                   "): the directory must exist and be writable for this user");
    default: return say(Reason::InternalError, text, " (SQLite ", code, ")");
    }
}

Result<> SqliteEngine::run(const char* sql) {
    const int code = sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return std::unexpected{error_of(code, sql)};
    return {};
}

Result<Statement> SqliteEngine::statement(const char* sql) {
    sqlite3_stmt* made = nullptr;
    const int code =
        sqlite3_prepare_v3(database_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &made, nullptr);
    if (code != SQLITE_OK) return std::unexpected{error_of(code, sql)};
    return Statement{made};
}

// Runs a statement that gives no rows.
Result<> SqliteEngine::step(sqlite3_stmt* statement) {
    const int code = sqlite3_step(statement);
    std::optional<Error> error;
    if (code != SQLITE_DONE && code != SQLITE_ROW) error = error_of(code, sqlite3_sql(statement));
    sqlite3_reset(statement);
    if (error) return std::unexpected{*std::move(error)};
    return {};
}

// The file holds secrets: nobody else reads it. SQLite would make it readable for all, and gives
// its WAL the mode of the file.
void create_private(const std::string& path) {
    const Fd made{::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
}

Result<> SqliteEngine::open() {
    if (options_.vfs.empty()) create_private(options_.path);
    sqlite3* opened = nullptr;
    const int code = sqlite3_open_v2(
        options_.path.c_str(), &opened,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
        options_.vfs.empty() ? nullptr : options_.vfs.c_str());
    database_.reset(opened);
    if (code != SQLITE_OK) return std::unexpected{error_of(code, "open")};
    TRY_OK(configure());
    TRY_OK(check_format());
    TRY_OK(prepare());
    const int wal = wal_.open(options_.vfs, options_.path + "-wal", SQLITE_OPEN_WAL);
    if (wal != SQLITE_OK) return std::unexpected{error_of(wal, "open the WAL")};
    fill_reserve();
    return {};
}

Result<> SqliteEngine::sync() {
    const int code = wal_->pMethods->xSync(wal_.get(), SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY);
    if (code == SQLITE_OK) return {};
    return fail(Reason::InternalError,
                concat("'", options_.path, "-wal': sync: ", sqlite3_errstr(code)));
}

Result<> SqliteEngine::configure() {
    // The page size counts only for a new file. Checkpoints are ours to time.
    TRY_OK(run("PRAGMA locking_mode=EXCLUSIVE"));
    TRY_OK(run(concat("PRAGMA page_size=", page_bytes).c_str()));
    TRY_OK(run("PRAGMA journal_mode=WAL"));
    TRY_OK(run("PRAGMA synchronous=FULL"));
    TRY_OK(run("PRAGMA wal_autocheckpoint=0"));
    TRY_OK(run(concat("PRAGMA cache_size=-", cache_kib).c_str()));
    TRY_OK(run("PRAGMA temp_store=MEMORY"));
    sqlite3_wal_hook(
        database_.get(),
        [](void* pages, sqlite3*, const char*, int count) {
            *static_cast<int*>(pages) = count;
            return SQLITE_OK;
        },
        &wal_pages_);
    // Takes the lock now, so that a second server fails here.
    TRY_OK(run("BEGIN IMMEDIATE"));
    return run("COMMIT");
}

Result<> SqliteEngine::check_format() {
    TRY(auto tables, statement("SELECT count(*), sum(name='meta') FROM sqlite_schema"));
    if (const int code = sqlite3_step(tables.get()); code != SQLITE_ROW)
        return std::unexpected{error_of(code, "read the schema")};
    const bool empty = sqlite3_column_int64(tables.get(), 0) == 0;
    const bool ours = sqlite3_column_int64(tables.get(), 1) == 1;
    tables.reset();
    if (empty) return create();
    int64_t major = 0;
    if (ours) {
        TRY(meta_get_, statement("SELECT value FROM meta WHERE name=?1"));
        TRY(major, meta("format_major"));
    }
    if (major == 0)
        return fail(Reason::InternalError,
                    concat("'", options_.path, "' is not a Skiff store: it has no format number"));
    if (major > format_major) {
        return fail(Reason::InternalError,
                    concat("'", options_.path, "' has format ", major, ", and this program knows ",
                           format_major,
                           " at most: run the newer skiff that wrote it, or restore"
                           " a snapshot made before the upgrade"));
    }
    return {};
}

Result<> SqliteEngine::create() {
    TRY_OK(run("BEGIN IMMEDIATE"));
    TRY_OK(run(schema_sql));
    TRY_OK(run(concat("PRAGMA application_id=", application_id).c_str()));
    TRY_OK(run(concat("INSERT INTO meta VALUES ('format_major', ", format_major,
                      "), ('format_minor', ", format_minor, "), ('reserved', 0), ('compacted', 0)")
                   .c_str()));
    return run("COMMIT");
}

Result<> SqliteEngine::prepare() {
    TRY(begin_, statement("BEGIN IMMEDIATE"));
    TRY(commit_, statement("COMMIT"));
    TRY(rollback_, statement("ROLLBACK"));
    TRY(insert_, statement("INSERT INTO log VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)"));
    TRY(delete_, statement("DELETE FROM log WHERE id=?1"));
    TRY(meta_get_, statement("SELECT value FROM meta WHERE name=?1"));
    TRY(meta_set_, statement("INSERT INTO meta VALUES (?1,?2)"
                             " ON CONFLICT (name) DO UPDATE SET value=excluded.value"));
    return {};
}

Result<int64_t> SqliteEngine::meta(const char* name) {
    return turn_.use([&](int&) -> Result<int64_t> {
        sqlite3_bind_text(meta_get_.get(), 1, name, -1, SQLITE_STATIC);
        const int code = sqlite3_step(meta_get_.get());
        const int64_t value = code == SQLITE_ROW ? sqlite3_column_int64(meta_get_.get(), 0) : 0;
        std::optional<Error> error;
        if (code != SQLITE_ROW && code != SQLITE_DONE) error = error_of(code, "read meta");
        sqlite3_reset(meta_get_.get());
        if (error) return std::unexpected{*std::move(error)};
        return value;
    });
}

Result<> SqliteEngine::set_meta(const char* name, int64_t value) {
    sqlite3_bind_text(meta_set_.get(), 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(meta_set_.get(), 2, value);
    return step(meta_set_.get());
}

Result<> SqliteEngine::set_sync(Sync sync) {
    if (sync == sync_) return {};
    TRY_OK(run(sync == Sync::Full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL"));
    sync_ = sync;
    return {};
}

template <class Body>
Result<> SqliteEngine::attempt(Sync sync, Body& body) {
    TRY_OK(set_sync(sync));
    TRY_OK(step(begin_.get()));
    Result<> done = body();
    if (done) done = step(commit_.get());
    if (!done && sqlite3_get_autocommit(database_.get()) == 0) {
        if (auto undone = step(rollback_.get()); !undone) {
            // Not even that: what is on disk is not known.
            return fail(Reason::InternalError,
                        done.error().message + "; " + undone.error().message);
        }
    }
    return done;
}

// Runs body in a transaction. When the disk is full, what makes space may use the reserve.
template <class Body>
Result<> SqliteEngine::transaction(Sync sync, bool may_use_reserve, Body body) {
    return turn_.use([&](int&) -> Result<> {
        auto done = attempt(sync, body);
        if (!done && done.error().reason == Reason::ServiceUnavailable && may_use_reserve) {
            if (!free_reserve()) return done;
            // The WAL's pages move into the file and the WAL starts anew in the space it has: the
            // reserve is larger than what can be in the WAL (see SqliteOptions).
            TRY_OK(checkpoint());
            done = attempt(sync, body);
        }
        return done;
    });
}

Result<> SqliteEngine::insert(const LogRow& row) {
    sqlite3_stmt* statement = insert_.get();
    sqlite3_bind_int64(statement, 1, row.id());
    sqlite3_bind_int64(statement, 2, row.rows_after);
    sqlite3_bind_text(statement, 3, row.key.data(), static_cast<int>(row.key.size()),
                      SQLITE_STATIC);
    sqlite3_bind_int64(statement, 4, row.prefix_size);
    if (row.text) {
        sqlite3_bind_blob(statement, 5, row.text->data(), static_cast<int>(row.text->size()),
                          SQLITE_STATIC);
    } else {
        sqlite3_bind_null(statement, 5);
    }
    sqlite3_bind_int64(statement, 6, row.splice_at);
    sqlite3_bind_int64(statement, 7, row.schema_revision);
    sqlite3_bind_int64(statement, 8, row.created);
    sqlite3_bind_int64(statement, 9, row.time_ms);
    return step(statement);
}

Result<> SqliteEngine::append(const std::vector<LogRow>& rows, bool durable) {
    const bool deletes =
        std::ranges::none_of(rows, [](const LogRow& row) { return row.text.has_value(); });
    auto done = transaction(durable ? Sync::Full : Sync::Normal, deletes, [&]() -> Result<> {
        for (const auto& row : rows) TRY_OK(insert(row));
        return {};
    });
    if (done && !deletes && !reserve_held_) reserve_wanted_ = true;   // there is space again
    return done;
}

Result<> SqliteEngine::compact(const std::vector<int64_t>& ids, int64_t through) {
    return transaction(Sync::Normal, true, [&]() -> Result<> {
        for (const auto id : ids) {
            sqlite3_bind_int64(delete_.get(), 1, id);
            TRY_OK(step(delete_.get()));
        }
        return set_meta("compacted", through);
    });
}

Result<> SqliteEngine::reserve(int64_t below) {
    return transaction(Sync::Full, true, [&]() -> Result<> { return set_meta("reserved", below); });
}

Result<> SqliteEngine::load(const std::function<void(LogRow&&)>& row) {
    TRY(auto all, statement("SELECT id, rows_after, key, prefix_size, text, splice_at,"
                            " schema_revision, created, time_ms FROM log ORDER BY id"));
    const auto text_of = [&](int column) {
        const auto* data = static_cast<const char*>(sqlite3_column_blob(all.get(), column));
        return std::string{data ? data : "",
                           static_cast<size_t>(sqlite3_column_bytes(all.get(), column))};
    };
    int code = SQLITE_ROW;
    while ((code = sqlite3_step(all.get())) == SQLITE_ROW) {
        const auto number = [&](int column) { return sqlite3_column_int64(all.get(), column); };
        LogRow loaded{.revision = number(0) + number(1),
                      .rows_after = static_cast<uint32_t>(number(1)),
                      .key = text_of(2),
                      .prefix_size = static_cast<uint32_t>(number(3)),
                      .splice_at = static_cast<uint32_t>(number(5)),
                      .schema_revision = static_cast<uint32_t>(number(6)),
                      .created = number(7),
                      .time_ms = number(8)};
        if (sqlite3_column_type(all.get(), 4) != SQLITE_NULL) loaded.text = text_of(4);
        if (loaded.prefix_size >= loaded.key.size() ||
            (loaded.text && loaded.splice_at > loaded.text->size()))
            return std::unexpected{error_of(SQLITE_CORRUPT, concat("row ", loaded.id()))};
        row(std::move(loaded));
    }
    if (code != SQLITE_DONE) return std::unexpected{error_of(code, "read the log")};
    return {};
}

Result<> SqliteEngine::checkpoint() {
    int pages = 0;
    int copied = 0;
    const int code = sqlite3_wal_checkpoint_v2(database_.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE,
                                               &pages, &copied);
    // A full disk holds back the copy, not the commits: the WAL still has everything.
    if (code != SQLITE_OK && (code & 0xff) != SQLITE_FULL && (code & 0xff) != SQLITE_BUSY)
        return std::unexpected{error_of(code, "checkpoint")};
    if (pages == copied) wal_pages_ = 0;
    return {};
}

Result<> SqliteEngine::tidy(Load load) {
    return turn_.use([&](int&) -> Result<> {
        const bool idle = load == Load::Idle;
        if (wal_pages_ >= options_.checkpoint_pages * (idle ? 1 : checkpoint_patience))
            TRY_OK(checkpoint());
        if (idle && reserve_wanted_) fill_reserve();
        return {};
    });
}

// The reserve is a file of the same VFS, so that it takes space from the same disk.
Result<> SqliteEngine::write_reserve(const std::string& path) {
    VfsFile file;
    int code = file.open(options_.vfs, path, SQLITE_OPEN_MAIN_DB);
    sqlite3_int64 size = 0;
    if (code == SQLITE_OK) code = file->pMethods->xFileSize(file.get(), &size);
    // Not zeros: a file system that compresses would reserve nothing.
    std::string block(64u << 10, '\0');
    uint32_t noise = 1;
    for (char& byte : block) byte = static_cast<char>((noise = noise * 1664525 + 1013904223) >> 24);
    while (code == SQLITE_OK && static_cast<size_t>(size) < options_.reserve_bytes) {
        code =
            file->pMethods->xWrite(file.get(), block.data(), static_cast<int>(block.size()), size);
        size += static_cast<sqlite3_int64>(block.size());
    }
    if (code != SQLITE_OK) return fail(Reason::ServiceUnavailable, sqlite3_errstr(code));
    return {};
}

void SqliteEngine::fill_reserve() {
    reserve_wanted_ = false;
    sqlite3_vfs* vfs = sqlite3_vfs_find(options_.vfs.empty() ? nullptr : options_.vfs.c_str());
    const auto path = options_.path + ".reserve";
    reserve_held_ = write_reserve(path).has_value();
    if (reserve_held_) return;
    vfs->xDelete(vfs, path.c_str(), 0);
    log_warn("no space for the store's reserve", {{"path", path}});
}

bool SqliteEngine::free_reserve() {
    if (!reserve_held_) return false;
    reserve_held_ = false;
    sqlite3_vfs* vfs = sqlite3_vfs_find(options_.vfs.empty() ? nullptr : options_.vfs.c_str());
    const auto path = options_.path + ".reserve";
    vfs->xDelete(vfs, path.c_str(), 0);
    log_warn("the disk is full: the store uses its reserve for deletions", {{"path", path}});
    return true;
}

Result<> SqliteEngine::snapshot_to(const std::string& path) {
    // Written beside and renamed, so that nobody takes a part for the whole.
    const auto part = path + ".part";
    sqlite3* opened = nullptr;
    ::unlink(part.c_str());
    create_private(part);
    int code = sqlite3_open_v2(part.c_str(), &opened,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_EXRESCODE,
                               nullptr);
    Database target{opened};
    const auto failed = [&](std::string_view why) {
        ::unlink(part.c_str());
        return fail(Reason::InternalError, concat("snapshot to '", path, "': ", why));
    };
    if (code != SQLITE_OK) return failed(sqlite3_errstr(code));
    // A write between two steps is carried over by SQLite, as it goes through the same connection.
    sqlite3_backup* backup = turn_.use(
        [&](int&) { return sqlite3_backup_init(target.get(), "main", database_.get(), "main"); });
    if (!backup) return failed(sqlite3_errmsg(target.get()));
    do {
        code = turn_.use([&](int&) { return sqlite3_backup_step(backup, snapshot_pages_at_once); });
    } while (code == SQLITE_OK);
    const int finished = turn_.use([&](int&) { return sqlite3_backup_finish(backup); });
    if (code != SQLITE_DONE || finished != SQLITE_OK)
        return failed(sqlite3_errstr(code != SQLITE_DONE ? code : finished));
    target.reset();
    if (::rename(part.c_str(), path.c_str()) != 0) return failed(std::strerror(errno));
    const auto slash = path.rfind('/');
    const auto directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    const Fd folder{::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!folder || ::fsync(folder.get()) != 0) return failed(std::strerror(errno));
    return {};
}

}   // namespace

Result<std::unique_ptr<Engine>> open_sqlite(const SqliteOptions& options) {
    auto engine = std::make_unique<SqliteEngine>(options);
    TRY_OK(engine->open());
    return engine;
}

}   // namespace skiff::store
