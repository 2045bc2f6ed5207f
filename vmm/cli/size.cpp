#include "vmm/cli/size.h"

#include <array>
#include <charconv>
#include <limits>

namespace exo::vmm {
namespace {

constexpr unsigned mib_shift = 20;

struct Unit {
    char letter;
    unsigned shift;
};
constexpr std::array units = {Unit{'T', 40}, Unit{'G', 30}, Unit{'M', mib_shift}, Unit{'K', 10}};

/// The power of two that the suffix stands for, or -1.
int suffix_shift(std::string_view suffix) {
    if (suffix.empty()) return mib_shift;
    for (const Unit& unit : units) {
        if ((suffix[0] & ~0x20) != unit.letter) continue;
        const std::string_view rest = suffix.substr(1);
        return rest.empty() || rest == "B" || rest == "iB" ? static_cast<int>(unit.shift) : -1;
    }
    return -1;
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
    const auto malformed = fail(fmt::format("'{}' is no size", text), "it is not a whole number with a unit",
                                "Write a number and K, M or G, such as 512M or 2G.");
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} && error != std::errc::result_out_of_range) return malformed;
    const int shift = suffix_shift({end, text.data() + text.size()});
    if (shift < 0) return malformed;
    if (error != std::errc{} || number > std::numeric_limits<std::uint64_t>::max() >> shift)
        return fail(fmt::format("'{}' is no size", text), "it is larger than any machine");
    return number << shift;
}

std::string format_size(std::uint64_t bytes) {
    for (const Unit& unit : units)
        if (bytes != 0 && bytes % (std::uint64_t{1} << unit.shift) == 0)
            return fmt::format("{} {}iB", bytes >> unit.shift, unit.letter);
    return fmt::format("{} bytes", bytes);
}

}  // namespace exo::vmm
