#include "guest/kernel/sha256.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "guest/kernel/format.h"

namespace exo::guest {
namespace {

using State = std::array<std::uint32_t, 8>;

/// FIPS 180-4, 4.2.2.
constexpr std::array<std::uint32_t, 64> constants{
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

std::uint32_t load_big_endian(const std::byte* from) {
    std::uint32_t value;
    std::memcpy(&value, from, sizeof value);
    return __builtin_bswap32(value);
}

/// Round `t` of 16 (6.2.2, step 3), on the words of `w`, a window of the message schedule's last 16. The
/// letters stay where they are in `v` and turn their roles by one each round, so unrolled rounds copy
/// nothing.
template <unsigned t>
[[gnu::always_inline]] inline void round(std::uint32_t* v, const std::uint32_t* w, const std::uint32_t* k) {
    const std::uint32_t a = v[(0 - t) & 7], b = v[(1 - t) & 7], c = v[(2 - t) & 7];
    const std::uint32_t e = v[(4 - t) & 7], f = v[(5 - t) & 7], g = v[(6 - t) & 7];
    std::uint32_t& d = v[(3 - t) & 7];
    std::uint32_t& h = v[(7 - t) & 7];
    h += k[t] + w[t] + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) + (g ^ (e & (f ^ g)));
    d += h;
    h += (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) | (c & (a | b)));
}

/// Word `t` of the next 16 of the message schedule (6.2.2, step 1), in the place of the one it comes from.
template <unsigned t>
[[gnu::always_inline]] inline void extend(std::uint32_t* w) {
    const std::uint32_t early = w[(t + 1) & 15];
    const std::uint32_t late = w[(t + 14) & 15];
    w[t] += (std::rotr(early, 7) ^ std::rotr(early, 18) ^ (early >> 3)) + w[(t + 9) & 15] +
            (std::rotr(late, 17) ^ std::rotr(late, 19) ^ (late >> 10));
}

template <unsigned... t>
[[gnu::always_inline]] inline void compress_block(State& state, const std::byte* data,
                                                  std::integer_sequence<unsigned, t...>) {
    std::uint32_t v[8];
    std::uint32_t w[16];
    std::ranges::copy(state, v);
    ((w[t] = load_big_endian(data + 4 * t), round<t>(v, w, constants.data())), ...);
    for (unsigned done = 16; done < 64; done += 16)
        ((extend<t>(w), round<t>(v, w, constants.data() + done)), ...);
    for (unsigned i = 0; i < 8; ++i) state[i] += v[i];
}

void compress(State& state, const std::byte* data, std::size_t blocks) {
    for (; blocks > 0; --blocks, data += 64)
        compress_block(state, data, std::make_integer_sequence<unsigned, 16>());
}

}  // namespace

void Sha256::update(std::span<const std::byte> data) {
    const std::size_t held = size_ % block_size;
    size_ += data.size();
    if (held > 0) {
        const std::size_t taken = std::min(data.size(), block_size - held);
        std::copy_n(data.begin(), taken, partial_.begin() + held);
        data = data.subspan(taken);
        if (held + taken < block_size) return;
        compress(state_, partial_.data(), 1);
    }
    compress(state_, data.data(), data.size() / block_size);
    std::ranges::copy(data.subspan(data.size() / block_size * block_size), partial_.begin());
}

Sha256::Digest Sha256::finish() {
    const std::uint64_t bits = size_ * 8;
    const std::size_t held = size_ % block_size;
    // A one bit, zeros, and the length in bits in the last eight bytes of a block (5.1.1).
    std::array<std::byte, block_size + 8> padding{};
    padding[0] = std::byte{0x80};
    const std::size_t zeros_end = held < 56 ? 56 - held : 120 - held;
    for (unsigned i = 0; i < 8; ++i) padding[zeros_end + i] = static_cast<std::byte>(bits >> (56 - 8 * i));
    update(std::span(padding).first(zeros_end + 8));

    Digest digest;
    for (std::size_t i = 0; i < digest.bytes.size(); ++i)
        digest.bytes[i] = static_cast<std::uint8_t>(state_[i / 4] >> (24 - 8 * (i % 4)));
    *this = Sha256();
    return digest;
}

void format_value(TextSink& sink, const Sha256::Digest& digest) {
    for (const std::uint8_t byte : digest.bytes) format(sink, "{:02x}", byte);
}

}  // namespace exo::guest
