// What the host asks the box to run, and how it is told: "key\0value\0" pairs, unknown keys refused.
#pragma once

#include <sys/ioctl.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace exo::box {

struct Share {
    std::string tag;   // of the 9p export
    std::string path;  // where the host has it, and so where the box mounts it
};

struct Disk {
    std::string serial;  // of the virtio-blk device
    std::string path;    // of the file on the host that the device holds
};

struct Request {
    std::vector<std::string> arguments;
    std::vector<std::string> environment;  // NAME=VALUE
    std::string directory = "/";
    std::vector<Share> writable;
    std::vector<Disk> disks;
    bool terminal = false;         // standard input and output are a terminal: give the command one
    bool separate_errors = false;  // with a terminal: standard error goes elsewhere all the same
    winsize size{};
};

/// The request in `text`, or nothing when it is malformed.
std::optional<Request> parse_request(std::string_view text);

}  // namespace exo::box
