#include "vmm/machine/platform.h"

#include <array>

#include "vmm/machine/chipset.h"
#include "vmm/machine/control_ports.h"
#include "vmm/machine/e820.h"
#include "vmm/machine/flash.h"
#include "vmm/machine/fw_cfg.h"
#include "vmm/machine/pci_config_ports.h"
#include "vmm/machine/pm_timer.h"
#include "vmm/machine/power_management.h"
#include "vmm/machine/rtc.h"

namespace exo::vmm {

struct Platform::Models {
    Models(const PlatformConfig& config, const PlatformPorts& outside, IoBus& ports, PciBus& pci)
        : config_ports(pci, outside.events),
          pm_timer(outside.clock),
          pm_registers(pm_timer, outside.events, outside.sci),
          power_management(ports, pm_registers, pm_timer),
          rtc(outside.clock, config.ram, config.cpus),
          serial(outside.serial_output, outside.serial_interrupt),
          debug_port(outside.debug_output),
          system_control(outside.events),
          keyboard(outside.events),
          exit_port(outside.events),
          phase_port(outside.events),
          fw_cfg(outside.memory),
          fixed_variables(config.flash_variables),
          flash_code(config.flash_code) {
        if (config.variables != nullptr && outside.flash_mapping != nullptr)
            variable_flash.emplace(*config.variables, *outside.flash_mapping);
    }

    IoHandler& variables() {
        return variable_flash ? static_cast<IoHandler&>(*variable_flash) : fixed_variables;
    }

    PciConfigPorts config_ports;
    HostBridge host_bridge;
    IsaBridge isa_bridge;
    PmTimer pm_timer;
    PowerManagementRegisters pm_registers;
    PowerManagement power_management;
    Rtc rtc;
    Serial serial;
    DebugPort debug_port;
    SystemControlPort system_control;
    KeyboardCommandPort keyboard;
    ExitPort exit_port;
    PhasePort phase_port;
    AbsentHardware cpu_hotplug;
    FwCfg fw_cfg;
    ReadOnlyFlash fixed_variables;
    std::optional<VariableFlash> variable_flash;
    ReadOnlyFlash flash_code;
};

Result<std::unique_ptr<Platform>> Platform::create(const PlatformConfig& config,
                                                   const PlatformPorts& outside) {
    std::unique_ptr<Platform> platform(new Platform(config, outside));
    if (auto filled = platform->fill_fw_cfg(config); !filled) return std::unexpected(filled.error());
    return platform;
}

Platform::Platform(const PlatformConfig& config, const PlatformPorts& outside)
    : pci_(ports_, memory_, config.windows),
      models_(std::make_unique<Models>(config, outside, ports_, pci_)) {
    place_ports();
    place_flash(config);
    pci_.add(layout::host_bridge_slot, models_->host_bridge);
    pci_.add(layout::isa_bridge_slot, models_->isa_bridge);
    pci_.add(layout::power_management_slot, models_->power_management);
}

Platform::~Platform() = default;

Serial& Platform::serial() {
    return models_->serial;
}

FwCfg& Platform::fw_cfg() {
    return models_->fw_cfg;
}

void Platform::exchange_state(StateArchive& archive) {
    Models& m = *models_;
    const auto model = [&](const char* name, auto& device) {
        archive.section(name, [&] { device.exchange_state(archive); });
    };
    model("pm timer", m.pm_timer);
    model("pm registers", m.pm_registers);
    model("rtc", m.rtc);
    model("serial", m.serial);
    model("system control", m.system_control);
    model("fw_cfg", m.fw_cfg);
    if (m.variable_flash) model("variable flash", *m.variable_flash);
    model("pci config", m.config_ports);
    pci_.exchange_state(archive);
}

void Platform::place_ports() {
    Models& m = *models_;
    ports_.add_at("pci config", {layout::pci_config_port, 8}, m.config_ports);
    ports_.add_at("fw_cfg", {layout::fw_cfg_port, 2}, m.fw_cfg.ports());
    ports_.add_at("fw_cfg dma", {layout::fw_cfg_dma_port, 8}, m.fw_cfg.dma_ports());
    ports_.add_at("rtc", {layout::rtc_port, Rtc::ports}, m.rtc);
    ports_.add_at("serial", {layout::serial_port, 8}, m.serial);
    ports_.add_at("debug log", {layout::debug_port, 1}, m.debug_port);
    ports_.add_at("system control", {layout::system_control_port, 1}, m.system_control);
    ports_.add_at("keyboard reset", {layout::keyboard_command_port, 1}, m.keyboard);
    ports_.add_at("exit", {layout::exit_port, ExitPort::size}, m.exit_port);
    ports_.add_at("boot phase", {layout::phase_port, 1}, m.phase_port);
    ports_.add_at("cpu hot-plug", {layout::cpu_hotplug_port, 12}, m.cpu_hotplug);
}

void Platform::place_flash(const PlatformConfig& config) {
    if (config.flash_code.empty()) return;
    const auto flash = layout::place_flash(config.flash_variables.size(), config.flash_code.size());
    memory_.add_at("flash variables", flash.variables, models_->variables());
    memory_.add_at("flash code", flash.code, models_->flash_code);
}

Result<void> Platform::fill_fw_cfg(const PlatformConfig& config) {
    FwCfg& fw_cfg = models_->fw_cfg;
    const auto cpus = static_cast<std::uint16_t>(config.cpus);
    fw_cfg.set_u64(FwCfg::ram_size, config.ram.total());
    fw_cfg.set_u16(FwCfg::cpu_count, cpus);
    fw_cfg.set_u16(FwCfg::max_cpus, cpus);
    fw_cfg.set_u16(FwCfg::boot_menu, 0);
    const std::array<std::pair<std::string, std::vector<std::byte>>, 4> files{{
        {"etc/e820", e820_file(config.ram)},
        {acpi::Files::rsdp_name, config.acpi.rsdp},
        {acpi::Files::tables_name, config.acpi.tables},
        {acpi::Files::loader_name, config.acpi.loader},
    }};
    for (const auto& [name, bytes] : files)
        if (auto added = fw_cfg.add_file(name, bytes); !added) return added;
    return hand_over_kernel(config);
}

Result<void> Platform::hand_over_kernel(const PlatformConfig& config) {
    FwCfg& fw_cfg = models_->fw_cfg;
    if (config.chainloader.empty()) {
        if (!config.kernel.empty()) fw_cfg.set_kernel(config.kernel, config.command_line);
        if (!config.initrd.empty()) fw_cfg.set_initrd(config.initrd);
        return {};
    }
    fw_cfg.set_kernel(config.chainloader, "");
    const auto text = std::as_bytes(std::span(config.command_line));
    auto added = fw_cfg.add_file_view(platform::kernel_file, config.kernel);
    if (added) added = fw_cfg.add_file_view(platform::initrd_file, config.initrd);
    if (added) added = fw_cfg.add_file(platform::command_line_file, {text.begin(), text.end()});
    return added;
}

}  // namespace exo::vmm
