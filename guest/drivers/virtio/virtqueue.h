#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "guest/drivers/dma.h"
#include "guest/kernel/error.h"

namespace exo::guest {

/// A split virtqueue as the driver sees it (Virtual I/O Device 1.2, 2.7). It keeps its own record of what it
/// gave to the device, so that nothing the device writes can lead it astray: a used element is checked
/// against that record, and the descriptor table is never read back.
class Virtqueue {
  public:
    static constexpr std::uint16_t max_size = 256;

    /// One buffer of a chain. Those that the device writes come after those that it reads.
    struct Element {
        std::uint64_t physical;
        std::uint32_t length;
        bool device_writes;
    };
    /// A chain that came back: what `push` called it, and how many bytes the device says it wrote.
    struct Used {
        std::uint16_t head;
        std::uint32_t written;
    };

    /// `size` is a power of two up to `max_size`. `event_index`: VIRTIO_F_EVENT_IDX was negotiated.
    /// `indirect`: VIRTIO_F_INDIRECT_DESC was, and so many elements at most may take one descriptor by a
    /// table of their own; 0 for none.
    static Result<Virtqueue> create(DmaMemory& memory, std::uint16_t size, bool event_index,
                                    std::uint16_t indirect = 0);

    /// Empties it, as the device does on a reset. No chain may still be in the device's hands.
    void reset();

    std::uint64_t descriptor_area() const { return memory_.physical(); }
    std::uint64_t driver_area() const { return memory_.physical() + avail_offset(); }
    std::uint64_t device_area() const { return memory_.physical() + used_offset(); }
    std::uint16_t size() const { return size_; }
    std::uint16_t free_descriptors() const { return free_count_; }
    /// How many free descriptors a chain of so many elements takes.
    std::size_t descriptors_for(std::size_t elements) const {
        return elements > 1 && elements <= indirect_ ? 1 : elements;
    }

    /// What the next `push` will name its chain. Only when there is a free descriptor.
    std::uint16_t next_head() const { return free_head_; }
    /// Prepares a chain and names it by a number below `size()`; nothing when there are not enough free
    /// descriptors. The device does not see it before `publish`.
    std::optional<std::uint16_t> push(std::span<const Element> elements);
    /// Shows the device what was pushed. True when it wants to be notified.
    bool publish();

    /// The next chain that came back, nothing when there is none, an error when the device reports what it
    /// was never given. After an error only a reset helps.
    Result<std::optional<Used>> pop();

    /// Asks for an interrupt once `chains` more have come back, at least one and no more than are out;
    /// without event indices the first one interrupts. False when any has come back already, which may go
    /// without.
    bool enable_interrupts(std::uint16_t chains = 1);
    void disable_interrupts();

  private:
    Virtqueue(DmaBuffer memory, DmaBuffer tables, std::uint16_t size, bool event_index,
              std::uint16_t indirect);
    std::uint16_t push_direct(std::span<const Element> elements);
    std::uint16_t push_indirect(std::span<const Element> elements);

    std::size_t avail_offset() const { return std::size_t{16} * size_; }
    std::size_t used_offset() const;
    std::uint16_t& avail_flags() const { return word(avail_offset()); }
    std::uint16_t& avail_index() const { return word(avail_offset() + 2); }
    std::uint16_t& avail_entry(std::uint16_t i) const {
        return word(avail_offset() + 4 + std::size_t{2} * i);
    }
    std::uint16_t& used_event() const { return avail_entry(size_); }
    std::uint16_t& used_flags() const { return word(used_offset()); }
    std::uint16_t& used_index() const { return word(used_offset() + 2); }
    std::uint16_t& avail_event() const { return word(used_offset() + 4 + std::size_t{8} * size_); }
    std::uint16_t& word(std::size_t offset) const;

    DmaBuffer memory_;
    DmaBuffer tables_;  ///< of `indirect_` descriptors for each descriptor of the queue
    std::uint16_t size_;
    bool event_index_;
    std::uint16_t indirect_;
    std::uint16_t free_count_ = 0;
    std::uint16_t free_head_ = 0;
    std::uint16_t next_avail_ = 0;  ///< the index to publish
    std::uint16_t published_ = 0;   ///< the index the device has seen
    std::uint16_t last_used_ = 0;   ///< used elements taken so far
    std::uint16_t chains_in_device_ = 0;
    std::array<std::uint16_t, max_size> next_{};  ///< of a descriptor in its chain or in the free list
    std::array<std::uint16_t, max_size> chain_length_{};  ///< of the chain that starts here; 0: none does
};

}  // namespace exo::guest
