#pragma once

#include <cstdint>

#include "shared/fusion/ring.h"

namespace exo::guest {

/// How many ends a channel has on each side. One to one is the default; its ends can only be moved. Where
/// there may be many, ends can be copied.
struct OneToOne {
    static constexpr bool many_senders = false;
    static constexpr bool many_receivers = false;
    template <class Atomics>
    using Ring = fusion::BasicRing<fusion::SingleProducerClaim, fusion::SingleConsumer, Atomics>;
};
struct ManyToOne {
    static constexpr bool many_senders = true;
    static constexpr bool many_receivers = false;
    template <class Atomics>
    using Ring = fusion::BasicRing<fusion::ManyProducerClaim, fusion::SingleConsumer, Atomics>;
};
struct OneToMany {
    static constexpr bool many_senders = false;
    static constexpr bool many_receivers = true;
    template <class Atomics>
    using Ring = fusion::BasicRing<fusion::SingleProducerClaim, fusion::ManyConsumer, Atomics>;
};
struct ManyToMany {
    static constexpr bool many_senders = true;
    static constexpr bool many_receivers = true;
    template <class Atomics>
    using Ring = fusion::BasicRing<fusion::ManyProducerClaim, fusion::ManyConsumer, Atomics>;
};

/// A deadline that lets an operation try, but never wait.
inline constexpr std::uint64_t no_wait = 0;

}  // namespace exo::guest
