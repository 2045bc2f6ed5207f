#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "vmm/base/error.h"

namespace exo::vmm {

/// A 128-bit digest that tells contents apart, at several bytes a cycle: two lanes of 64 × 64-bit
/// multiplications folded to 64 bits, as wyhash has them. It finds damage and names things of the user's own;
/// it stops nobody who wants two contents to have the same digest.
class Digest {
  public:
    /// What is added in pieces differs from the same bytes in other pieces.
    void add(std::span<const std::byte> bytes) {
        mix(bytes.size(), 0);
        for (; bytes.size() >= 16; bytes = bytes.subspan(16)) mix(word(bytes), word(bytes.subspan(8)));
        if (bytes.empty()) return;
        std::byte last[16]{};
        std::memcpy(last, bytes.data(), bytes.size());
        mix(word(last), word(std::span(last).subspan(8)));
    }
    void add(std::string_view text) { add(std::as_bytes(std::span(text))); }
    void add(std::uint64_t value) { mix(value, ~value); }

    std::uint64_t low() const { return fold(low_ ^ key_c, high_ ^ key_a); }
    std::uint64_t high() const { return fold(high_ ^ key_c, low_ ^ key_b); }
    std::string hex() const { return fmt::format("{:016x}{:016x}", high(), low()); }

  private:
    static constexpr std::uint64_t key_a = 0xa076'1d64'78bd'642f;
    static constexpr std::uint64_t key_b = 0xe703'7ed1'a0b4'28db;
    static constexpr std::uint64_t key_c = 0x8ebc'6af0'9c88'c6e3;

    static std::uint64_t word(std::span<const std::byte> bytes) {
        std::uint64_t value = 0;
        std::memcpy(&value, bytes.data(), sizeof(value));
        return value;
    }
    static std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
        __extension__ using Wide = unsigned __int128;
        const Wide product = Wide{a} * b;
        return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
    }
    void mix(std::uint64_t a, std::uint64_t b) {
        low_ = fold(low_ ^ a ^ key_a, b ^ key_b) + a;
        high_ = fold(high_ ^ b ^ key_b, a ^ key_c) + b;
    }

    std::uint64_t low_ = key_b;
    std::uint64_t high_ = key_c;
};

}  // namespace exo::vmm
