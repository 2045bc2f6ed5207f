// Where a ring lies in this address space. The other side may have the same memory mapped elsewhere:
// nothing in shared memory is an address.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <iterator>
#include <span>

#include "shared/fusion/error.h"
#include "shared/fusion/native_atomics.h"
#include "shared/fusion/ring_header.h"
#include "shared/fusion/slot.h"

namespace exo::fusion {

/// Bytes of memory that a ring of `capacity` slots needs: the header page and the slots.
constexpr std::size_t ring_bytes(std::uint32_t capacity) {
    return sizeof(RingHeader) + std::size_t{capacity} * slot_size;
}

constexpr bool is_valid_capacity(std::uint32_t capacity) {
    return capacity >= min_capacity && capacity <= max_capacity && (capacity & (capacity - 1)) == 0;
}

/// What a ring is: fixed by format(), checked by attach().
struct RingShape {
    std::uint32_t capacity = default_capacity;
    Sharing producers = Sharing::one;
    Sharing consumers = Sharing::one;
    std::uint32_t first_position = 0;
};

/// A view, cheap to copy; it does not own the memory, which must outlive it and every endpoint made of it.
/// Capacity and positions are private copies: the other side cannot change them afterwards.
template <class Atomics = NativeAtomics>
class Placement {
  public:
    /// Makes a ring of the memory. Only while nobody is attached: the first side formats, then tells the
    /// other.
    static std::expected<Placement, RingError> format(std::span<std::byte> memory, RingShape shape) {
        if (auto error = check_memory(memory, shape.capacity); !error) return std::unexpected(error.error());
        const Placement placement(memory.data(), shape);
        placement.write_slots();
        placement.write_header();
        return placement;
    }

    /// Takes a ring that the other side has formatted, of whatever shape it says; the header is not believed.
    static std::expected<Placement, RingError> attach(std::span<std::byte> memory) {
        if (auto error = check_memory(memory, min_capacity); !error) return std::unexpected(error.error());
        const RingIdentity identity = read_identity(memory.data());
        if (identity.magic != ring_magic) return std::unexpected(RingError::bad_magic);
        if (identity.version != abi_version) return std::unexpected(RingError::wrong_version);
        if (identity.slot_bytes != slot_size) return std::unexpected(RingError::wrong_slot_size);
        if (!is_sharing(identity.producers) || !is_sharing(identity.consumers))
            return std::unexpected(RingError::wrong_sharing);
        if (auto error = check_memory(memory, identity.capacity); !error)
            return std::unexpected(error.error());
        return Placement(memory.data(), {identity.capacity, identity.producers, identity.consumers,
                                         identity.first_position});
    }

    const RingShape& shape() const { return shape_; }
    std::uint32_t capacity() const { return mask_ + 1; }
    RingHeader& header() const {
        return *reinterpret_cast<RingHeader*>(reinterpret_cast<std::byte*>(slots_) - sizeof(RingHeader));
    }
    Slot& slot(std::uint32_t position) const { return slots_[position & mask_]; }

  private:
    Placement(std::byte* base, RingShape shape)
        : slots_(reinterpret_cast<Slot*>(base + sizeof(RingHeader))),
          mask_(shape.capacity - 1),
          shape_(shape) {}

    /// One atomic load a word: what is checked is what is used, whatever the other side writes meanwhile.
    static RingIdentity read_identity(const std::byte* base) {
        struct Words {
            std::uint64_t word[sizeof(RingIdentity) / sizeof(std::uint64_t)];
        } copy;
        const auto* words = reinterpret_cast<const std::uint64_t*>(base);
        for (std::size_t i = 0; i < std::size(copy.word); ++i) copy.word[i] = Atomics::load_acquire(words[i]);
        return std::bit_cast<RingIdentity>(copy);
    }

    static bool is_sharing(Sharing sharing) { return sharing == Sharing::one || sharing == Sharing::many; }

    static std::expected<void, RingError> check_memory(std::span<std::byte> memory, std::uint32_t capacity) {
        if (!is_valid_capacity(capacity)) return std::unexpected(RingError::bad_capacity);
        if (reinterpret_cast<std::uintptr_t>(memory.data()) % alignof(RingHeader) != 0)
            return std::unexpected(RingError::misaligned);
        if (memory.size() < ring_bytes(capacity)) return std::unexpected(RingError::too_small);
        return {};
    }

    void write_slots() const {
        for (std::uint32_t i = 0; i < shape_.capacity; ++i) {
            const std::uint32_t position = shape_.first_position + i;
            Atomics::store_relaxed(slot(position).header, SlotHeader{position, Kind::none, 0, 0}.to_word());
        }
    }

    void write_header() const {
        RingHeader& page = header();
        page.identity = RingIdentity{.magic = 0,
                                     .version = abi_version,
                                     .slot_bytes = slot_size,
                                     .capacity = shape_.capacity,
                                     .first_position = shape_.first_position,
                                     .producers = shape_.producers,
                                     .consumers = shape_.consumers,
                                     .reserved = {}};
        Atomics::store_relaxed(page.producer.claimed, std::uint64_t{shape_.first_position});
        Atomics::store_relaxed(page.producer.published, shape_.first_position);
        Atomics::store_relaxed(page.consumer.claimed, std::uint64_t{shape_.first_position});
        Atomics::store_relaxed(page.consumer.released, shape_.first_position);
        Atomics::store_relaxed(page.consumer_wake.word, std::uint64_t{0});
        Atomics::store_relaxed(page.producer_wake.word, std::uint64_t{0});
        Atomics::store_release(page.identity.magic, ring_magic);  // last: whoever sees it sees a whole ring
    }

    Slot* slots_;
    std::uint32_t mask_;
    RingShape shape_;
};

}  // namespace exo::fusion
