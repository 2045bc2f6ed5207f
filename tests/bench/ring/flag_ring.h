// A ring of the kind of MengRao's SPSC_Queue, written anew from its description: a flag in each slot tells
// the consumer that it is filled, and the producer reads the consumer's index only when its old copy says
// full.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace exo::bench {

template <class Message>
class FlagRing {
  public:
    bool try_push(const Message& message) {
        if (written_ - known_taken_ == capacity) {
            known_taken_ = taken_.load(std::memory_order_acquire);
            if (written_ - known_taken_ == capacity) return false;
        }
        Slot& slot = slots_[written_ % capacity];
        slot.message = message;
        slot.filled.store(true, std::memory_order_release);
        ++written_;
        return true;
    }

    bool try_pop(Message& message) {
        const std::uint32_t taken = taken_.load(std::memory_order_relaxed);
        Slot& slot = slots_[taken % capacity];
        if (!slot.filled.load(std::memory_order_acquire)) return false;
        message = slot.message;
        slot.filled.store(false, std::memory_order_relaxed);
        taken_.store(taken + 1, std::memory_order_release);
        return true;
    }

  private:
    static constexpr std::uint32_t capacity = 4096;
    struct alignas(64) Slot {
        std::atomic<bool> filled = false;
        Message message;
    };

    Slot slots_[capacity];
    alignas(128) std::uint32_t written_ = 0;
    std::uint32_t known_taken_ = 0;
    alignas(128) std::atomic<std::uint32_t> taken_ = 0;
};

}  // namespace exo::bench
