#pragma once

#include <cstdint>
#include <memory>

#include "guest/drivers/adaptive/io_mode.h"
#include "guest/drivers/dma.h"
#include "guest/drivers/interrupt.h"
#include "guest/drivers/registers.h"
#include "guest/drivers/time_source.h"

namespace exo::guest {

/// Makes device memory and ports reachable.
class RegisterSpace {
  public:
    virtual ~RegisterSpace() = default;
    /// Uncached view of `size` bytes of device memory at a guest-physical address.
    virtual Result<std::unique_ptr<Registers>> map_memory(std::uint64_t physical, std::uint64_t size) = 0;
    virtual Result<std::unique_ptr<Registers>> map_ports(std::uint16_t port, std::uint16_t count) = 0;
};

/// Everything that a driver gets from outside. The kernel gives the real ones, tests their own; all of it
/// outlives the driver.
struct DriverServices {
    TimeSource& time;
    DmaMemory& dma;
    InterruptSupply& interrupts;
    RegisterSpace& registers;
    bool adaptive = adaptive_drivers_built;  ///< otherwise drivers wait by interrupt only
};

}  // namespace exo::guest
