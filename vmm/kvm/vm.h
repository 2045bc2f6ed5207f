#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "vmm/base/error.h"
#include "vmm/base/file_descriptor.h"
#include "vmm/base/guest_memory.h"
#include "vmm/base/state_archive.h"
#include "vmm/kvm/system.h"

namespace exo::vmm {

/// Host memory that the guest sees at `start`. Both ends are page-aligned, and the memory outlives the Vm.
/// A write of the guest to a read-only slot becomes an MMIO exit.
struct MemorySlot {
    std::uint32_t slot = 0;
    GuestAddress start;
    std::span<std::byte> host;
    bool read_only = false;
};

/// A message-signalled interrupt as the device writes it to the bus.
struct Msi {
    std::uint64_t address = 0;
    std::uint32_t data = 0;
    bool operator==(const Msi&) const = default;
};

/// Which message an interrupt number (GSI) stands for.
struct MsiRoute {
    std::uint32_t gsi = 0;
    Msi message;
};

/// A guest write that the kernel turns into a signal on an eventfd, without an exit to user space: any
/// value, `size` bytes wide (0: any width), at a memory address or a port.
struct Doorbell {
    std::uint64_t address = 0;
    std::uint32_t size = 0;
    bool port = false;
    int event = -1;
};

/// GSIs below this one belong to the pins of PIC and IOAPIC.
inline constexpr std::uint32_t first_msi_gsi = 24;

/// One virtual machine of KVM.
class Vm {
  public:
    static Result<Vm> create(const KvmSystem& system);

    /// Where KVM keeps the four pages that Intel processors need (one at `identity_map`, three at `tss`):
    /// its defaults collide with the flash. Before any vCPU.
    Result<void> place_intel_pages(GuestAddress identity_map, GuestAddress tss);
    /// Local APICs, IOAPIC, both PICs and the 8254. Before any vCPU.
    Result<void> create_interrupt_controllers();
    Result<void> map(const MemorySlot& slot);
    Result<void> unmap(std::uint32_t slot);

    /// Replaces all routes: the pins' own, and these.
    Result<void> set_routes(std::span<const MsiRoute> routes);
    /// Level of an interrupt pin. Cannot fail once the interrupt controllers exist.
    void set_pin(std::uint32_t gsi, bool asserted) const;
    /// From now on a signal on `event` raises `gsi`.
    Result<void> attach_interrupt(int event, std::uint32_t gsi);
    Result<void> detach_interrupt(int event, std::uint32_t gsi);
    Result<void> attach_doorbell(const Doorbell& doorbell);
    Result<void> detach_doorbell(const Doorbell& doorbell);

    /// Saves or loads interrupt controllers, 8254 and the machine's clock. While no vCPU runs.
    void exchange_state(StateArchive& archive);

    /// KVM's binary statistics of the machine (statistics.h).
    Result<FileDescriptor> statistics() const;
    Result<FileDescriptor> create_vcpu(std::uint32_t id) const;

    int fd() const { return vm_.get(); }

  private:
    explicit Vm(FileDescriptor vm) : vm_(std::move(vm)) {}

    FileDescriptor vm_;
};

}  // namespace exo::vmm
