#include "cmd/progress.h"

#include <cstdio>

#include "base/text.h"

namespace skiff::cmd {
namespace {

void write_out(std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
}

}   // namespace

std::string seconds_text(Duration duration) {
    const auto hundredths =
        std::chrono::duration_cast<std::chrono::milliseconds>(duration).count() / 10;
    return concat(hundredths / 100, hundredths % 100 < 10 ? ".0" : ".", hundredths % 100, " s");
}

void Progress::begin(std::string_view what) {
    if (open_) write_out("\n");
    step_begun_ = clock_.monotonic();
    open_ = true;
    write_out(concat("  ", what, " … "));
}

void Progress::done(std::string_view remark) {
    if (!open_) return;
    open_ = false;
    write_out(concat(remark.empty() ? "" : concat(remark, ", "),
                     seconds_text(clock_.monotonic() - step_begun_), "\n"));
}

void Progress::say(std::string_view line) {
    if (open_) write_out("\n");
    open_ = false;
    write_out(concat(line, "\n"));
}

int complain(std::string_view message) {
    std::fflush(stdout);
    std::fprintf(stderr, "skiff: %.*s\n", static_cast<int>(message.size()), message.data());
    return 1;
}

}   // namespace skiff::cmd
