#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "guest/kernel/error.h"

namespace exo::guest {

/// The 256 words that a drive answers to IDENTIFY DEVICE.
using IdeIdentifyData = std::array<std::uint16_t, 256>;

/// What of them matters (AT Attachment 8, ACS, 7.16).
struct IdeIdentity {
    std::uint64_t sectors = 0;           ///< of 512 bytes
    bool lba48 = false;                  ///< 48-bit commands; otherwise sectors fit in 28 bits
    std::uint32_t physical_block = 512;  ///< bytes
    std::uint8_t max_multiple = 1;       ///< sectors that READ MULTIPLE can move at once
    bool has_flush = false;

    std::string_view model() const { return {model_text.data(), model_size}; }
    std::string_view serial() const { return {serial_text.data(), serial_size}; }

    std::array<char, 40> model_text{};
    std::array<char, 20> serial_text{};
    std::uint8_t model_size = 0;
    std::uint8_t serial_size = 0;
};

/// An error for drives that the driver cannot address.
Result<IdeIdentity> parse_identity(const IdeIdentifyData& words);

}  // namespace exo::guest
