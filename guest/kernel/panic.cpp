#include "guest/kernel/panic.h"

#include <atomic>

#include "guest/arch/arch.h"
#include "guest/kernel/backtrace.h"
#include "guest/kernel/console.h"
#include "guest/kernel/machine_control.h"
#include "guest/kernel/symbols.h"
#include "shared/platform/exit_status.h"
#include "shared/platform/platform.h"

namespace exo::guest {
namespace {

std::atomic<unsigned> depth = 0;

void print_location(unsigned index, std::uintptr_t address) {
    print("  #{:<2} {:#018x}  {}\n", index, address, Location{address});
}

}  // namespace

PanicReport::PanicReport() : sink_(&console()) {
    arch::disable_interrupts();
    const unsigned level = depth.fetch_add(1);
    if (level >= 2) machine_control().end(platform::status_guest_panic);
    sink_->write(level == 0 ? "\n\nKERNEL PANIC: " : "\nPANIC WHILE PANICKING: ");
}

void PanicReport::finish(std::uintptr_t rip, std::uintptr_t frame) {
    sink_->write("\n");
    if (depth.load() == 1) {
        print("backtrace\n");
        unsigned index = 0;
        print_location(index++, rip);
        walk_frames(frame, [&](std::uintptr_t caller) { print_location(index++, caller); });
    }
    print("{}{}\n", platform::panic_trailer, platform::status_guest_panic);
    machine_control().end(platform::status_guest_panic);
}

}  // namespace exo::guest
