#include "vmm/machine/chipset.h"

#include "shared/platform/platform.h"

namespace exo::vmm {

namespace {

constexpr std::uint16_t intel = 0x8086;
constexpr std::uint32_t class_host_bridge = 0x06'00'00;
constexpr std::uint32_t class_isa_bridge = 0x06'01'00;
constexpr unsigned steering_registers = 0x60;
constexpr std::uint32_t steering_disabled = 0x80;

}  // namespace

HostBridge::HostBridge()
    : PciFunction("host bridge", {.vendor = intel,
                                  .device = 0x1237,
                                  .class_code = class_host_bridge,
                                  .revision = 2,
                                  .subsystem_vendor = platform::subsystem_vendor,
                                  .subsystem = platform::subsystem_exo_vmm}) {}

IsaBridge::IsaBridge()
    : PciFunction("isa bridge", {.vendor = intel, .device = 0x7000, .class_code = class_isa_bridge}) {
    config_.set(pci::header_type, 1, pci::multi_function);
    for (unsigned pin = 0; pin < 4; ++pin) {
        config_.set(steering_registers + pin, 1, steering_disabled);
        config_.allow(steering_registers + pin, 1, 0x8f);
    }
}

}  // namespace exo::vmm
