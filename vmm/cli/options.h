#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "vmm/base/error.h"
#include "vmm/cli/disk_option.h"
#include "vmm/cli/log.h"
#include "vmm/tune/sweep.h"

namespace exo::vmm {

/// How the guest starts.
enum class BootMethod : std::uint8_t {
    uefi,   ///< by the firmware
    direct  ///< the VMM itself starts the kernel
};

struct RunOptions {
    std::string kernel;  ///< empty: the firmware looks for something to boot on the disks
    std::string initrd;  ///< empty for none
    BootMethod boot = BootMethod::uefi;
    std::string firmware = "auto";
    std::string variables;  ///< file that keeps the guest's UEFI variables; empty for none
    unsigned cpus = 1;
    std::uint64_t memory = 0;  ///< bytes
    std::vector<DiskOption> disks;
    std::string metrics;                  ///< file; empty for none
    std::string trace_io;                 ///< file; empty for none
    std::string snapshot;                 ///< file to write one to when asked; empty for none
    std::string restore;                  ///< file to go on from; empty for none
    std::string firmware_cache = "auto";  ///< "auto", "off" or a folder
    bool seccomp = true;                  ///< deny the system calls that vmm does not need
    std::string append;                   ///< options of the guest's kernel
    LogOptions log;
    std::vector<std::string> guest_command;
};

struct DoctorOptions {};

struct TuneOptions {
    std::string kernel;  ///< empty: the guest that was built with this program
    std::string disk;    ///< as --disk of `vmm run` takes it; empty: one in memory
    tune::Operations operations;
    unsigned rounds = 3;
    bool quick = false;
    bool anyway = false;  ///< also where time means nothing
    std::string json;     ///< file; empty for none
};

/// Text to print; the program ends with status 0.
struct Information {
    std::string text;
};

using Command = std::variant<RunOptions, TuneOptions, DoctorOptions, Information>;

/// The command line, without the program's name, and what the file that it names by --config adds to it.
/// Checks what can be checked without touching another file.
Result<Command> parse_arguments(std::span<const char* const> arguments);

}  // namespace exo::vmm
