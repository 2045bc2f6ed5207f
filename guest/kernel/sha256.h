#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/kernel/text_sink.h"

namespace exo::guest {

/// SHA-256 (FIPS 180-4), in general registers alone.
class Sha256 {
  public:
    struct Digest {
        std::array<std::uint8_t, 32> bytes;
        bool operator==(const Digest&) const = default;
    };

    void update(std::span<const std::byte> data);
    /// The digest of everything so far; afterwards the object is as new.
    Digest finish();

    static Digest of(std::span<const std::byte> data) {
        Sha256 sha;
        sha.update(data);
        return sha.finish();
    }

  private:
    static constexpr std::size_t block_size = 64;
    static constexpr std::array<std::uint32_t, 8> initial_state{0x6a09'e667, 0xbb67'ae85, 0x3c6e'f372,
                                                                0xa54f'f53a, 0x510e'527f, 0x9b05'688c,
                                                                0x1f83'd9ab, 0x5be0'cd19};

    std::array<std::uint32_t, 8> state_ = initial_state;
    std::uint64_t size_ = 0;  ///< bytes so far
    std::array<std::byte, block_size> partial_;
};

/// In hexadecimal, as `sha256sum` prints it.
void format_value(TextSink& sink, const Sha256::Digest& digest);

}  // namespace exo::guest
