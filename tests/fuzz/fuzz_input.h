#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>

namespace exo::fuzz {

/// A property that holds whatever the input is.
inline void require(bool holds) {
    if (!holds) __builtin_trap();
}

/// The bytes of an input, taken from the front; zeroes once there are no more.
class Input {
  public:
    Input(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}
    bool empty() const { return left_ == 0; }
    std::span<const std::byte> rest() const { return std::as_bytes(std::span(data_, left_)); }

    template <typename T>
    T take() {
        T value{};
        const auto bytes = take_bytes(sizeof(T));
        if (!bytes.empty()) std::memcpy(&value, bytes.data(), bytes.size());
        return value;
    }
    /// As many as there are.
    std::span<const std::byte> take_bytes(std::size_t count) {
        const auto bytes = rest().first(std::min(count, left_));
        data_ += bytes.size();
        left_ -= bytes.size();
        return bytes;
    }

  private:
    const std::uint8_t* data_;
    std::size_t left_;
};

/// Zeroed pages, exactly as many bytes as asked for, so that AddressSanitizer sees one byte too far.
class Pages {
  public:
    explicit Pages(std::size_t size) : size_(size) {
        void* memory = nullptr;
        if (::posix_memalign(&memory, 4096, size) != 0) std::abort();
        std::memset(memory, 0, size);
        bytes_.reset(static_cast<std::byte*>(memory));
    }
    std::byte* get() const { return bytes_.get(); }
    std::span<std::byte> span() const { return {bytes_.get(), size_}; }

  private:
    struct Free {
        void operator()(std::byte* bytes) const { std::free(bytes); }
    };
    std::unique_ptr<std::byte, Free> bytes_;
    std::size_t size_;
};

}  // namespace exo::fuzz
