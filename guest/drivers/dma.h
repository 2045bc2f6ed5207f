#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "guest/kernel/error.h"

namespace exo::guest {

/// A piece of memory that the processor and a device both reach: the same bytes by a pointer and by a
/// guest-physical address. It owns nothing.
struct DmaSpan {
    std::byte* data = nullptr;
    std::uint64_t physical = 0;
    std::size_t size = 0;

    std::span<std::byte> bytes() const { return {data, size}; }
    /// The part of `length` bytes from `offset` on; both lie inside the span.
    DmaSpan subspan(std::size_t offset, std::size_t length) const {
        return {data + offset, physical + offset, length};
    }
};

/// Where memory for devices comes from: the frame allocator in the kernel, plain memory with made-up
/// addresses in hosted tests. Outlives every buffer taken from it.
class DmaMemory {
  public:
    virtual ~DmaMemory() = default;
    /// At least `size` bytes: zeroed, page-aligned, physically contiguous.
    virtual Result<DmaSpan> allocate(std::size_t size) = 0;
    virtual void release(const DmaSpan& span) = 0;
};

/// Owns memory for devices and gives it back.
class DmaBuffer {
  public:
    DmaBuffer() = default;
    DmaBuffer(DmaMemory& memory, const DmaSpan& span) : memory_(&memory), span_(span) {}
    DmaBuffer(DmaBuffer&& other) noexcept
        : memory_(std::exchange(other.memory_, nullptr)), span_(std::exchange(other.span_, {})) {}
    DmaBuffer& operator=(DmaBuffer&& other) noexcept {
        std::swap(memory_, other.memory_);
        std::swap(span_, other.span_);
        return *this;
    }
    DmaBuffer(const DmaBuffer&) = delete;
    DmaBuffer& operator=(const DmaBuffer&) = delete;
    ~DmaBuffer() {
        if (memory_ != nullptr) memory_->release(span_);
    }

    static Result<DmaBuffer> allocate(DmaMemory& memory, std::size_t size) {
        const auto span = memory.allocate(size);
        if (!span) return std::unexpected(span.error());
        return DmaBuffer(memory, *span);
    }

    const DmaSpan& span() const { return span_; }
    std::byte* data() const { return span_.data; }
    std::uint64_t physical() const { return span_.physical; }
    std::size_t size() const { return span_.size; }

    /// Gives up ownership without giving the memory back: for memory that a device which cannot be stopped
    /// may still write to.
    void leak() { memory_ = nullptr; }

  private:
    DmaMemory* memory_ = nullptr;
    DmaSpan span_;
};

}  // namespace exo::guest
