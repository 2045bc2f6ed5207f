// Memory to put rings and pools into, and a ring with both of its ends for tests that need nothing else.
#pragma once

#include <cstdlib>
#include <memory>
#include <new>
#include <span>

#include "shared/fusion/ring.h"

namespace exo::fusion::test {

/// Page-aligned, filled with junk, freed at the end.
class RingMemory {
  public:
    explicit RingMemory(std::size_t bytes) : size_((bytes + 4095) / 4096 * 4096), bytes_(allocate(size_)) {
        std::fill_n(bytes_.get(), size_, std::byte{0xa5});
    }

    std::span<std::byte> span() const { return {bytes_.get(), size_}; }

  private:
    struct Free {
        void operator()(std::byte* bytes) const { std::free(bytes); }
    };
    static std::byte* allocate(std::size_t bytes) {
        void* memory = std::aligned_alloc(4096, bytes);
        if (memory == nullptr) throw std::bad_alloc();
        return static_cast<std::byte*>(memory);
    }

    std::size_t size_;
    std::unique_ptr<std::byte, Free> bytes_;
};

/// One side formats, the other attaches, as in real use.
template <class RingType>
class Channel {
  public:
    explicit Channel(std::uint32_t capacity, std::uint32_t first_position = 0)
        : memory_(ring_bytes(capacity)),
          ring(RingType::format(memory_.span(), capacity, first_position).value()),
          producer(ring),
          consumer(RingType::attach(memory_.span()).value()) {}

  private:
    RingMemory memory_;

  public:
    RingType ring;
    typename RingType::Producer producer;
    typename RingType::Consumer consumer;
};

/// A payload of a full slot whose every word tells its number, so that torn or stale copies show.
struct Full {
    std::uint64_t word[7];

    static Full of(std::uint64_t number) {
        Full full;
        for (std::uint64_t i = 0; i < 7; ++i) full.word[i] = number * 0x9e37'79b9'7f4a'7c15 + i;
        return full;
    }
    bool operator==(const Full&) const = default;
};
static_assert(sizeof(Full) == payload_size);

}  // namespace exo::fusion::test
