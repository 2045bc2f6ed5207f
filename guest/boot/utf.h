#pragma once

#include <stddef.h>
#include <stdint.h>

/// UTF-16, as UEFI writes text, to UTF-8, as everyone else does. Pure, and tested on the host.
namespace exo::guest::uefi {

/// Converts up to `length` units, or to the NUL if one comes first. A lone surrogate becomes U+FFFD. Writes
/// no more than `capacity` bytes and no half character. The number of bytes written.
inline size_t utf16_to_utf8(const char16_t* from, size_t length, char* to, size_t capacity) {
    size_t written = 0;
    for (size_t i = 0; i < length && from[i] != 0; ++i) {
        uint32_t code = from[i];
        if (code >= 0xd800 && code < 0xe000) {
            const bool pair =
                code < 0xdc00 && i + 1 < length && from[i + 1] >= 0xdc00 && from[i + 1] < 0xe000;
            code = pair ? 0x10000 + ((code - 0xd800) << 10) + (from[++i] - 0xdc00u) : 0xfffd;
        }
        const size_t bytes = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
        if (bytes > capacity - written) break;
        constexpr uint8_t lead[] = {0, 0x00, 0xc0, 0xe0, 0xf0};
        for (size_t k = bytes; k-- > 1; code >>= 6) to[written + k] = static_cast<char>(0x80 | (code & 0x3f));
        to[written] = static_cast<char>(lead[bytes] | code);
        written += bytes;
    }
    return written;
}

}  // namespace exo::guest::uefi
