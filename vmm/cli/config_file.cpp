#include "vmm/cli/config_file.h"

#include <toml++/toml.h>

#include <algorithm>

namespace exo::vmm {
namespace {

constexpr char kinds[] = "a value is a string, a whole number, or a list of strings";

/// The value in the words of the command line; nothing when it is of no kind that an option takes.
bool append_value(const toml::node& node, std::vector<std::string>& values) {
    if (const auto* const text = node.as_string()) {
        values.push_back(text->get());
        return true;
    }
    if (const auto* const number = node.as_integer()) {
        values.push_back(std::to_string(number->get()));
        return true;
    }
    return false;
}

bool append_list(const toml::array& list, std::vector<std::string>& values) {
    for (const toml::node& element : list)
        if (!element.is_string() || !append_value(element, values)) return false;
    return true;
}

unsigned line_of(const toml::source_region& place) {
    return static_cast<unsigned>(place.begin.line);
}

}  // namespace

Error config_error(const std::string& path, unsigned line, std::string why) {
    const std::string where = line == 0 ? path : fmt::format("{}:{}", path, line);
    return {fmt::format("cannot use --config {}", where), std::move(why),
            "See vmm run --help for the options."};
}

Result<std::vector<ConfigEntry>> read_config(const std::string& path) {
    const auto parsed = toml::parse_file(path);
    if (!parsed)
        return std::unexpected(
            config_error(path, line_of(parsed.error().source()), std::string(parsed.error().description())));
    std::vector<ConfigEntry> entries;
    for (const auto& [key, node] : parsed.table()) {
        ConfigEntry entry{.key = std::string(key.str()), .values = {}, .line = line_of(key.source())};
        const auto* const list = node.as_array();
        entry.list = list != nullptr;
        if (!(list ? append_list(*list, entry.values) : append_value(node, entry.values)))
            return std::unexpected(
                config_error(path, entry.line, fmt::format("'{}' is of another kind: {}", entry.key, kinds)));
        entries.push_back(std::move(entry));
    }
    std::ranges::sort(entries, {}, &ConfigEntry::line);
    return entries;
}

}  // namespace exo::vmm
