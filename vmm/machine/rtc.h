#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>

#include "vmm/base/clock.h"
#include "vmm/base/state_archive.h"
#include "vmm/machine/byte_handler.h"
#include "vmm/machine/layout.h"

namespace exo::vmm {

/// The battery-backed clock and CMOS memory of a PC (Motorola MC146818), in UTC, on ports 0x70 (index) and
/// 0x71 (data). The date follows the wall clock; a guest that sets it changes an offset that ends with the
/// machine. The clock raises no interrupts: its enable bits read back as zero, and ACPI says so.
class Rtc final : public ByteHandler {
  public:
    static constexpr std::uint64_t ports = 2;
    static constexpr std::uint8_t century_register = 0x32;

    Rtc(const Clock& clock, const layout::RamSplit& ram, unsigned cpus);

    /// Saves or loads it; the date goes on with the wall clock. While the guest does not run.
    void exchange_state(StateArchive& archive);

  private:
    /// The time registers as plain numbers, and the century that CMOS keeps beside them.
    struct Fields {
        unsigned second, minute, hour, weekday, day, month, year, century;
    };

    std::uint8_t read_byte(std::uint64_t offset) override;
    void write_byte(std::uint64_t offset, std::uint8_t value) override;

    std::uint8_t read_register();
    void write_register(std::uint8_t value);
    bool update_in_progress() const;
    std::uint8_t read_control_c();
    void write_control_b(std::uint8_t value);

    std::chrono::system_clock::time_point time() const { return clock_.wall() + offset_; }
    Fields fields() const;
    void set(const Fields& fields);
    unsigned* time_field(Fields& fields) const;
    std::uint8_t encode(unsigned value) const;
    unsigned decode(std::uint8_t value) const;
    std::uint8_t encode_hour(unsigned hour) const;
    unsigned decode_hour(std::uint8_t value) const;
    void fill_memory_size(const layout::RamSplit& ram);

    const Clock& clock_;
    std::mutex mutex_;
    std::array<std::uint8_t, 128> memory_{};
    std::uint8_t index_ = 0;
    std::chrono::system_clock::duration offset_{};  ///< what the guest's clock is ahead of the wall clock
    std::optional<Fields> frozen_;                  ///< while the guest sets the time
    std::chrono::system_clock::time_point told_;    ///< when register C last told of a new second
};

}  // namespace exo::vmm
