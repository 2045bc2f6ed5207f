#pragma once

#include <string_view>

namespace exo::guest::arch {

/// The processor's own name, without the blanks that some pad it with.
std::string_view cpu_name();
/// The hypervisor's signature ("KVMKVMKVM", "TCGTCGTCGTCG"); empty on bare hardware.
std::string_view hypervisor_name();

}  // namespace exo::guest::arch
