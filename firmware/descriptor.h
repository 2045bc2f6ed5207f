#pragma once

#include <expected>
#include <filesystem>
#include <string>
#include <string_view>

namespace exo::firmware {

/// A build of OVMF that this machine can boot.
struct Build {
    std::filesystem::path code;       ///< or code and variables in one file, when `variables` is empty
    std::filesystem::path variables;  ///< the template of the variable store
    std::string description;
    std::filesystem::path origin;  ///< the descriptor that named it; empty when the user did
};

/// Reads one firmware descriptor (QEMU, docs/interop/firmware.json) and decides whether the build fits:
/// UEFI for x86_64 on pc-i440fx, raw flash, no Secure Boot, no SMM. The error is the reason to pass it over.
std::expected<Build, std::string> parse_descriptor(std::string_view json);

}  // namespace exo::firmware
