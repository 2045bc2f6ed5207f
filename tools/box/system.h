// What turns a bare kernel into a box that looks like the host.
#pragma once

#include <expected>
#include <string>

#include "request.h"

namespace exo::box {

/// What failed and why, for a person.
using Failure = std::string;
using Outcome = std::expected<void, Failure>;

/// Mounts /dev, /proc and /sys of the initramfs and loads the modules in /modules, in the order of
/// /modules/order.
Outcome start_kernel_services();

/// Opens the port to the host, once the kernel has made its node.
std::expected<int, Failure> open_port(const char* device);

/// Makes the host's root, read-only, the root of every process.
Outcome enter_host_root();

/// What of a root must be the box's own: /dev/pts, /dev/shm, /run, debugfs, loopback.
Outcome furnish_root();

/// The folders that stay writable, at their places.
Outcome mount_writable(const Request& request);

/// Puts the block device of every disk over the file it holds, so that the same path works inside and
/// outside.
Outcome place_disks(const Request& request);

[[noreturn]] void power_off();

}  // namespace exo::box
