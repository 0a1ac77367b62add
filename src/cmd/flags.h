// Command-line flags: `--name value`, `--name=value`, `--switch`; the rest are arguments.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace skiff::cmd {

struct FlagSpec {
    std::string_view name;    // "root"
    std::string_view value;   // "DIR" in the help; "" for a switch
    std::string_view help;
};

class Flags {
  public:
    // Invalid for unknown flags, missing values and more than `words_max` words beside them: names
    // what is wrong and the flags that exist. `--help` prints them and ends the process.
    static Result<Flags> parse(const std::vector<std::string>& arguments,
                               const std::vector<FlagSpec>& known, size_t words_max = 0);
    std::string text(std::string_view name, std::string_view fallback = {}) const;
    bool on(std::string_view name) const { return values_.contains(std::string{name}); }
    Result<uint16_t> port(std::string_view name, uint16_t fallback) const;
    const std::vector<std::string>& arguments() const { return arguments_; }

  private:
    std::map<std::string, std::string> values_;
    std::vector<std::string> arguments_;
};

std::string help_of(const std::vector<FlagSpec>& known);

}   // namespace skiff::cmd
