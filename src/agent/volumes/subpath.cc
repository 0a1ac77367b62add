#include "agent/volumes/subpath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/volumes/mounts.h"
#include "base/text.h"

namespace skiff::agent {

namespace {

Fd open_in(int root, const std::string& path) {
    struct open_how how {};
    how.flags = O_PATH | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    return Fd{static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how))};
}

}   // namespace

Result<Fd> open_beneath(const std::string& volume, const std::string& path) {
    const Fd root{::open(volume.c_str(), O_PATH | O_CLOEXEC)};
    if (!root) return fail_errno(concat("open ", volume), errno);
    if (Fd found = open_in(root.get(), path)) return found;
    if (errno == EXDEV || errno == ELOOP) {
        return fail(Reason::Invalid, concat("subPath '", path, "' leads out of its volume"));
    }
    if (errno != ENOENT) return fail_errno(concat("subPath '", path, "'"), errno);
    // Made part by part below what is known to be inside.
    struct stat info {};
    const mode_t mode = ::fstat(root.get(), &info) == 0 ? (info.st_mode & 0777) : 0755;
    std::string done;
    Fd parent = open_in(root.get(), ".");
    for (const auto part : split(path, '/')) {
        if (part.empty() || part == ".") continue;
        if (part == "..")
            return fail(Reason::Invalid, concat("subPath '", path, "' must not contain '..'"));
        append(done, done.empty() ? "" : "/", part);
        Fd next = open_in(root.get(), done);
        if (!next && errno == ENOENT) {
            const std::string name{part};
            if (::mkdirat(parent.get(), name.c_str(), mode) != 0 && errno != EEXIST) {
                return fail_errno(concat("make subPath '", done, "'"), errno);
            }
            next = open_in(root.get(), done);
        }
        if (!next) return fail_errno(concat("subPath '", done, "'"), errno);
        parent = std::move(next);
    }
    return parent;
}

Result<> bind_beneath(const std::string& volume, const std::string& path,
                      const std::string& target) {
    if (is_mount_point(target)) return {};
    TRY(const Fd found, open_beneath(volume, path));
    struct stat info {};
    if (::fstat(found.get(), &info) != 0)
        return fail_errno(concat("stat subPath '", path, "'"), errno);
    if (S_ISDIR(info.st_mode)) {
        TRY_OK(make_directories(target));
    } else {
        TRY_OK(make_directories(target.substr(0, target.rfind('/'))));
        const Fd file{::open(target.c_str(), O_CREAT | O_CLOEXEC | O_WRONLY, 0640)};
        if (!file) return fail_errno(concat("make ", target), errno);
    }
    const std::string source = concat("/proc/self/fd/", found.get());
    if (::mount(source.c_str(), target.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0) {
        return fail_errno(concat("bind ", target), errno);
    }
    return {};
}

}   // namespace skiff::agent
