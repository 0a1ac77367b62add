#include "agent/log_reader.h"

#include <algorithm>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "net/http.h"

namespace skiff::agent {

namespace {

constexpr size_t read_bytes = 64u << 10;
constexpr size_t line_bytes_max = 1u << 20;   // containerd splits at 16 KiB; beyond this: garbage

Result<int64_t> parse_count(std::string_view name, std::string_view text, int64_t least) {
    const auto value = parse_number<int64_t>(text);
    if (!value) return fail(Reason::BadRequest, concat(name, " '", text, "' must be a number"));
    if (*value < least) {
        return fail(Reason::Invalid, concat("Invalid value: ", *value, ": ", name,
                                            " must be greater than or equal to ", least));
    }
    return *value;
}

// Whether a stored line begins a line of output that `stream` wants.
bool counts(std::string_view line, std::string_view stream) {
    LogLine parsed;
    if (!parse_log_line(line, parsed)) return false;
    return !parsed.partial && (stream.empty() || parsed.stream == stream);
}

// Walks one file backwards; `lines` is taken down as lines are found. Where to start, or nothing
// when the file holds fewer. A line starts after the full line before it, so that its partial
// beginnings come with it.
std::optional<int64_t> tail_in_file(const std::string& path, int64_t& lines,
                                    std::string_view stream) {
    const Fd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    struct stat info {};
    if (!fd || ::fstat(fd.get(), &info) != 0) return std::nullopt;
    int64_t block_end = info.st_size;   // what `text` begins at in the file, once read
    std::string text;                   // from block_end on: the unfinished line at its front
    bool newest = true;
    while (block_end > 0) {
        const auto want = std::min<int64_t>(block_end, static_cast<int64_t>(read_bytes));
        std::string block(static_cast<size_t>(want), '\0');
        if (::pread(fd.get(), block.data(), block.size(), block_end - want) != want) return 0;
        block_end -= want;
        text.insert(0, block);
        for (;;) {
            const bool closed = !text.empty() && text.back() == '\n';
            const size_t before =
                text.size() < 2 ? std::string::npos : text.rfind('\n', text.size() - 2);
            if (before == std::string::npos && block_end > 0) break;
            if (text.empty()) break;
            const size_t start = before == std::string::npos ? 0 : before + 1;
            const auto line = std::string_view{text}.substr(start, text.size() - start - closed);
            if (counts(line, stream) || (newest && !closed)) {
                if (lines == 0) return block_end + static_cast<int64_t>(text.size());
                --lines;
            }
            newest = false;
            text.resize(start);
        }
    }
    return std::nullopt;
}

}   // namespace

Result<LogOptions> parse_log_options(const std::vector<std::pair<std::string, std::string>>& query,
                                     WallTime now) {
    LogOptions options;
    for (const auto& [key, value] : query) {
        const bool set = net::query_switch(value);
        if (key == "follow") options.follow = set;
        if (key == "timestamps") options.timestamps = set;
        if (value.empty()) continue;
        if (key == "tailLines") {
            TRY(options.tail_lines, parse_count("tailLines", value, 0));
        } else if (key == "limitBytes") {
            TRY(options.limit_bytes, parse_count("limitBytes", value, 1));
        } else if (key == "sinceSeconds") {
            TRY(const int64_t seconds, parse_count("sinceSeconds", value, 1));
            options.since = now - std::chrono::seconds{seconds};
        } else if (key == "sinceTime") {
            TRY(options.since, parse_rfc3339(value));
        } else if (key == "stream") {
            if (value == "Stdout") options.stream = "stdout";
            if (value == "Stderr") options.stream = "stderr";
        }
    }
    return options;
}

LogPosition find_log_tail(const std::vector<std::string>& files, int64_t lines,
                          std::string_view stream) {
    for (size_t index = files.size(); index-- > 0;) {
        if (const auto offset = tail_in_file(files[index], lines, stream)) return {index, *offset};
    }
    return {};
}

LogReader::LogReader(std::string current_path, LogOptions options)
    : path_{std::move(current_path)}, options_{std::move(options)} {
    if (options_.since) since_text_ = rfc3339_nano(*options_.since);
    if (options_.limit_bytes) bytes_left_ = *options_.limit_bytes;
}

void LogReader::begin() {
    begun_ = true;
    ahead_ = log_files_of(path_);
    LogPosition start;
    if (options_.tail_lines) start = find_log_tail(ahead_, *options_.tail_lines, options_.stream);
    if (ahead_.empty()) return;
    ahead_.erase(ahead_.begin(), ahead_.begin() + static_cast<long>(start.file));
    const std::string first = ahead_.front();
    ahead_.erase(ahead_.begin());
    open(first, start.offset);
}

bool LogReader::open(const std::string& path, off_t offset) {
    Fd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    struct stat info {};
    if (!fd || ::fstat(fd.get(), &info) != 0) return false;
    fd_ = std::move(fd);
    inode_ = info.st_ino;
    offset_ = offset;
    buffer_.clear();
    consumed_ = 0;
    return true;
}

bool LogReader::open_next() {
    while (!ahead_.empty()) {
        const std::string next = ahead_.front();
        ahead_.erase(ahead_.begin());
        if (open(next, 0)) return true;
    }
    return false;
}

bool LogReader::fill() {
    buffer_.erase(0, consumed_);
    consumed_ = 0;
    const size_t held = buffer_.size();
    buffer_.resize(held + read_bytes);
    const ssize_t count = ::pread(fd_.get(), buffer_.data() + held, read_bytes, offset_);
    buffer_.resize(held + static_cast<size_t>(std::max<ssize_t>(count, 0)));
    if (count <= 0) return false;
    offset_ += count;
    return true;
}

// False: the byte limit is reached.
bool LogReader::emit(std::string_view line, std::string& out) {
    LogLine parsed;
    if (!parse_log_line(line, parsed)) return true;
    if (!options_.stream.empty() && parsed.stream != options_.stream) return true;
    // Both are UTC with nine digits, so that text order is time order.
    if (!since_text_.empty() && parsed.time < since_text_) return true;
    const size_t before = out.size();
    if (options_.timestamps && !in_line_) append(out, parsed.time, ' ');
    out += parsed.text;
    if (!parsed.partial) out += '\n';
    in_line_ = parsed.partial;
    const auto added = static_cast<int64_t>(out.size() - before);
    if (added >= bytes_left_) {
        out.resize(before + static_cast<size_t>(bytes_left_));
        bytes_left_ = 0;
        return false;
    }
    bytes_left_ -= added;
    return true;
}

LogReader::State LogReader::read(std::string& out, size_t want) {
    if (!begun_) begin();
    if (bytes_left_ == 0) return State::LimitReached;
    const size_t until = out.size() + want;
    for (;;) {
        if (!fd_ && !open_next()) return State::CaughtUp;
        const size_t end = buffer_.find('\n', consumed_);
        if (end != std::string::npos) {
            const auto line = std::string_view{buffer_}.substr(consumed_, end - consumed_);
            consumed_ = end + 1;
            if (!emit(line, out)) return State::LimitReached;
            if (out.size() >= until) return State::More;
            continue;
        }
        if (buffer_.size() - consumed_ > line_bytes_max) consumed_ = buffer_.size();
        if (fill()) continue;
        if (!open_next()) return State::CaughtUp;
    }
}

bool LogReader::rotated() const {
    struct stat info {};
    if (::stat(path_.c_str(), &info) != 0) return false;
    return !fd_ || info.st_ino != inode_;
}

// Everything younger than the file we hold: more than one rotation may have happened meanwhile.
bool LogReader::next_file() {
    auto files = log_files_of(path_);
    const auto held = std::ranges::find_if(files, [&](const std::string& file) {
        struct stat info {};
        return fd_ && ::stat(file.c_str(), &info) == 0 && info.st_ino == inode_;
    });
    if (held != files.end()) files.erase(files.begin(), held + 1);
    ahead_ = std::move(files);
    return open_next();
}

}   // namespace skiff::agent
