#include "base/os.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"

namespace skiff {
namespace {

// Deeper folders are moved up to the top first: neither descriptors nor stack grow with depth.
constexpr int remove_depth_max = 64;

Reason reason_of(int error_number) {
    switch (error_number) {
    case ENOENT: return Reason::NotFound;
    case EACCES:
    case EPERM:
    case EROFS: return Reason::Forbidden;
    case EEXIST: return Reason::AlreadyExists;
    default: return Reason::InternalError;
    }
}

std::unexpected<Error> fail_now(std::string_view doing, std::string_view path) {
    const int error_number = errno;
    return fail_errno(concat(doing, " ", path), error_number, reason_of(error_number));
}

Result<> write_all(int fd, std::string_view content, std::string_view path) {
    while (!content.empty()) {
        const ssize_t count = ::write(fd, content.data(), content.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return fail_now("write", path);
        content.remove_prefix(static_cast<size_t>(count));
    }
    return {};
}

std::string folder_of(const std::string& path) {
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

// The last step of a path without following it; EXDEV when it is a mount point.
Fd open_folder_beneath(int parent, const char* name) {
    open_how how{};
    how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
    how.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS;
    return Fd{static_cast<int>(::syscall(SYS_openat2, parent, name, &how, sizeof how))};
}

struct FolderCloser {
    void operator()(DIR* folder) const { ::closedir(folder); }
};
using Folder = std::unique_ptr<DIR, FolderCloser>;

// Removes what is inside a folder. Holds a descriptor per level, `remove_depth_max` at the most.
class TreeRemover {
  public:
    Result<> remove(int parent, const std::string& name, const std::string& shown, int depth) {
        if (::unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT) return {};
        const int problem = errno;
        if (problem != EISDIR && problem != EPERM) return fail_now("remove", shown);
        Fd fd = open_folder_beneath(parent, name.c_str());
        if (!fd && errno == EXDEV)
            return fail(Reason::Conflict, concat("remove ", shown, ": something is mounted there"));
        if (!fd && errno == ENOENT) return {};
        if (!fd && errno == ENOTDIR) errno = problem;
        if (!fd) return fail_now("remove", shown);
        if (depth == remove_depth_max) return lift(parent, name, shown);
        const int descriptor = fd.get();
        Folder folder{::fdopendir(descriptor)};
        if (!folder) return fail_now("read", shown);
        [[maybe_unused]] const int owned_by_folder = fd.release();
        if (depth == 0) top_ = descriptor;
        for (;;) {
            TRY_OK(remove_entries(folder.get(), descriptor, shown, depth));
            if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
            // Someone wrote meanwhile, or a deep folder was lifted here: look again.
            if (errno != ENOTEMPTY || ++rounds_ > rounds_max) return fail_now("remove", shown);
            ::rewinddir(folder.get());
        }
    }

  private:
    static constexpr int rounds_max = 100'000;

    Result<> remove_entries(DIR* folder, int descriptor, const std::string& shown, int depth) {
        errno = 0;
        while (const dirent* entry = ::readdir(folder)) {
            const std::string name = entry->d_name;
            if (name == "." || name == "..") continue;
            TRY_OK(remove(descriptor, name, concat(shown, "/", name), depth + 1));
            errno = 0;
        }
        if (errno != 0) return fail_now("read", shown);
        return {};
    }

    Result<> lift(int parent, const std::string& name, const std::string& shown) {
        for (;;) {
            const std::string target = concat(".deep-", ++lifted_);
            if (::syscall(SYS_renameat2, parent, name.c_str(), top_, target.c_str(),
                          1 /* RENAME_NOREPLACE */) == 0)
                return {};
            if (errno != EEXIST) return fail_now("remove", shown);
        }
    }

    int top_ = -1;
    int rounds_ = 0;
    uint64_t lifted_ = 0;
};

}   // namespace

Fd::~Fd() {
    if (fd_ >= 0) ::close(fd_);
}

Result<std::string> read_file(const std::string& path, size_t bytes_max) {
    const Fd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!fd) return fail_now("open", path);
    std::string content;
    std::array<char, 16384> buffer;
    for (;;) {   // to the end, whatever its size says: /proc says 0
        const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return fail_now("read", path);
        if (count == 0) return content;
        content.append(buffer.data(), static_cast<size_t>(count));
        if (content.size() > bytes_max)
            return fail(Reason::RequestEntityTooLarge,
                        concat("read ", path, ": is larger than ", bytes_max, " bytes"));
    }
}

Result<> write_file_atomic(const std::string& path, std::string_view content, mode_t mode,
                           Sync sync) {
    const size_t slash = path.rfind('/');
    const size_t name = slash == std::string::npos ? 0 : slash + 1;
    std::string beside = concat(path.substr(0, name), ".", path.substr(name), ".XXXXXX");
    Fd fd{::mkostemp(beside.data(), O_CLOEXEC)};
    if (!fd) return fail_now("create", beside);
    const auto written = [&]() -> Result<> {
        if (::fchmod(fd.get(), mode) != 0) return fail_now("chmod", beside);
        TRY_OK(write_all(fd.get(), content, beside));
        if (sync == Sync::Yes && ::fdatasync(fd.get()) != 0) return fail_now("fdatasync", beside);
        if (::rename(beside.c_str(), path.c_str()) != 0) return fail_now("rename to", path);
        return {};
    }();
    if (!written) {
        ::unlink(beside.c_str());
        return written;
    }
    if (sync == Sync::No) return {};
    const std::string folder = folder_of(path);
    const Fd directory{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!directory) return fail_now("open", folder);
    if (::fdatasync(directory.get()) != 0) return fail_now("fdatasync", folder);
    return {};
}

Result<> write_file(const std::string& path, std::string_view content) {
    Fd fd{::open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC)};
    if (!fd && errno == ENOENT) {   // kernel folders refuse this; what was missing is the news then
        fd = Fd{::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)};
        if (!fd && errno != ENOSPC) errno = ENOENT;
    }
    if (!fd) return fail_now("open", path);
    return write_all(fd.get(), content, path);
}

Result<> make_directories(const std::string& path, mode_t mode) {
    for (size_t at = 0; at != std::string::npos;) {
        at = path.find('/', at + 1);
        const std::string part = path.substr(0, at);
        if (part.empty() || ::mkdir(part.c_str(), mode) == 0) continue;
        const int problem = errno;
        struct stat status;
        if (::stat(part.c_str(), &status) == 0) {
            if (S_ISDIR(status.st_mode)) continue;
            return fail_errno(concat("mkdir ", part), ENOTDIR);
        }
        return fail_errno(concat("mkdir ", part), problem, reason_of(problem));
    }
    return {};
}

Result<> remove_tree(const std::string& path) {
    std::string whole = path;
    while (whole.size() > 1 && whole.back() == '/') whole.pop_back();
    const std::string name = whole.substr(whole.rfind('/') + 1);
    if (name.empty() || name == "." || name == "..")
        return fail(Reason::Invalid, concat("remove '", path, "': must end in a name"));
    const std::string folder = folder_of(whole);
    const Fd parent{::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
    if (!parent && errno == ENOENT) return {};
    if (!parent) return fail_now("open", folder);
    return TreeRemover{}.remove(parent.get(), name, whole, 0);
}

bool file_exists(const std::string& path) {
    struct stat status;
    return ::stat(path.c_str(), &status) == 0;
}

}   // namespace skiff
