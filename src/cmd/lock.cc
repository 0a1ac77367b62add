#include "cmd/lock.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/file.h>

namespace skiff::cmd {

Result<Fd> lock_folder(const std::string& folder) {
    Fd lock{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!lock || ::flock(lock.get(), LOCK_EX) != 0) return fail_errno("lock " + folder, errno);
    return lock;
}

}   // namespace skiff::cmd
