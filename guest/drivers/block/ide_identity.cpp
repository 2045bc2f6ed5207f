#include "guest/drivers/block/ide_identity.h"

#include <algorithm>
#include <cstddef>

namespace exo::guest {
namespace {

constexpr std::uint64_t lba28_sectors = std::uint64_t{1} << 28;
constexpr std::uint64_t lba48_sectors = std::uint64_t{1} << 48;
/// More than any drive has ever moved at once, and what a drive's buffer can be asked for.
constexpr std::uint8_t largest_multiple = 128;

/// Words 83 and 106 hold information only when their top two bits are 01.
bool valid(std::uint16_t word) {
    return (word & 0xc000) == 0x4000;
}

/// Texts come two characters a word, the first one on top, padded with blanks. The number of characters.
std::uint8_t copy_text(std::span<const std::uint16_t> words, std::span<char> text) {
    std::size_t size = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const std::uint16_t word = words[i / 2];
        const auto c = static_cast<char>(i % 2 == 0 ? word >> 8 : word & 0xff);
        text[i] = c > ' ' && c <= '~' ? c : ' ';
        if (text[i] != ' ') size = i + 1;
    }
    const auto start = std::ranges::find_if(text.first(size), [](char c) { return c != ' '; });
    const auto lead = start - text.begin();
    std::ranges::copy(text.subspan(static_cast<std::size_t>(lead)), text.begin());
    return static_cast<std::uint8_t>(size - static_cast<std::size_t>(lead));
}

}  // namespace

Result<IdeIdentity> parse_identity(const IdeIdentifyData& words) {
    constexpr std::string_view what = "cannot use an IDE disk";
    IdeIdentity identity;
    if ((words[49] & (1u << 9)) == 0) return fail(what, "it knows no logical block addresses");
    const bool large_sectors = valid(words[106]) && (words[106] & (1u << 12)) != 0;
    if (large_sectors && (words[117] | std::uint32_t{words[118]} << 16) != 256)
        return fail(what, "its sectors are not of 512 bytes");
    if (valid(words[106]) && (words[106] & (1u << 13)) != 0) identity.physical_block <<= words[106] & 15u;

    identity.sectors = words[60] | std::uint64_t{words[61]} << 16;
    identity.lba48 = valid(words[83]) && (words[83] & (1u << 10)) != 0;
    if (identity.lba48) {
        const std::uint64_t wide = words[100] | std::uint64_t{words[101]} << 16 |
                                   std::uint64_t{words[102]} << 32 | std::uint64_t{words[103]} << 48;
        // A small drive may leave the wide count empty.
        if (wide != 0) identity.sectors = wide;
    }
    if (identity.sectors == 0) return fail(what, "it is empty");
    if (identity.sectors > (identity.lba48 ? lba48_sectors : lba28_sectors))
        return fail(what, "it claims more sectors than its commands can address");

    identity.has_flush = valid(words[83]) && (words[83] & (3u << 12)) != 0;
    identity.max_multiple =
        static_cast<std::uint8_t>(std::clamp<unsigned>(words[47] & 0xffu, 1, largest_multiple));
    identity.model_size = copy_text(std::span(words).subspan(27, 20), identity.model_text);
    identity.serial_size = copy_text(std::span(words).subspan(10, 10), identity.serial_text);
    return identity;
}

}  // namespace exo::guest
