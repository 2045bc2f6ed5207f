#include "guest/arch/arch.h"
#include "guest/arch/x86_64/port_registers.h"
#include "guest/drivers/serial/serial_console.h"
#include "guest/kernel/machine_control.h"
#include "shared/boot/boot_info.h"

namespace exo::guest {
namespace {
constinit SerialConsole serial;
}
}  // namespace exo::guest

extern "C" [[noreturn]] void exo_kernel_start(const exo::boot::BootInfo* info) {
    using namespace exo::guest;
    static constinit arch::PortRegisters com1(0x3f8, 8);
    serial.start(com1);
    install_console(&serial);
    machine_control().set_ports(arch::all_ports());
    print("hello {}\n", info->memory_map_count);
    exit_machine(0);
}
