#pragma once

#include <optional>
#include <string>

#include "vmm/kvm/exit.h"
#include "vmm/machine/io_bus.h"

namespace exo::vmm {

/// Whether the guest accessed a bus: the exits that serve() answers.
inline bool is_access(const VcpuExit& exit) {
    return exit.index() <= VcpuExit(vcpu_exit::MmioWrite{}).index();
}

/// Serves an access of the guest on its bus; nothing for the other exits.
void serve(const VcpuExit& exit, IoBus& ports, IoBus& memory);

/// Why the guest cannot go on after this exit; nothing when it can.
std::optional<std::string> fatal_reason(const VcpuExit& exit);

}  // namespace exo::vmm
