#include "vmm/cli/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace exo::vmm {
namespace {

constexpr char terminal_pattern[] = "vmm: %v";
constexpr char file_pattern[] = "%Y-%m-%dT%H:%M:%S.%e%z %-7l %v";
constexpr char json_pattern[] = R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l",%v})";

spdlog::level::level_enum spdlog_level(LogLevel level) {
    switch (level) {
        case LogLevel::debug:
            return spdlog::level::debug;
        case LogLevel::info:
            return spdlog::level::info;
        case LogLevel::warning:
            return spdlog::level::warn;
        case LogLevel::error:
            break;
    }
    return spdlog::level::err;
}

std::string json_string(std::string_view text) {
    using Json = nlohmann::json;
    return Json(std::string(text)).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string as_json(std::string_view text, Log::Fields fields) {
    std::string line = "\"message\":" + json_string(text);
    for (const Log::Field& field : fields)
        line += fmt::format(",{}:{}", json_string(field.name),
                            field.number ? field.value : json_string(field.value));
    return line;
}

std::string as_text(std::string_view text, Log::Fields fields) {
    std::string line(text);
    for (const Log::Field& field : fields) {
        const bool plain = field.value.find_first_of(" \t\n\"") == std::string::npos && !field.value.empty();
        line += fmt::format(" {}={}", field.name, plain ? field.value : json_string(field.value));
    }
    return line;
}

std::shared_ptr<spdlog::logger> make_logger(spdlog::sink_ptr sink, LogLevel level, const char* pattern) {
    auto logger = std::make_shared<spdlog::logger>("vmm", std::move(sink));
    logger->set_pattern(pattern);
    logger->set_level(spdlog_level(level));
    logger->flush_on(spdlog::level::debug);
    return logger;
}

}  // namespace

Result<Log> Log::open(const LogOptions& options) try {
    Log log;
    const bool json = options.format == LogFormat::json;
    const auto terminal = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    if (options.file.empty()) {
        log.targets_.push_back(
            {make_logger(terminal, options.level, json ? json_pattern : terminal_pattern), options.format});
        return log;
    }
    const auto file = std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file);
    log.targets_.push_back(
        {make_logger(file, options.level, json ? json_pattern : file_pattern), options.format});
    log.targets_.push_back(
        {make_logger(terminal, std::max(options.level, LogLevel::warning), terminal_pattern),
         LogFormat::text});
    return log;
} catch (const spdlog::spdlog_ex& error) {
    return fail(fmt::format("cannot write --log-file to {}", options.file), error.what(),
                "Name a file in a folder that exists and can be written to.");
}

void Log::write(LogLevel level, std::string_view text, Fields fields) const {
    for (const Target& target : targets_)
        if (const auto value = spdlog_level(level); target.logger->should_log(value))
            target.logger->log(
                value, spdlog::string_view_t(target.format == LogFormat::json ? as_json(text, fields)
                                                                              : as_text(text, fields)));
}

}  // namespace exo::vmm
