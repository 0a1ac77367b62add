#include "base/log.h"

#include <atomic>
#include <cerrno>

#include <unistd.h>

#include "base/time.h"

namespace skiff {
namespace {

std::atomic<LogLevel> level_min{LogLevel::Info};

constexpr std::string_view level_names[] = {"debug", "info", "warn", "error"};

// Length of the well-formed UTF-8 sequence at the front (RFC 3629), 0 if there is none.
size_t utf8_length(std::string_view text) {
    const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned lead = at(0);
    if (lead < 0x80) return 1;
    const size_t length = lead >= 0xc2 && lead < 0xe0   ? 2
                          : lead >= 0xe0 && lead < 0xf0 ? 3
                          : lead >= 0xf0 && lead < 0xf5 ? 4
                                                        : 0;
    if (length == 0 || text.size() < length) return 0;
    for (size_t i = 1; i < length; ++i)
        if ((at(i) & 0xc0) != 0x80) return 0;
    const unsigned second = at(1);
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
        (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f))
        return 0;
    return length;
}

void append_json(std::string& out, std::string_view text) {
    out += '"';
    while (!text.empty()) {
        const char c = text[0];
        const size_t length = utf8_length(text);
        if (length == 0)
            out += "\\ufffd";
        else if (c == '"' || c == '\\')
            append(out, '\\', c);
        else if (c == '\n')
            out += "\\n";
        else if (static_cast<unsigned char>(c) < 0x20)
            append(out, "\\u00", hex({&c, 1}));
        else
            out += text.substr(0, length);
        text.remove_prefix(length == 0 ? 1 : length);
    }
    out += '"';
}

}   // namespace

void set_log_level(LogLevel level) { level_min.store(level, std::memory_order_relaxed); }

void log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
    if (level < level_min.load(std::memory_order_relaxed)) return;
    std::string line = concat("{\"ts\":\"", rfc3339_micro(os_clock().now()), "\",\"level\":\"",
                              level_names[static_cast<int>(level)], "\",\"msg\":");
    append_json(line, message);
    for (const auto& field : fields) {
        line += ',';
        append_json(line, field.key);
        line += ':';
        append_json(line, field.value);
    }
    line += "}\n";
    // One write keeps the lines of several threads whole; what cannot be written is lost.
    std::string_view rest = line;
    while (!rest.empty()) {
        const ssize_t count = ::write(STDERR_FILENO, rest.data(), rest.size());
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return;
        rest.remove_prefix(static_cast<size_t>(count));
    }
}

}   // namespace skiff
