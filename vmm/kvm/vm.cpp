#include "vmm/kvm/vm.h"

#include <algorithm>
#include <vector>

#include "vmm/kvm/ioctl.h"
#include "vmm/kvm/kvm_api.h"
#include "vmm/kvm/state_exchange.h"

namespace exo::vmm {
namespace {

constexpr std::uint32_t pic_pins = 16;
constexpr std::uint32_t pins_per_pic = 8;
static_assert(first_msi_gsi == KVM_IOAPIC_NUM_PINS);

Result<void> without_value(Result<int> answer) {
    if (!answer) return std::unexpected(std::move(answer.error()));
    return {};
}

kvm_irq_routing_entry pin(std::uint32_t gsi, std::uint32_t chip, std::uint32_t number) {
    kvm_irq_routing_entry entry{};
    entry.gsi = gsi;
    entry.type = KVM_IRQ_ROUTING_IRQCHIP;
    entry.u.irqchip.irqchip = chip;
    entry.u.irqchip.pin = number;
    return entry;
}

// As KVM_CREATE_IRQCHIP sets them: a GSI below 16 reaches both a PIC and the IOAPIC.
std::vector<kvm_irq_routing_entry> pin_routes() {
    std::vector<kvm_irq_routing_entry> entries;
    for (std::uint32_t gsi = 0; gsi < first_msi_gsi; ++gsi) {
        if (gsi < pic_pins) {
            const std::uint32_t chip = gsi < pins_per_pic ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE;
            entries.push_back(pin(gsi, chip, gsi % pins_per_pic));
        }
        entries.push_back(pin(gsi, KVM_IRQCHIP_IOAPIC, gsi));
    }
    return entries;
}

kvm_irq_routing_entry message(const MsiRoute& route) {
    kvm_irq_routing_entry entry{};
    entry.gsi = route.gsi;
    entry.type = KVM_IRQ_ROUTING_MSI;
    entry.u.msi.address_lo = static_cast<std::uint32_t>(route.message.address);
    entry.u.msi.address_hi = static_cast<std::uint32_t>(route.message.address >> 32);
    entry.u.msi.data = route.message.data;
    return entry;
}

Result<void> irqfd(int vm, int event, std::uint32_t gsi, std::uint32_t flags) {
    kvm_irqfd request{};
    request.fd = static_cast<std::uint32_t>(event);
    request.gsi = gsi;
    request.flags = flags;
    return without_value(kvm_ioctl(vm, KVM_IRQFD, &request, "KVM_IRQFD"));
}

Result<void> ioeventfd(int vm, const Doorbell& doorbell, std::uint32_t flags) {
    kvm_ioeventfd request{};
    request.addr = doorbell.address;
    request.len = doorbell.size;
    request.fd = doorbell.event;
    request.flags = flags | (doorbell.port ? KVM_IOEVENTFD_FLAG_PIO : 0u);
    return without_value(kvm_ioctl(vm, KVM_IOEVENTFD, &request, "KVM_IOEVENTFD"));
}

}  // namespace

Result<Vm> Vm::create(const KvmSystem& system) {
    // KVM answers EINTR when a signal arrives while it makes the machine.
    int answer = -1;
    do answer = ::ioctl(system.fd(), KVM_CREATE_VM, 0);
    while (answer < 0 && errno == EINTR);
    if (answer < 0) {
        return fail_errno("KVM refused to create a virtual machine", errno,
                          "EBUSY means that another hypervisor holds the processor; end it.");
    }
    return Vm(FileDescriptor(answer));
}

Result<void> Vm::place_intel_pages(GuestAddress identity_map, GuestAddress tss) {
    std::uint64_t address = identity_map.value;
    if (auto done = kvm_ioctl(fd(), KVM_SET_IDENTITY_MAP_ADDR, &address, "KVM_SET_IDENTITY_MAP_ADDR"); !done)
        return std::unexpected(done.error());
    return without_value(kvm_ioctl(fd(), KVM_SET_TSS_ADDR, tss.value, "KVM_SET_TSS_ADDR"));
}

Result<void> Vm::create_interrupt_controllers() {
    if (auto done = kvm_ioctl(fd(), KVM_CREATE_IRQCHIP, 0, "KVM_CREATE_IRQCHIP"); !done)
        return std::unexpected(done.error());
    kvm_pit_config pit{};
    pit.flags = KVM_PIT_SPEAKER_DUMMY;
    return without_value(kvm_ioctl(fd(), KVM_CREATE_PIT2, &pit, "KVM_CREATE_PIT2"));
}

Result<void> Vm::map(const MemorySlot& slot) {
    kvm_userspace_memory_region region{};
    region.slot = slot.slot;
    region.flags = slot.read_only ? KVM_MEM_READONLY : 0;
    region.guest_phys_addr = slot.start.value;
    region.memory_size = slot.host.size();
    region.userspace_addr = reinterpret_cast<std::uintptr_t>(slot.host.data());
    auto done = kvm_ioctl(fd(), KVM_SET_USER_MEMORY_REGION, &region, "KVM_SET_USER_MEMORY_REGION");
    if (!done) done.error().why += fmt::format(" ({} bytes at {:#x})", slot.host.size(), slot.start.value);
    return without_value(std::move(done));
}

Result<void> Vm::unmap(std::uint32_t slot) {
    return map({.slot = slot, .start = {}, .host = {}});
}

Result<void> Vm::set_routes(std::span<const MsiRoute> routes) {
    std::vector<kvm_irq_routing_entry> entries = pin_routes();
    for (const MsiRoute& route : routes) entries.push_back(message(route));
    std::vector<std::byte> buffer(sizeof(kvm_irq_routing) + entries.size() * sizeof(entries[0]));
    auto* table = reinterpret_cast<kvm_irq_routing*>(buffer.data());
    table->nr = static_cast<std::uint32_t>(entries.size());
    std::ranges::copy(entries, table->entries);
    return without_value(kvm_ioctl(fd(), KVM_SET_GSI_ROUTING, table, "KVM_SET_GSI_ROUTING"));
}

void Vm::set_pin(std::uint32_t gsi, bool asserted) const {
    kvm_irq_level level{};
    level.irq = gsi;
    level.level = asserted ? 1 : 0;
    static_cast<void>(::ioctl(fd(), KVM_IRQ_LINE, &level));
}

Result<void> Vm::attach_interrupt(int event, std::uint32_t gsi) {
    return irqfd(fd(), event, gsi, 0);
}

Result<void> Vm::detach_interrupt(int event, std::uint32_t gsi) {
    return irqfd(fd(), event, gsi, KVM_IRQFD_FLAG_DEASSIGN);
}

Result<void> Vm::attach_doorbell(const Doorbell& doorbell) {
    return ioeventfd(fd(), doorbell, 0);
}

Result<void> Vm::detach_doorbell(const Doorbell& doorbell) {
    return ioeventfd(fd(), doorbell, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

void Vm::exchange_state(StateArchive& archive) {
    exchange<kvm_pit_state2>(archive, fd(), KVM_GET_PIT2, KVM_SET_PIT2, "the 8254's state");
    for (const std::uint32_t chip :
         {0u + KVM_IRQCHIP_PIC_MASTER, 0u + KVM_IRQCHIP_PIC_SLAVE, 0u + KVM_IRQCHIP_IOAPIC}) {
        kvm_irqchip asked{};
        asked.chip_id = chip;
        const auto state = exchange(archive, fd(), KVM_GET_IRQCHIP, KVM_SET_IRQCHIP,
                                    "an interrupt controller's state", asked);
        if (state.chip_id != chip) archive.refuse("an interrupt controller stands in another's place");
    }
    // The clock goes on from where it was; its flags tell how it was read.
    kvm_clock_data clock{};
    if (!archive.loading())
        archive.check(without_value(kvm_ioctl(fd(), KVM_GET_CLOCK, &clock, "KVM_GET_CLOCK")));
    archive(clock.clock);
    if (archive.loading() && !archive.failed())
        archive.check(without_value(kvm_ioctl(fd(), KVM_SET_CLOCK, &clock, "KVM_SET_CLOCK")));
}

Result<FileDescriptor> Vm::statistics() const {
    auto file = kvm_ioctl(fd(), KVM_GET_STATS_FD, 0, "KVM_GET_STATS_FD");
    if (!file) return std::unexpected(file.error());
    return FileDescriptor(*file);
}

Result<FileDescriptor> Vm::create_vcpu(std::uint32_t id) const {
    auto vcpu = kvm_ioctl(fd(), KVM_CREATE_VCPU, static_cast<unsigned long>(id), "KVM_CREATE_VCPU");
    if (!vcpu) return std::unexpected(vcpu.error());
    return FileDescriptor(*vcpu);
}

}  // namespace exo::vmm
