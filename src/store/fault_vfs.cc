#include "store/fault_vfs.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <new>
#include <optional>
#include <vector>

#include <sqlite3.h>

#include "base/guarded.h"
#include "base/result.h"
#include "base/text.h"

namespace skiff::store {
namespace {

constexpr size_t sector_bytes = 512;
constexpr int path_bytes_max = 1024;

// splitmix64: enough for choices, the same everywhere.
class Dice {
  public:
    explicit Dice(uint64_t seed) : state_{seed} {}
    uint64_t roll() {
        uint64_t z = state_ += 0x9e3779b97f4a7c15;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    bool chance(unsigned percent) { return roll() % 100 < percent; }

  private:
    uint64_t state_;
};

struct Modification {
    bool truncate = false;
    size_t offset = 0;   // or the new size
    std::string bytes;
};

void write_to(std::string& content, size_t offset, std::string_view bytes) {
    if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size());
    std::memcpy(content.data() + offset, bytes.data(), bytes.size());
}

void modify(std::string& content, const Modification& modification) {
    if (modification.truncate) {
        content.resize(modification.offset);
    } else {
        write_to(content, modification.offset, modification.bytes);
    }
}

struct File {
    std::string content;                  // as the processes see it
    std::string synced;                   // as a power cut finds it at the least
    std::vector<Modification> unsynced;   // since then
    bool entry_synced = false;            // the directory knows it for sure
    const void* locked_by = nullptr;
};

using FilePtr = std::shared_ptr<File>;

}   // namespace

struct FaultDisk::State {
    struct Disk {
        explicit Disk(uint64_t seed) : dice{seed} {}
        Dice dice;
        std::map<std::string, FilePtr> files;
        std::map<std::string, FilePtr> deleted;   // deletions not yet synced
        Decide decide;
        uint64_t calls = 0;
        uint64_t syncs = 0;
        uint64_t bytes_max = UINT64_MAX;
        uint64_t generation = 1;
        bool dead = false;

        uint64_t bytes() const {
            uint64_t sum = 0;
            for (const auto& [name, file] : files) sum += file->content.size();
            return sum;
        }
        void die() {
            ++generation;
            dead = true;
            for (auto& [name, file] : files) file->locked_by = nullptr;
        }
        void sync_directory() {
            for (auto& [name, file] : files) file->entry_synced = true;
            deleted.clear();
        }
        void lose_unsynced(File& file);
        void cut_power();
        Fault next(Operation operation, const std::string& file);
    };
    explicit State(uint64_t seed) : disk{seed} {}
    Guarded<Disk> disk;
    sqlite3_vfs vfs{};
    std::string name;
};

// What SQLite holds for an open file; lives in memory that SQLite gives.
struct FaultDisk::Handle {
    sqlite3_file base{};
    State* state = nullptr;
    FilePtr file;
    std::string path;
    uint64_t generation = 0;
    bool delete_on_close = false;
    // As SQLite's unix VFS does: the first sync of a new journal or WAL syncs the directory too.
    bool sync_directory = false;
};

void FaultDisk::State::Disk::lose_unsynced(File& file) {
    // All, nothing or something of it: power cuts come at every point of the disk's own write-back.
    const unsigned kept_percent = std::array{0u, 50u, 90u, 100u}[dice.roll() % 4];
    const bool garbage = dice.chance(30);   // what a lost sector beyond the old end reads as
    std::string content = file.synced;
    for (const auto& modification : file.unsynced) {
        if (modification.truncate) {
            if (dice.chance(kept_percent)) modify(content, modification);
            continue;
        }
        const std::string_view bytes = modification.bytes;
        for (size_t done = 0; done < bytes.size();) {
            const size_t at = modification.offset + done;
            size_t length = std::min(bytes.size() - done, sector_bytes - at % sector_bytes);
            const auto part = bytes.substr(done, length);
            done += length;
            if (dice.chance(kept_percent)) {
                write_to(content, at, part.substr(0, dice.chance(2) ? length / 2 : length));
            } else if (garbage && at >= content.size()) {
                std::string noise(length, '\0');
                for (char& byte : noise) byte = static_cast<char>(dice.roll());
                write_to(content, at, noise);
            }
        }
    }
    file.content = file.synced = std::move(content);
    file.unsynced.clear();
}

void FaultDisk::State::Disk::cut_power() {
    for (auto& [name, file] : deleted)
        if (!files.contains(name) && dice.chance(50)) files[name] = file;
    deleted.clear();
    std::erase_if(
        files, [&](const auto& entry) { return !entry.second->entry_synced && dice.chance(50); });
    for (auto& [name, file] : files) {
        lose_unsynced(*file);
        file->entry_synced = true;
    }
    die();
}

FaultDisk::Fault FaultDisk::State::Disk::next(Operation operation, const std::string& file) {
    const Call call{++calls, operation, file};
    const Fault fault = decide ? decide(call) : Fault::None;
    if (fault == Fault::PowerCut) cut_power();
    if (fault == Fault::Kill) die();
    return fault;
}

namespace {

int error_code(FaultDisk::Operation operation) {
    switch (operation) {
    case FaultDisk::Operation::Open: return SQLITE_CANTOPEN;
    case FaultDisk::Operation::Read: return SQLITE_IOERR_READ;
    case FaultDisk::Operation::Write: return SQLITE_IOERR_WRITE;
    case FaultDisk::Operation::Truncate: return SQLITE_IOERR_TRUNCATE;
    case FaultDisk::Operation::Sync: return SQLITE_IOERR_FSYNC;
    case FaultDisk::Operation::Size: return SQLITE_IOERR_FSTAT;
    case FaultDisk::Operation::Delete: return SQLITE_IOERR_DELETE;
    }
    return SQLITE_IOERR;
}

}   // namespace

// SQLite's callbacks.
struct FaultDisk::Methods {
    static Handle& of(sqlite3_file* file) { return *reinterpret_cast<Handle*>(file); }
    static State& of(sqlite3_vfs* vfs) { return *static_cast<State*>(vfs->pAppData); }

    // Runs body(disk, file, torn) unless the call is to fail.
    template <class Body>
    static int call(sqlite3_file* opened, Operation operation, Body body) {
        Handle& handle = of(opened);
        return handle.state->disk.use([&](State::Disk& disk) {
            if (handle.generation != disk.generation) return error_code(operation);
            const Fault fault = disk.next(operation, handle.path);
            switch (fault) {
            case Fault::None: return body(disk, *handle.file, false);
            case Fault::Full: return SQLITE_FULL;
            case Fault::TornError:
            case Fault::TornKill:
                body(disk, *handle.file, true);
                if (fault == Fault::TornKill) disk.die();
                return error_code(operation);
            case Fault::Error:
                // As Linux does: after a failed fsync the pages count as clean, and are lost.
                if (operation == Operation::Sync) handle.file->unsynced.clear();
                return error_code(operation);
            case Fault::Kill:
            case Fault::PowerCut: return error_code(operation);
            }
            return SQLITE_IOERR;
        });
    }

    static int close(sqlite3_file* opened) {
        Handle& handle = of(opened);
        handle.state->disk.use([&](State::Disk& disk) {
            if (handle.generation != disk.generation) return;
            if (handle.file->locked_by == &handle) handle.file->locked_by = nullptr;
            if (handle.delete_on_close) disk.files.erase(handle.path);
        });
        handle.~Handle();
        return SQLITE_OK;
    }

    static int read(sqlite3_file* opened, void* target, int amount, sqlite3_int64 offset) {
        return call(opened, Operation::Read, [&](State::Disk&, File& file, bool) {
            const auto size = static_cast<size_t>(amount);
            const auto at = std::min(static_cast<size_t>(offset), file.content.size());
            const auto found = std::min(size, file.content.size() - at);
            std::memcpy(target, file.content.data() + at, found);
            if (found == size) return SQLITE_OK;
            std::memset(static_cast<char*>(target) + found, 0, size - found);
            return SQLITE_IOERR_SHORT_READ;
        });
    }

    static int write(sqlite3_file* opened, const void* source, int amount, sqlite3_int64 offset) {
        return call(opened, Operation::Write, [&](State::Disk& disk, File& file, bool torn) {
            std::string bytes{static_cast<const char*>(source), static_cast<size_t>(amount)};
            if (torn) bytes.resize(disk.dice.roll() % bytes.size());
            const auto end = static_cast<size_t>(offset) + bytes.size();
            if (end > file.content.size() &&
                disk.bytes() + (end - file.content.size()) > disk.bytes_max)
                return SQLITE_FULL;
            file.unsynced.push_back(
                {.offset = static_cast<size_t>(offset), .bytes = std::move(bytes)});
            modify(file.content, file.unsynced.back());
            return SQLITE_OK;
        });
    }

    static int truncate(sqlite3_file* opened, sqlite3_int64 size) {
        return call(opened, Operation::Truncate, [&](State::Disk&, File& file, bool torn) {
            if (torn) return SQLITE_OK;
            file.unsynced.push_back({.truncate = true, .offset = static_cast<size_t>(size)});
            modify(file.content, file.unsynced.back());
            return SQLITE_OK;
        });
    }

    static int sync(sqlite3_file* opened, int) {
        return call(opened, Operation::Sync, [&](State::Disk& disk, File& file, bool torn) {
            if (torn) return SQLITE_OK;
            ++disk.syncs;
            for (const auto& modification : file.unsynced) modify(file.synced, modification);
            file.unsynced.clear();
            if (std::exchange(of(opened).sync_directory, false)) disk.sync_directory();
            return SQLITE_OK;
        });
    }

    static int size(sqlite3_file* opened, sqlite3_int64* found) {
        return call(opened, Operation::Size, [&](State::Disk&, File& file, bool) {
            *found = static_cast<sqlite3_int64>(file.content.size());
            return SQLITE_OK;
        });
    }

    // The store's connection locks exclusively: one holder is all there is.
    static int lock(sqlite3_file* opened, int) {
        Handle& handle = of(opened);
        return handle.state->disk.use([&](State::Disk& disk) {
            if (handle.generation != disk.generation) return SQLITE_IOERR_LOCK;
            if (handle.file->locked_by && handle.file->locked_by != &handle) return SQLITE_BUSY;
            handle.file->locked_by = &handle;
            return SQLITE_OK;
        });
    }

    static int unlock(sqlite3_file* opened, int level) {
        Handle& handle = of(opened);
        handle.state->disk.use([&](State::Disk& disk) {
            if (handle.generation == disk.generation && level == SQLITE_LOCK_NONE &&
                handle.file->locked_by == &handle)
                handle.file->locked_by = nullptr;
        });
        return SQLITE_OK;
    }

    static int reserved(sqlite3_file* opened, int* found) {
        Handle& handle = of(opened);
        *found = handle.state->disk.use([&](State::Disk&) {
            return handle.file->locked_by && handle.file->locked_by != &handle ? 1 : 0;
        });
        return SQLITE_OK;
    }

    static int control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
    static int sector_size(sqlite3_file*) { return 4096; }
    static int characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

    static const sqlite3_io_methods* io() {
        static constexpr sqlite3_io_methods methods{.iVersion = 1,
                                                    .xClose = close,
                                                    .xRead = read,
                                                    .xWrite = write,
                                                    .xTruncate = truncate,
                                                    .xSync = sync,
                                                    .xFileSize = size,
                                                    .xLock = lock,
                                                    .xUnlock = unlock,
                                                    .xCheckReservedLock = reserved,
                                                    .xFileControl = control,
                                                    .xSectorSize = sector_size,
                                                    .xDeviceCharacteristics = characteristics};
        return &methods;
    }

    static int open(sqlite3_vfs* vfs, const char* path, sqlite3_file* target, int flags, int* got) {
        State& state = of(vfs);
        target->pMethods = nullptr;
        return state.disk.use([&](State::Disk& disk) {
            if (disk.dead) return SQLITE_CANTOPEN;
            const std::string name = path ? path : concat("temporary-", disk.calls);
            const Fault fault = disk.next(Operation::Open, name);
            if (fault == Fault::Full) return SQLITE_FULL;
            if (fault != Fault::None) return SQLITE_CANTOPEN;
            auto found = disk.files.find(name);
            const bool made = found == disk.files.end();
            if (made) {
                if ((flags & SQLITE_OPEN_CREATE) == 0) return SQLITE_CANTOPEN;
                found = disk.files.emplace(name, std::make_shared<File>()).first;
            }
            auto* handle = new (target) Handle{.state = &state,
                                               .file = found->second,
                                               .path = name,
                                               .generation = disk.generation};
            handle->delete_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
            handle->sync_directory =
                made && (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL)) != 0;
            handle->base.pMethods = io();
            if (got) *got = flags;
            return SQLITE_OK;
        });
    }

    static int remove(sqlite3_vfs* vfs, const char* path, int sync_directory) {
        return of(vfs).disk.use([&](State::Disk& disk) {
            if (disk.dead) return SQLITE_IOERR_DELETE;
            const std::string name = path;
            const Fault fault = disk.next(Operation::Delete, name);
            if (fault != Fault::None) return SQLITE_IOERR_DELETE;
            const auto found = disk.files.find(name);
            if (found == disk.files.end()) return SQLITE_IOERR_DELETE_NOENT;
            if (sync_directory == 0 && found->second->entry_synced)
                disk.deleted[name] = found->second;
            disk.files.erase(found);
            if (sync_directory != 0) disk.sync_directory();
            return SQLITE_OK;
        });
    }

    static int access(sqlite3_vfs* vfs, const char* path, int, int* found) {
        *found =
            of(vfs).disk.use([&](State::Disk& disk) { return disk.files.contains(path) ? 1 : 0; });
        return SQLITE_OK;
    }

    static int full_path(sqlite3_vfs*, const char* path, int size, char* target) {
        sqlite3_snprintf(size, target, "%s", path);
        return SQLITE_OK;
    }

    static int randomness(sqlite3_vfs* vfs, int count, char* target) {
        of(vfs).disk.use([&](State::Disk& disk) {
            for (int i = 0; i < count; ++i) target[i] = static_cast<char>(disk.dice.roll());
        });
        return count;
    }

    static int sleep(sqlite3_vfs*, int microseconds) { return microseconds; }
    static int now(sqlite3_vfs*, double* julian_day) {
        *julian_day = 2460000.5;   // nothing in a store depends on it
        return SQLITE_OK;
    }
    static int last_error(sqlite3_vfs*, int, char*) { return 0; }
};

FaultDisk::FaultDisk(uint64_t seed) : state_{std::make_unique<State>(seed)} {
    static std::atomic<uint64_t> made = 0;
    state_->name = concat("skiff-fault-", ++made);
    state_->vfs = {.iVersion = 1,
                   .szOsFile = sizeof(Handle),
                   .mxPathname = path_bytes_max,
                   .zName = state_->name.c_str(),
                   .pAppData = state_.get(),
                   .xOpen = Methods::open,
                   .xDelete = Methods::remove,
                   .xAccess = Methods::access,
                   .xFullPathname = Methods::full_path,
                   .xRandomness = Methods::randomness,
                   .xSleep = Methods::sleep,
                   .xCurrentTime = Methods::now,
                   .xGetLastError = Methods::last_error};
    ASSERT(sqlite3_vfs_register(&state_->vfs, 0) == SQLITE_OK);
}

FaultDisk::~FaultDisk() { sqlite3_vfs_unregister(&state_->vfs); }

const std::string& FaultDisk::name() const { return state_->name; }

void FaultDisk::decide(Decide decide) {
    state_->disk.use([&](State::Disk& disk) { disk.decide = std::move(decide); });
}

void FaultDisk::fail_call(uint64_t number, Fault fault) {
    decide(
        [number, fault](const Call& call) { return call.number == number ? fault : Fault::None; });
}

void FaultDisk::limit(uint64_t bytes) {
    state_->disk.use([&](State::Disk& disk) { disk.bytes_max = bytes; });
}

void FaultDisk::kill_process() {
    state_->disk.use([](State::Disk& disk) { disk.die(); });
}

void FaultDisk::cut_power() {
    state_->disk.use([](State::Disk& disk) { disk.cut_power(); });
}

void FaultDisk::start_process() {
    state_->disk.use([](State::Disk& disk) { disk.dead = false; });
}

uint64_t FaultDisk::calls() const {
    return state_->disk.use([](State::Disk& disk) { return disk.calls; });
}

uint64_t FaultDisk::syncs() const {
    return state_->disk.use([](State::Disk& disk) { return disk.syncs; });
}

uint64_t FaultDisk::bytes() const {
    return state_->disk.use([](State::Disk& disk) { return disk.bytes(); });
}

bool FaultDisk::dead() const {
    return state_->disk.use([](State::Disk& disk) { return disk.dead; });
}

}   // namespace skiff::store
