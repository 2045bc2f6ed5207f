#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "firmware/descriptor.h"
#include "vmm/base/error.h"

namespace exo::firmware {

struct PassedOver {
    std::filesystem::path descriptor;
    std::string reason;  ///< a clause: "it needs SMM, …"
};

struct Search {
    std::optional<Build> chosen;
    std::vector<PassedOver>
        passed_over;  ///< in order of precedence; those after the chosen one are not judged
};

/// Where descriptors lie, the most specific folder first: $XDG_CONFIG_HOME/qemu/firmware (or under
/// $HOME/.config), /etc/qemu/firmware, /usr/share/qemu/firmware.
std::vector<std::filesystem::path> descriptor_folders();

/// The first fitting descriptor by file name, as QEMU's firmware.json lays down: a file in a more specific
/// folder replaces those of the same name, and hides them when it is empty.
Search search(const std::vector<std::filesystem::path>& folders);

/// `search`, or an error that tells what was passed over and why.
vmm::Result<Build> choose(const std::vector<std::filesystem::path>& folders);

/// The build that a user named by its code file: the variable store lies beside it (CODE in the name becomes
/// VARS), or in it. Refused when a descriptor says that it does not fit.
vmm::Result<Build> named(const std::filesystem::path& code,
                         const std::vector<std::filesystem::path>& folders);

}  // namespace exo::firmware
