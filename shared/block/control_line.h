#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "shared/block/protocol.h"
#include "shared/fusion/native_atomics.h"
#include "shared/fusion/ring_header.h"

namespace exo::block {

/// DriverControl or DeviceControl as the words of the line that carries it.
template <class Control>
struct ControlWords {
    std::uint64_t words[7];
    static_assert(sizeof(Control) == sizeof(words));
};

/// Writes what differs from the last time. Word by word without order among them: each field is a hint of its
/// own, and none is worth a fence.
template <class Control, class Atomics = fusion::NativeAtomics>
void publish_control(fusion::WakeLine& line, const Control& control) {
    const auto from = std::bit_cast<ControlWords<Control>>(control);
    for (std::size_t i = 0; i < std::size(from.words); ++i) {
        if (Atomics::load_relaxed(line.application[i]) != from.words[i])
            Atomics::store_relaxed(line.application[i], from.words[i]);
    }
}

/// A private copy of what the other side publishes. Its owner may lie.
template <class Control, class Atomics = fusion::NativeAtomics>
Control read_control(const fusion::WakeLine& line) {
    ControlWords<Control> copy{};
    for (std::size_t i = 0; i < std::size(copy.words); ++i)
        copy.words[i] = Atomics::load_relaxed(line.application[i]);
    return std::bit_cast<Control>(copy);
}

}  // namespace exo::block
