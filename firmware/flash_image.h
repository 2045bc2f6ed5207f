#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include "firmware/descriptor.h"
#include "vmm/base/error.h"

namespace exo::firmware {

/// A build's flash as the guest sees it, in memory of its own, page-aligned: the variable store, and the
/// code directly above it. Nothing writes to it, and it does not change when the files do.
class FlashImage {
  public:
    /// Reads and checks the files of `build`.
    static vmm::Result<FlashImage> load(const Build& build);

    FlashImage(FlashImage&& other) noexcept
        : memory_(std::exchange(other.memory_, {})), variables_size_(other.variables_size_) {}
    FlashImage& operator=(FlashImage&&) = delete;
    FlashImage(const FlashImage&) = delete;
    FlashImage& operator=(const FlashImage&) = delete;
    ~FlashImage();

    /// Empty when the build is a combined one: then `code` holds both.
    std::span<std::byte> variables() const { return memory_.first(variables_size_); }
    std::span<std::byte> code() const { return memory_.subspan(variables_size_); }

  private:
    FlashImage(std::span<std::byte> memory, std::size_t variables_size)
        : memory_(memory), variables_size_(variables_size) {}

    std::span<std::byte> memory_;
    std::size_t variables_size_;
};

}  // namespace exo::firmware
