#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

namespace exo::guest {

/// A deque whose memory is taken once, because the kernel's heap may say no.
template <class T>
class BoundedDeque {
  public:
    BoundedDeque() = default;
    ~BoundedDeque() {
        while (!empty()) static_cast<void>(pop_front());
    }
    BoundedDeque(const BoundedDeque&) = delete;
    BoundedDeque& operator=(const BoundedDeque&) = delete;

    /// False when there is no memory.
    bool reserve(std::uint32_t capacity) {
        places_.reset(new (std::nothrow) Place[capacity]);
        capacity_ = capacity;
        return places_ != nullptr;
    }

    std::uint32_t capacity() const { return capacity_; }
    bool empty() const { return size_ == 0; }
    bool full() const { return size_ == capacity_; }

    /// Not when it is full.
    void push_back(T&& value) {
        const std::uint32_t end = first_ + size_;
        new (places_[end < capacity_ ? end : end - capacity_].bytes) T(std::move(value));
        ++size_;
    }
    /// Not when it is empty.
    T pop_front() {
        T* const front = std::launder(reinterpret_cast<T*>(places_[first_].bytes));
        T value(std::move(*front));
        front->~T();
        first_ = first_ + 1 < capacity_ ? first_ + 1 : 0;
        --size_;
        return value;
    }

  private:
    struct Place {
        alignas(T) std::byte bytes[sizeof(T)];
    };

    std::unique_ptr<Place[]> places_;
    std::uint32_t capacity_ = 0;
    std::uint32_t first_ = 0;
    std::uint32_t size_ = 0;
};

}  // namespace exo::guest
