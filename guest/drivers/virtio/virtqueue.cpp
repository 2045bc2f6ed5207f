#include "guest/drivers/virtio/virtqueue.h"

#include <atomic>
#include <bit>
#include <cstring>

#include "guest/drivers/virtio/virtio_abi.h"

namespace exo::guest {
namespace {

using namespace virtio;

constexpr std::uint16_t avail_no_interrupt = 1;
constexpr std::uint16_t used_no_notify = 1;

void put_descriptor(std::byte* to, const Virtqueue::Element& element, std::uint16_t next, bool last) {
    const auto flags =
        static_cast<std::uint16_t>((element.device_writes ? flag_write : 0) | (last ? 0 : flag_next));
    const Descriptor descriptor{element.physical, element.length, flags, last ? std::uint16_t{0} : next};
    std::memcpy(to, &descriptor, sizeof descriptor);
}

/// One entry of the used ring (2.7.8).
struct UsedElement {
    std::uint32_t id;
    std::uint32_t length;
};
static_assert(sizeof(UsedElement) == 8);

std::uint16_t load(std::uint16_t& word, std::memory_order order) {
    return std::atomic_ref(word).load(order);
}
void store(std::uint16_t& word, std::uint16_t value, std::memory_order order) {
    std::atomic_ref(word).store(value, order);
}

std::size_t used_ring_offset(std::uint16_t size) {
    const std::size_t avail_end = std::size_t{16} * size + 4 + std::size_t{2} * size + 2;
    return (avail_end + 3) & ~std::size_t{3};
}

/// True when an index that moved from `before` to `now` passed `event` (2.7.10).
bool passed(std::uint16_t event, std::uint16_t now, std::uint16_t before) {
    return static_cast<std::uint16_t>(now - event - 1) < static_cast<std::uint16_t>(now - before);
}

}  // namespace

Result<Virtqueue> Virtqueue::create(DmaMemory& memory, std::uint16_t size, bool event_index,
                                    std::uint16_t indirect) {
    if (!std::has_single_bit(size) || size > max_size)
        return fail("cannot set up a virtqueue", "its size is not a power of two that the driver supports");
    auto buffer = DmaBuffer::allocate(memory, used_ring_offset(size) + 4 + std::size_t{8} * size + 2);
    if (!buffer) return std::unexpected(buffer.error());
    DmaBuffer tables;
    if (indirect > 0) {
        auto allocated = DmaBuffer::allocate(memory, std::size_t{size} * indirect * sizeof(Descriptor));
        if (!allocated) return std::unexpected(allocated.error());
        tables = std::move(*allocated);
    }
    return Virtqueue(std::move(*buffer), std::move(tables), size, event_index, indirect);
}

Virtqueue::Virtqueue(DmaBuffer memory, DmaBuffer tables, std::uint16_t size, bool event_index,
                     std::uint16_t indirect)
    : memory_(std::move(memory)),
      tables_(std::move(tables)),
      size_(size),
      event_index_(event_index),
      indirect_(indirect) {
    reset();
}

void Virtqueue::reset() {
    std::memset(memory_.data(), 0, memory_.size());
    free_count_ = size_;
    free_head_ = 0;
    next_avail_ = published_ = last_used_ = chains_in_device_ = 0;
    chain_length_.fill(0);
    for (std::uint16_t i = 0; i < size_; ++i) next_[i] = static_cast<std::uint16_t>(i + 1);
    disable_interrupts();
}

std::size_t Virtqueue::used_offset() const {
    return used_ring_offset(size_);
}

std::uint16_t& Virtqueue::word(std::size_t offset) const {
    return *reinterpret_cast<std::uint16_t*>(memory_.data() + offset);
}

std::optional<std::uint16_t> Virtqueue::push(std::span<const Element> elements) {
    const std::size_t needed = descriptors_for(elements.size());
    if (needed == 0 || needed > free_count_) return std::nullopt;
    const std::uint16_t head = free_head_;
    free_head_ = needed < elements.size() ? push_indirect(elements) : push_direct(elements);
    free_count_ = static_cast<std::uint16_t>(free_count_ - needed);
    chain_length_[head] = static_cast<std::uint16_t>(needed);
    store(avail_entry(next_avail_ & (size_ - 1)), head, std::memory_order_relaxed);
    ++next_avail_;
    ++chains_in_device_;
    return head;
}

/// A chain from the first free descriptor on. Returns the first that is left.
std::uint16_t Virtqueue::push_direct(std::span<const Element> elements) {
    std::uint16_t at = free_head_;
    for (std::size_t i = 0; i < elements.size(); ++i) {
        const bool last = i + 1 == elements.size();
        const std::uint16_t next = last ? std::uint16_t{0} : next_[at];
        put_descriptor(memory_.data() + sizeof(Descriptor) * at, elements[i], next, last);
        at = next_[at];
    }
    return at;
}

/// A table, and the first free descriptor to name it (2.7.5.3). Returns the next free one.
std::uint16_t Virtqueue::push_indirect(std::span<const Element> elements) {
    const std::size_t offset = std::size_t{free_head_} * indirect_ * sizeof(Descriptor);
    for (std::size_t i = 0; i < elements.size(); ++i)
        put_descriptor(tables_.data() + offset + i * sizeof(Descriptor), elements[i],
                       static_cast<std::uint16_t>(i + 1), i + 1 == elements.size());
    const Descriptor table{tables_.physical() + offset,
                           static_cast<std::uint32_t>(elements.size() * sizeof(Descriptor)), flag_indirect,
                           0};
    std::memcpy(memory_.data() + sizeof(Descriptor) * free_head_, &table, sizeof table);
    return next_[free_head_];
}

bool Virtqueue::publish() {
    const std::uint16_t before = published_;
    published_ = next_avail_;
    // The store must be visible before the device's wish is read, or both sides could miss each other.
    store(avail_index(), next_avail_, std::memory_order_seq_cst);
    if (event_index_) return passed(load(avail_event(), std::memory_order_seq_cst), published_, before);
    return (load(used_flags(), std::memory_order_seq_cst) & used_no_notify) == 0;
}

Result<std::optional<Virtqueue::Used>> Virtqueue::pop() {
    constexpr std::string_view what = "cannot go on with a virtqueue";
    const std::uint16_t used = load(used_index(), std::memory_order_acquire);
    const auto pending = static_cast<std::uint16_t>(used - last_used_);
    if (pending == 0) return std::nullopt;
    if (pending > chains_in_device_)
        return fail(what, "the device says that it used more buffers than it was given");
    UsedElement element;
    std::memcpy(&element, memory_.data() + used_offset() + 4 + std::size_t{8} * (last_used_ & (size_ - 1)),
                sizeof element);
    if (element.id >= size_ || chain_length_[element.id] == 0)
        return fail(what, "the device gave back a buffer that it did not have");
    const auto head = static_cast<std::uint16_t>(element.id);
    std::uint16_t tail = head;
    for (std::uint16_t i = 1; i < chain_length_[head]; ++i) tail = next_[tail];
    next_[tail] = free_head_;
    free_head_ = head;
    free_count_ = static_cast<std::uint16_t>(free_count_ + chain_length_[head]);
    chain_length_[head] = 0;
    ++last_used_;
    --chains_in_device_;
    return Used{head, element.length};
}

bool Virtqueue::enable_interrupts(std::uint16_t chains) {
    // Ask first, look second: what comes back between the two is either seen here or interrupts.
    if (event_index_)
        store(used_event(), static_cast<std::uint16_t>(last_used_ + chains - 1), std::memory_order_seq_cst);
    else
        store(avail_flags(), 0, std::memory_order_seq_cst);
    return load(used_index(), std::memory_order_seq_cst) == last_used_;
}

void Virtqueue::disable_interrupts() {
    // With event indices the flag is ignored; an index that was just passed is the farthest away.
    if (event_index_)
        store(used_event(), static_cast<std::uint16_t>(last_used_ - 1), std::memory_order_relaxed);
    else
        store(avail_flags(), avail_no_interrupt, std::memory_order_relaxed);
}

}  // namespace exo::guest
