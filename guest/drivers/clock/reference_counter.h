#pragma once

#include <cstdint>

#include "guest/drivers/registers.h"

namespace exo::guest {

/// A counter of known frequency that other clocks are measured against.
class ReferenceCounter {
  public:
    virtual ~ReferenceCounter() = default;
    virtual std::uint64_t frequency() const = 0;  ///< ticks a second
    /// Ticks modulo `modulus()`. Wraps at most once while it is read repeatedly.
    virtual std::uint64_t read() = 0;
    virtual std::uint64_t modulus() const = 0;
};

/// The ACPI power-management timer (ACPI specification, 4.8.3.3): 3.579545 MHz, 24 bits; the upper 8 of a
/// 32-bit one are ignored, since a measurement is short.
class PmTimer final : public ReferenceCounter {
  public:
    /// `registers` hold the timer's one 32-bit register.
    explicit PmTimer(Registers& registers) : registers_(registers) {}
    std::uint64_t frequency() const override { return 3'579'545; }
    std::uint64_t read() override { return registers_.read32(0) & 0xff'ffff; }
    std::uint64_t modulus() const override { return 0x100'0000; }

  private:
    Registers& registers_;
};

/// Channel 2 of the 8254 timer, which drives nothing but the PC speaker: 1.193182 MHz, 16 bits, counting
/// down.
class PitCounter final : public ReferenceCounter {
  public:
    /// `ports` are all ports of the machine. Starts the channel with the speaker off.
    explicit PitCounter(Registers& ports);
    std::uint64_t frequency() const override { return 1'193'182; }
    std::uint64_t read() override;
    std::uint64_t modulus() const override { return 0x1'0000; }

  private:
    Registers& ports_;
};

}  // namespace exo::guest
