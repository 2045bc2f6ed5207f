
#include "guest/drivers/block/disk_registry.h"
#include "guest/kernel/command.h"
#include "guest/kernel/json.h"

namespace exo::guest {
namespace {

unsigned run(Arguments arguments, CommandConsole& console);
constexpr Command command{
    "disks", "[--json]", "list the disks", run,
    "Disks of data are numbered; the one that the machine was booted from is called boot. WAIT is how the\n"
    "driver learns that a request has ended; `blk` tells more.\n"};
[[gnu::section("exo_commands"), gnu::used, gnu::retain]] constexpr const Command* registration = &command;

/// How the driver waits in truth, whatever the mode.
std::string_view wait_of(BlockDevice& device) {
    if (!device.queue(0).has_interrupt()) return describe(IoMode::polling);
    return device.mode() ? describe(*device.mode()) : "adaptive";
}

void print_json(Disk& disk, TextSink& out) {
    const DiskInfo& info = disk.device->info();
    JsonLine(out)
        .text("disk", disk.name())
        .text("driver", info.driver)
        .number("sectors", info.sectors)
        .number("bytes", info.sectors * sector_size)
        .number("logical_block", info.logical_block)
        .number("physical_block", info.physical_block)
        .boolean("read_only", info.read_only)
        .boolean("boot", disk.boot)
        .text("wait", wait_of(*disk.device))
        .text("model", info.model)
        .text("serial", info.serial);
}

void print_row(Disk& disk, TextSink& out) {
    const DiskInfo& info = disk.device->info();
    FixedText<24> size;
    format(size, "{}", Bytes{info.sectors * sector_size});
    format(out, "{:<7}{:<12}{:>10}{:>12}  {:<5}{:<11}{}{}{}\n", disk.name(), info.driver, size.view(),
           info.sectors, info.read_only ? "ro" : "rw", wait_of(*disk.device), info.model,
           info.model.empty() || info.serial.empty() ? "" : " ", info.serial);
}

unsigned run(Arguments arguments, CommandConsole& console) {
    bool json = false;
    const CommandOption known[] = {{"--json", &json}};
    if (!parse_arguments(arguments, known, {}, command, console)) return status::bad_usage;
    const auto disks = disk_registry().disks();
    if (json) {
        for (Disk& disk : disks) print_json(disk, console);
        return status::ok;
    }
    if (disks.empty()) {
        console.write("there is no disk\n");
        return status::ok;
    }
    format(console, "{:<7}{:<12}{:>10}{:>12}  {:<5}{:<11}{}\n", "NAME", "DRIVER", "SIZE", "SECTORS", "MODE",
           "WAIT", "MODEL AND SERIAL");
    for (Disk& disk : disks) print_row(disk, console);
    return status::ok;
}

}  // namespace
}  // namespace exo::guest
