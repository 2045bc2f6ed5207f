#pragma once

#include "guest/boot/firmware.h"

namespace exo::guest::uefi {

/// The kernel's command line, UTF-8.
struct CommandLineText {
    static constexpr size_t capacity = 4096;
    char text[capacity];
    size_t size = 0;
};

/// Takes it from the load options, without the file name that the UEFI shell puts first; when they are blank,
/// from the file `cmdline.txt` in the folder that the loader came from. Neither need exist.
Status read_command_line(const Firmware& firmware, CommandLineText& line);

}  // namespace exo::guest::uefi
