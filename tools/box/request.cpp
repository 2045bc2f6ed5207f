#include "request.h"

#include <cstdlib>
#include <utility>

namespace exo::box {
namespace {

std::pair<std::string, std::string> split(std::string_view text) {
    const auto at = text.find(':');
    if (at == std::string_view::npos) return {std::string(text), {}};
    return {std::string(text.substr(0, at)), std::string(text.substr(at + 1))};
}

bool apply(Request& request, std::string_view key, std::string_view value) {
    if (key == "argument") {
        request.arguments.emplace_back(value);
    } else if (key == "environment") {
        request.environment.emplace_back(value);
    } else if (key == "directory") {
        request.directory = value;
    } else if (key == "writable") {
        auto [tag, path] = split(value);
        request.writable.push_back({std::move(tag), std::move(path)});
    } else if (key == "disk") {
        auto [serial, path] = split(value);
        request.disks.push_back({std::move(serial), std::move(path)});
    } else if (key == "terminal") {
        request.terminal = true;
        request.separate_errors = value == "separate errors";
    } else if (key == "size") {
        const auto [rows, columns] = split(value);
        request.size.ws_row = static_cast<unsigned short>(std::atoi(rows.c_str()));
        request.size.ws_col = static_cast<unsigned short>(std::atoi(columns.c_str()));
    } else {
        return false;
    }
    return true;
}

}  // namespace

std::optional<Request> parse_request(std::string_view text) {
    Request request;
    while (!text.empty()) {
        const auto key_end = text.find('\0');
        if (key_end == std::string_view::npos) return std::nullopt;
        const auto value_end = text.find('\0', key_end + 1);
        if (value_end == std::string_view::npos) return std::nullopt;
        const auto value = text.substr(key_end + 1, value_end - key_end - 1);
        if (!apply(request, text.substr(0, key_end), value)) return std::nullopt;
        text.remove_prefix(value_end + 1);
    }
    if (request.arguments.empty()) return std::nullopt;
    return request;
}

}  // namespace exo::box
