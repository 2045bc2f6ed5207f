#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "vmm/base/error.h"
#include "vmm/machine/machine_disk.h"

namespace exo::vmm {

/// --disk FILE and what may follow it, after commas.
struct DiskOption {
    std::string path;
    DiskKind kind = DiskKind::fusion;
    bool read_only = false;
    bool direct = false;
    unsigned queues = 0;                                 ///< 0 for as many as suit the machine
    std::optional<std::chrono::microseconds> poll = {};  ///< 0 for never; none for what suits the host
    DiskRates rates = {};
};

/// `text` as --disk takes it.
Result<DiskOption> parse_disk(const std::string& text);

}  // namespace exo::vmm
