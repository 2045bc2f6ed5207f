#include "guest/drivers/block/ide_probe.h"

#include <algorithm>
#include <memory>
#include <new>
#include <string_view>

#include "guest/drivers/block/ide_channel.h"
#include "guest/drivers/block/ide_disk.h"
#include "guest/kernel/console.h"

namespace exo::guest {
namespace {

/// Where a channel is when no BAR moves it.
struct LegacyChannel {
    std::uint16_t command;
    std::uint16_t control;
    unsigned irq;
};
constexpr LegacyChannel legacy_channels[] = {{0x1f0, 0x3f6, 14}, {0x170, 0x376, 15}};

constexpr std::uint16_t command_size = 8;
/// Of the four ports of a native control BAR, the one that matters.
constexpr std::uint64_t native_control_offset = 2;

/// Sectors between two interrupts: few enough for a quick answer, many enough to be worth the interrupt.
constexpr std::uint8_t preferred_multiple = 16;

constexpr std::string_view what = "cannot use an IDE disk";

void tell(const Error& error) {
    warn("{}: {}", error.what, error.why);
}

Result<void> add_disk(const IdeChannelUse& channel, unsigned drive, const IdeIdentifyData& data,
                      const DriverServices& services, DiskRegistry& registry) {
    const auto identity = parse_identity(data);
    if (!identity) return std::unexpected(identity.error());
    const std::uint8_t multiple = std::min(identity->max_multiple, preferred_multiple);
    if (multiple > 1) channel->set_multiple(drive, multiple);
    auto disk = IdeDisk::create(channel, drive, *identity, services);
    if (!disk) return std::unexpected(disk.error());
    return registry.add(std::move(*disk));
}

void probe_channel(std::unique_ptr<Registers> command, std::unique_ptr<Registers> control,
                   const LegacyChannel* legacy, const DriverServices& services, DiskRegistry& registry) {
    auto* const allocated =
        new (std::nothrow) IdeChannel(std::move(command), std::move(control), services.time);
    if (allocated == nullptr) return tell(out_of_memory(what).error());
    const IdeChannelUse channel(*allocated);
    if (!channel->exists()) return;
    bool found = false;
    for (unsigned drive = 0; drive < IdeChannel::drive_count; ++drive) {
        IdeIdentifyData data;
        const auto presence = channel->identify(drive, data);
        if (presence == IdeChannel::Presence::stuck)
            warn("an IDE drive is busy for ever and was left alone: reset the machine");
        if (presence != IdeChannel::Presence::disk) continue;
        found = true;
        if (const auto added = add_disk(channel, drive, data, services, registry); !added)
            tell(added.error());
    }
    if (!found || legacy == nullptr) return;
    if (const auto interrupt = services.interrupts.legacy_irq(legacy->irq))
        channel->use_interrupt(**interrupt);
}

void probe_legacy(const LegacyChannel& legacy, const DriverServices& services, DiskRegistry& registry) {
    auto command = services.registers.map_ports(legacy.command, command_size);
    auto control = services.registers.map_ports(legacy.control, 1);
    if (command && control)
        probe_channel(std::move(*command), std::move(*control), &legacy, services, registry);
}

void probe_native(PciFunction& function, unsigned first_bar, const DriverServices& services,
                  DiskRegistry& registry) {
    auto command = function.map_bar(services.registers, first_bar, 0, command_size);
    auto control = function.map_bar(services.registers, first_bar + 1, native_control_offset, 1);
    if (command && control)
        probe_channel(std::move(*command), std::move(*control), nullptr, services, registry);
}

}  // namespace

bool is_ide_controller(const PciFunction& function) {
    return function.class_code() == 0x01 && function.subclass() == 0x01;
}

void find_ide_disks(PciFunction function, const DriverServices& services, DiskRegistry& registry) {
    function.change_command(pci_command::io);
    const std::uint8_t interface = function.interface();
    for (unsigned channel = 0; channel < 2; ++channel) {
        const bool native = (interface & (1u << 2 * channel)) != 0;
        if (native)
            probe_native(function, 2 * channel, services, registry);
        else
            probe_legacy(legacy_channels[channel], services, registry);
    }
}

void find_legacy_ide_disks(const DriverServices& services, DiskRegistry& registry) {
    for (const LegacyChannel& channel : legacy_channels) probe_legacy(channel, services, registry);
}

}  // namespace exo::guest
