#include "guest/drivers/block/find_disks.h"

#include <algorithm>
#include <array>
#include <memory>
#include <span>

#include "guest/drivers/block/fusion_blk.h"
#include "guest/drivers/block/ide_probe.h"
#include "guest/drivers/block/virtio_blk.h"
#include "guest/drivers/pci/pci_scan.h"
#include "guest/kernel/console.h"

namespace exo::guest {
namespace {

constexpr std::size_t max_functions = 256;

/// A driver for disks that are a PCI function each.
struct DiskDriver {
    bool (*matches)(const PciFunction&);
    Result<std::unique_ptr<BlockDevice>> (*create)(const PciFunction&, const DriverServices&);
};

template <typename Driver>
constexpr DiskDriver driver_of() {
    return {Driver::matches,
            [](const PciFunction& function, const DriverServices& services)
                -> Result<std::unique_ptr<BlockDevice>> { return Driver::create(function, services); }};
}

constexpr DiskDriver drivers[] = {driver_of<FusionBlk>(), driver_of<VirtioBlk>()};

void add_disk(const DiskDriver& driver, const PciFunction& function, const DriverServices& services,
              DiskRegistry& registry) {
    auto disk = driver.create(function, services);
    const auto added = disk ? registry.add(std::move(*disk)) : std::unexpected(disk.error());
    if (added) return;
    const Error& error = added.error();
    warn("PCI {}: {}: {}{}{}", function.address(), error.what, error.why,
         error.action.empty() ? std::string_view{} : std::string_view{"; "}, error.action);
}

}  // namespace

void find_disks(PciConfig& config, const DriverServices& services, DiskRegistry& registry) {
    std::array<PciAddress, max_functions> addresses;
    const std::size_t count = pci_scan(config, addresses);
    if (count > max_functions)
        warn("the machine has {} PCI functions; the last {} are left alone", count, count - max_functions);
    bool found_ide = false;
    for (const PciAddress address : std::span(addresses).first(std::min(count, max_functions))) {
        const PciFunction function(config, address);
        if (is_ide_controller(function)) {
            found_ide = true;
            find_ide_disks(function, services, registry);
        }
        const auto driver =
            std::ranges::find_if(drivers, [&](const DiskDriver& d) { return d.matches(function); });
        if (driver != std::end(drivers)) add_disk(*driver, function, services, registry);
    }
    if (!found_ide) find_legacy_ide_disks(services, registry);
}

}  // namespace exo::guest
