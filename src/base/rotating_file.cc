#include "base/rotating_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

namespace skiff {
namespace {

std::unexpected<Error> failed(std::string_view doing, const std::string& path) {
    return fail(
        errno == ENOSPC || errno == EDQUOT ? Reason::ServiceUnavailable : Reason::InternalError,
        concat(doing, " ", path, ": ", std::strerror(errno)));
}

}   // namespace

Result<> RotatingFile::open() {
    file_ = Fd{::open(options_.path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                      0600)};
    if (!file_) return failed("open", options_.path);
    struct stat about {};
    if (::fstat(file_.get(), &about) != 0) return failed("look at", options_.path);
    bytes_ = static_cast<uint64_t>(about.st_size);
    return {};
}

// "audit.log" to "audit-TIME.log".
Result<> RotatingFile::rotate() {
    const std::filesystem::path path{options_.path};
    auto time = rfc3339_micro(clock_.now()).substr(0, 23);
    std::ranges::replace(time, ':', '-');
    const auto aside =
        path.parent_path() / concat(path.stem().string(), "-", time, path.extension().string());
    file_.reset();
    if (::rename(path.c_str(), aside.c_str()) != 0) return failed("rename", options_.path);
    remove_oldest();
    return open();
}

void RotatingFile::remove_oldest() const {
    const std::filesystem::path path{options_.path};
    const auto start = path.stem().string() + "-";
    std::vector<std::filesystem::path> aside;
    std::error_code problem;
    for (const auto& entry : std::filesystem::directory_iterator{path.parent_path(), problem})
        if (entry.path().filename().string().starts_with(start) &&
            entry.path().extension() == path.extension())
            aside.push_back(entry.path());
    std::ranges::sort(aside);   // by time
    for (size_t i = 0; i + options_.kept_max < aside.size(); ++i)
        std::filesystem::remove(aside[i], problem);
}

Result<> RotatingFile::append(std::string_view text) {
    if (!file_) TRY_OK(open());
    if (bytes_ > 0 && bytes_ + text.size() > options_.bytes_max) TRY_OK(rotate());
    size_t done = 0;
    while (done < text.size()) {
        const auto count = ::write(file_.get(), text.data() + done, text.size() - done);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) {
            auto error = failed("write", options_.path);
            if (done && ::ftruncate(file_.get(), static_cast<off_t>(bytes_)) != 0) file_.reset();
            return error;
        }
        done += static_cast<size_t>(count);
    }
    bytes_ += done;
    return {};
}

}   // namespace skiff
