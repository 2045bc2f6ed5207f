#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>

#include "vmm/base/guest_memory.h"

namespace exo::vmm {

/// Why a vCPU came back to user space. Spans point into the area shared with the kernel and hold until the
/// next run; answers to reads are written into them.
namespace vcpu_exit {

/// `count` accesses of `size` bytes each to one port, one after another (rep ins / rep outs).
struct PortRead {
    std::uint16_t port;
    std::uint8_t size;
    std::span<std::byte> data;  ///< size × count bytes
};
struct PortWrite {
    std::uint16_t port;
    std::uint8_t size;
    std::span<const std::byte> data;
};
struct MmioRead {
    GuestAddress address;
    std::span<std::byte> data;  ///< 1 to 8 bytes
};
struct MmioWrite {
    GuestAddress address;
    std::span<const std::byte> data;
};
/// A signal, or kick().
struct Interrupted {};
/// A triple fault.
struct Shutdown {};
/// The processor refused the guest's state.
struct EntryFailure {
    std::uint64_t reason;  ///< as the hardware gives it
};
/// KVM met something in the guest that it cannot emulate.
struct InternalError {
    std::uint32_t kind;  ///< KVM_INTERNAL_ERROR_*
    std::uint32_t words;
    std::array<std::uint64_t, 16> data;
};
/// A reason that this VMM does not serve.
struct Unsupported {
    std::uint32_t reason;  ///< KVM_EXIT_*
};
/// KVM_RUN itself failed.
struct RunFailure {
    int error;  ///< errno
};

}  // namespace vcpu_exit

using VcpuExit =
    std::variant<vcpu_exit::PortRead, vcpu_exit::PortWrite, vcpu_exit::MmioRead, vcpu_exit::MmioWrite,
                 vcpu_exit::Interrupted, vcpu_exit::Shutdown, vcpu_exit::EntryFailure,
                 vcpu_exit::InternalError, vcpu_exit::Unsupported, vcpu_exit::RunFailure>;

}  // namespace exo::vmm
