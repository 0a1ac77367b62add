#include "cmd/flags.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/text.h"

namespace skiff::cmd {

Result<Flags> Flags::parse(const std::vector<std::string>& arguments,
                           const std::vector<FlagSpec>& known, size_t words_max) {
    Flags flags;
    for (size_t i = 0; i < arguments.size(); ++i) {
        const std::string_view argument = arguments[i];
        if (argument == "--help" || argument == "-h") {
            std::fputs(concat("flags:\n", help_of(known)).c_str(), stdout);
            std::exit(0);
        }
        if (!argument.starts_with("--") || argument.size() == 2) {
            if (flags.arguments_.size() == words_max)
                return fail(
                    Reason::Invalid,
                    concat("'", argument, "' is not a flag; the flags are:\n", help_of(known)));
            flags.arguments_.emplace_back(argument);
            continue;
        }
        const auto [name, inline_value] = cut(argument.substr(2), '=');
        const auto spec = std::ranges::find(known, name, &FlagSpec::name);
        if (spec == known.end())
            return fail(Reason::Invalid,
                        concat("there is no flag --", name, "; there are:\n", help_of(known)));
        if (inline_value) {
            flags.values_[std::string{name}] = *inline_value;
        } else if (spec->value.empty()) {
            flags.values_[std::string{name}] = "true";
        } else if (i + 1 < arguments.size()) {
            flags.values_[std::string{name}] = arguments[++i];
        } else {
            return fail(Reason::Invalid,
                        concat("--", name, " needs a value: --", name, " ", spec->value));
        }
    }
    return flags;
}

std::string Flags::text(std::string_view name, std::string_view fallback) const {
    const auto found = values_.find(std::string{name});
    return found == values_.end() ? std::string{fallback} : found->second;
}

Result<uint16_t> Flags::port(std::string_view name, uint16_t fallback) const {
    const auto given = text(name);
    if (given.empty()) return fallback;
    const auto number = parse_number<uint16_t>(given);
    if (!number)
        return fail(Reason::Invalid,
                    concat("--", name, ": '", given, "' must be a number from 0 to 65535"));
    return *number;
}

std::string help_of(const std::vector<FlagSpec>& known) {
    std::string out;
    for (const auto& flag : known) {
        auto left = concat("  --", flag.name, flag.value.empty() ? "" : " ", flag.value);
        left.resize(std::max<size_t>(left.size() + 2, 30), ' ');
        append(out, left, flag.help, "\n");
    }
    return out;
}

}   // namespace skiff::cmd
