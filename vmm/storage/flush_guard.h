#pragma once

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <string>
#include <utility>

#include "vmm/storage/disk.h"

namespace exo::vmm {

/// Linux tells of a failed write-back once, and takes the pages for clean from then on: the next fdatasync
/// says ok although data is lost. So once a flush of the page cache has failed, all later ones fail too,
/// until the image is opened anew (Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020;
/// QEMU does the same). The error of a forced write may be that of other data, so it counts as well.
class FlushGuard {
  public:
    FlushGuard() = default;
    /// `name` is the image's, for the warning.
    FlushGuard(std::string name, std::function<void(const std::string&)> warn)
        : name_(std::move(name)), warn_(std::move(warn)) {}

    /// What the guest is to be told of such a request's end.
    DiskCompletion judge(DiskOperation operation, bool fua, DiskCompletion completion) {
        const bool is_flush = operation == DiskOperation::flush;
        const bool has_lost_data =
            completion.error != 0 &&
            (is_flush || (operation == DiskOperation::write && fua && completion.error == EIO));
        if (has_lost_data && error_ == 0) fail(completion.error);
        if (is_flush && error_ != 0) completion.error = error_;
        return completion;
    }

  private:
    void fail(int error) {
        error_ = error;
        if (!warn_) return;
        warn_(fmt::format(
            "disk '{}': the host could not write what the guest had written ({}); data may be lost, "
            "and every flush fails until the disk is opened anew: check the host's storage, then "
            "restart the guest",
            name_, std::strerror(error)));
    }

    std::string name_;
    std::function<void(const std::string&)> warn_;
    int error_ = 0;
};

}  // namespace exo::vmm
