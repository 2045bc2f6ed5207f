#pragma once

#include <cstdint>
#include <istream>
#include <string>
#include <vector>

#include "tests/unit/machine/fakes.h"
#include "vmm/machine/io_trace.h"

namespace exo::vmm::test {

/// Drives fresh models with the accesses of a recorded boot and compares what they answer. Not compared,
/// because they are not the models' own:
/// - time: the RTC's time registers and its registers A and C;
/// - what fw_cfg hands over from outside: the bytes (not the lengths) of kernel, initrd, command line and
/// ACPI files. The replay ends where the firmware hands over to the loader (its mark on the phase port): what
/// follows is the guest's driver on a device that is not part of the platform.
class TraceReplay {
  public:
    struct Outcome {
        std::uint64_t accesses = 0;
        std::uint64_t compared = 0;  ///< values that were read, or delivered by DMA
        std::uint64_t masked = 0;
        std::vector<std::string> differences;  ///< the first few, with the line of the trace
        std::string trouble;                   ///< why the replay could not go on; empty when it went through
        RecordedEvents events;
        std::string serial_text;
        std::string debug_text;
    };

    static Outcome run(std::istream& trace);
};

}  // namespace exo::vmm::test
