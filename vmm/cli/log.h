#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/base/error.h"

namespace spdlog {
class logger;
}

namespace exo::vmm {

enum class LogLevel : std::uint8_t { debug, info, warning, error };
enum class LogFormat : std::uint8_t { text, json };

struct LogOptions {
    LogLevel level = LogLevel::warning;
    LogFormat format = LogFormat::text;
    std::string file;  ///< empty: standard error
};

/// What happens in a run, for people and for programs: a sentence that is always the same for the same thing,
/// and what differs as named fields. Warnings and errors are told on standard error too when the log is a
/// file. Thread-safe.
class Log {
  public:
    struct Field {
        std::string_view name;
        std::string value;
        bool number = false;

        Field(std::string_view n, std::string_view text) : name(n), value(text) {}
        template <std::integral T>
        Field(std::string_view n, T v) : name(n), value(std::to_string(v)), number(true) {}
    };
    using Fields = std::initializer_list<Field>;

    /// Opens the file, whose end the log is appended to.
    static Result<Log> open(const LogOptions& options);

    void debug(std::string_view text, Fields fields = {}) const { write(LogLevel::debug, text, fields); }
    void info(std::string_view text, Fields fields = {}) const { write(LogLevel::info, text, fields); }
    void warning(std::string_view text, Fields fields = {}) const { write(LogLevel::warning, text, fields); }
    void error(std::string_view text, Fields fields = {}) const { write(LogLevel::error, text, fields); }

  private:
    struct Target {
        std::shared_ptr<spdlog::logger> logger;
        LogFormat format;
    };

    void write(LogLevel level, std::string_view text, Fields fields) const;

    std::vector<Target> targets_;
};

}  // namespace exo::vmm
