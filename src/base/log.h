// One line of JSON a message on standard error, as {"ts":..,"level":..,"msg":..,key:value...}.
// Secrets never go here. Never log and return the same error.
#pragma once

#include <initializer_list>
#include <string_view>
#include <type_traits>

#include "base/text.h"

namespace skiff {

enum class LogLevel : int { Debug, Info, Warn, Error };

struct LogField {
    std::string_view key;
    std::string value;
    template <class T>
    LogField(std::string_view name, const T& content)
        : key{name}, value{concat(content)} {}   // NOLINT
};

void log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {});
void set_log_level(LogLevel level);   // default Info; the environment is read by cmd/ only

inline void log_debug(std::string_view m, std::initializer_list<LogField> f = {}) {
    log(LogLevel::Debug, m, f);
}
inline void log_info(std::string_view m, std::initializer_list<LogField> f = {}) {
    log(LogLevel::Info, m, f);
}
inline void log_warn(std::string_view m, std::initializer_list<LogField> f = {}) {
    log(LogLevel::Warn, m, f);
}
inline void log_error(std::string_view m, std::initializer_list<LogField> f = {}) {
    log(LogLevel::Error, m, f);
}

}   // namespace skiff
