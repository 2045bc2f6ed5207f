#include "vmm/cli/process_memory.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string>

namespace exo::vmm {
namespace {

bool parse_hex(std::string_view text, std::uint64_t& value) {
    return std::from_chars(text.data(), text.data() + text.size(), value, 16).ec == std::errc{};
}

/// Whether the line starts a mapping ("start-end perms …"); then its range.
bool is_mapping(std::string_view line, std::uint64_t& start, std::uint64_t& end) {
    const std::size_t dash = line.find('-');
    const std::size_t space = line.find(' ');
    return dash != std::string_view::npos && space != std::string_view::npos && dash < space &&
           parse_hex(line.substr(0, dash), start) && parse_hex(line.substr(dash + 1, space - dash - 1), end);
}

bool overlaps(std::span<const std::byte> memory, std::uint64_t start, std::uint64_t end) {
    const auto first = reinterpret_cast<std::uintptr_t>(memory.data());
    return first < end && start < first + memory.size();
}

std::uint64_t kib_of(std::string_view line) {
    const std::size_t digit = line.find_first_of("0123456789", line.find(':'));
    std::uint64_t value = 0;
    if (digit != std::string_view::npos)
        std::from_chars(line.data() + digit, line.data() + line.size(), value);
    return value;
}

}  // namespace

std::uint64_t private_kib(std::string_view smaps, std::span<const std::span<const std::byte>> excluded) {
    std::uint64_t sum = 0;
    bool counted = false;
    while (!smaps.empty()) {
        const std::size_t length = std::min(smaps.find('\n'), smaps.size());
        const std::string_view line = smaps.substr(0, length);
        smaps.remove_prefix(std::min(length + 1, smaps.size()));
        std::uint64_t start = 0;
        std::uint64_t end = 0;
        if (is_mapping(line, start, end))
            counted =
                std::ranges::none_of(excluded, [=](auto memory) { return overlaps(memory, start, end); });
        else if (counted && line.starts_with("Private_") && !line.starts_with("Private_Hugetlb"))
            sum += kib_of(line);
    }
    return sum;
}

std::uint64_t own_private_kib(std::span<const std::span<const std::byte>> excluded) {
    std::ostringstream text;
    text << std::ifstream("/proc/self/smaps").rdbuf();
    return private_kib(text.view(), excluded);
}

}  // namespace exo::vmm
