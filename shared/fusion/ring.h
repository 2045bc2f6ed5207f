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
#include "shared/fusion/many_consumer.h"
#include "shared/fusion/placement.h"
#include "shared/fusion/producer.h"

namespace exo::fusion {

/// How many producers and consumers a ring has is part of its type and of its header: a ring is never shared
/// by accident.
template <template <class> class Claim, template <class> class ConsumerEnd, class Atomics = NativeAtomics>
class BasicRing : public Placement<Atomics> {
  public:
    using Producer = BasicProducer<Claim, Atomics>;
    using Consumer = ConsumerEnd<Atomics>;

    /// Makes a ring of page-aligned memory of at least ring_bytes(capacity) bytes.
    static std::expected<BasicRing, RingError> format(std::span<std::byte> memory,
                                                      std::uint32_t capacity = default_capacity,
                                                      std::uint32_t first_position = 0) {
        return checked(Placement<Atomics>::format(
            memory, {capacity, Producer::sharing, Consumer::sharing, first_position}));
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
        if (shape.producers != Producer::sharing || shape.consumers != Consumer::sharing)
            return std::unexpected(RingError::wrong_sharing);
        return BasicRing(*placement);
    }
};

/// One producer, one consumer: the default, and the only kind whose consumer does not trust its producer.
using Ring = BasicRing<SingleProducerClaim, SingleConsumer>;
using Producer = Ring::Producer;
using Consumer = Ring::Consumer;

/// Many producers, or many consumers, or both, all within one domain of trust.
using ManyProducerRing = BasicRing<ManyProducerClaim, SingleConsumer>;
using ManyConsumerRing = BasicRing<SingleProducerClaim, ManyConsumer>;
using ManyToManyRing = BasicRing<ManyProducerClaim, ManyConsumer>;

}  // namespace exo::fusion
