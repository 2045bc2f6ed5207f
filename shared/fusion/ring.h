// Fusion ring: lock-free messages of one cache line between two parties that share memory.
//
//     auto ring = Ring::format(memory, 4096);          // one side
//     Ring::Producer producer(*ring);
//     producer.send(request);
//
//     auto ring = Ring::attach(memory);                // the other side, wherever it has the memory mapped
//     Ring::Consumer consumer(*ring);
//     while (auto message = consumer.recv()) { … }
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>

#include "shared/fusion/consumer.h"
#include "shared/fusion/placement.h"
#include "shared/fusion/producer.h"

namespace exo::fusion {

/// A ring with one producer and one consumer.
template <class Atomics = NativeAtomics>
class BasicRing : public Placement<Atomics> {
  public:
    using Producer = SingleProducer<Atomics>;
    using Consumer = SingleConsumer<Atomics>;

    /// Makes a ring of page-aligned memory of at least ring_bytes(capacity) bytes.
    static std::expected<BasicRing, RingError> format(std::span<std::byte> memory,
                                                      std::uint32_t capacity = default_capacity,
                                                      std::uint32_t first_position = 0) {
        return checked(
            Placement<Atomics>::format(memory, {capacity, Sharing::one, Sharing::one, first_position}));
    }

    /// Takes a ring that the other side has formatted; every field of its header is checked.
    static std::expected<BasicRing, RingError> attach(std::span<std::byte> memory) {
        return checked(Placement<Atomics>::attach(memory));
    }

  private:
    explicit BasicRing(const Placement<Atomics>& placement) : Placement<Atomics>(placement) {}

    static std::expected<BasicRing, RingError> checked(
        const std::expected<Placement<Atomics>, RingError>& placement) {
        if (!placement) return std::unexpected(placement.error());
        const RingShape& shape = placement->shape();
        if (shape.producers != Sharing::one || shape.consumers != Sharing::one)
            return std::unexpected(RingError::wrong_sharing);
        return BasicRing(*placement);
    }
};

using Ring = BasicRing<>;
using Producer = Ring::Producer;
using Consumer = Ring::Consumer;

}  // namespace exo::fusion
