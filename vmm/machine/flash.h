#pragma once

#include <span>

#include "vmm/base/io_handler.h"

namespace exo::vmm {

/// Flash that cannot be written: the guest reads it as memory, and what it writes comes here and is dropped.
/// OVMF probes its variable store by a write, finds read-only memory, and keeps its variables in RAM.
class ReadOnlyFlash final : public IoHandler {
  public:
    /// @param image  outlives the machine
    explicit ReadOnlyFlash(std::span<const std::byte> image) : image_(image) {}

    void read(std::uint64_t offset, std::span<std::byte> data) override;
    void write(std::uint64_t, std::span<const std::byte>) override {}

  private:
    std::span<const std::byte> image_;
};

}  // namespace exo::vmm
