#pragma once

#include <cstdint>

#include "vmm/base/clock.h"
#include "vmm/base/io_handler.h"
#include "vmm/base/state_archive.h"

namespace exo::vmm {

/// The ACPI power management timer (ACPI 6.3, 4.8.3.3): 24 bits at 3.579545 MHz from the start of the
/// machine.
class PmTimer final : public IoHandler {
  public:
    static constexpr std::uint64_t frequency = 3'579'545;  ///< Hz
    static constexpr std::uint32_t mask = 0x00ff'ffff;
    static constexpr std::uint64_t size = 4;

    explicit PmTimer(const Clock& clock) : clock_(clock), start_(clock.now()) {}

    /// Ticks since the start, not wrapped.
    std::uint64_t ticks() const;

    /// Saves or loads the count, which goes on from there. While the guest does not run.
    void exchange_state(StateArchive& archive);

    void read(std::uint64_t offset, std::span<std::byte> data) override;
    void write(std::uint64_t, std::span<const std::byte>) override {}

  private:
    const Clock& clock_;
    std::chrono::nanoseconds start_;
};

}  // namespace exo::vmm
