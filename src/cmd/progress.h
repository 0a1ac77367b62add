// What a person sees while something takes its time: a line a step, with the time it took.
#pragma once

#include <string>
#include <string_view>

#include "base/time.h"

namespace skiff::cmd {

class Progress {
  public:
    explicit Progress(Clock& clock)
        : clock_{clock}, begun_{clock.monotonic()}, step_begun_{begun_} {}
    void begin(std::string_view what);         // "starting the API server"
    void done(std::string_view remark = {});   // ends the line: "… 0.12 s"
    void say(std::string_view line);
    Duration total() const { return clock_.monotonic() - begun_; }

  private:
    Clock& clock_;
    MonoTime begun_;
    MonoTime step_begun_;
    bool open_ = false;
};
std::string seconds_text(Duration duration);   // "1.24 s"

// "skiff: <message>" on standard error; returns 1 for `return complain(...)`.
int complain(std::string_view message);

}   // namespace skiff::cmd
