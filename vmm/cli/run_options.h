#pragma once

#include <string>
#include <vector>

#include "vmm/cli/options.h"

namespace CLI {
class App;
}

namespace exo::vmm {

/// The options of `vmm run` as they are written, before they are understood.
struct RunText {
    std::string kernel;
    std::string initrd;
    std::string append;
    std::string firmware = "auto";
    std::string variables;
    std::string boot = "uefi";
    std::string cpus = "1";
    std::string memory = "256M";
    std::vector<std::string> disks;
    std::string metrics;
    std::string trace_io;
    std::string snapshot;
    std::string restore;
    std::string firmware_cache = "auto";
    std::string seccomp = "on";
    std::string log_level = "warning";
    std::string log_format = "text";
    std::string log_file;
    std::string config;
};

/// Adds the subcommand, which writes to `text`; that outlives the app.
CLI::App* add_run(CLI::App& app, RunText& text);
Result<RunOptions> understand(const RunText& text, std::vector<std::string> guest_command);

}  // namespace exo::vmm
