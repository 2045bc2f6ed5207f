#pragma once

#include <cerrno>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "vmm/base/error.h"
#include "vmm/base/file_descriptor.h"
#include "vmm/storage/disk.h"
#include "vmm/storage/flush_guard.h"

namespace exo::vmm {

/// What O_DIRECT asks of a transfer: addresses and lengths in memory, offsets on the disk. 1 where the page
/// cache takes anything.
struct DirectAlignment {
    std::uint32_t memory = 1;
    std::uint32_t disk = 1;
};

/// A file or block device opened as a disk, and locked against other users for as long as it is open: any
/// number of readers, or one writer.
class DiskImage {
  public:
    struct Options {
        std::string path;
        bool read_only = false;
        bool direct = false;                                ///< past the host's page cache
        std::function<void(const std::string&)> warn = {};  ///< of what happens to it later
    };

    static Result<DiskImage> open(const Options& options);

    int fd() const { return fd_.get(); }
    const DiskGeometry& geometry() const { return geometry_; }
    const DirectAlignment& alignment() const { return alignment_; }
    bool direct() const { return direct_; }

    /// For a back-end: a request goes to the host. Past the page cache each call has its own error.
    FlushTicket begin(const DiskRequest& request) {
        return direct_ ? FlushTicket{}
                       : flushes_.begin(request.operation == DiskOperation::flush, request.fua);
    }
    /// The host has ended it: what the guest is to be told. Nothing when that has to wait for others.
    std::optional<DiskCompletion> end(const FlushTicket& ticket, const DiskCompletion& completion) {
        if (completion.error == ENOSPC || completion.error == EDQUOT) warn_of_full_storage();
        if (ticket.order == 0) return completion;
        flushes_.end(ticket, completion.error, completion);
        return std::nullopt;
    }
    /// The next that had to wait, and need not any more.
    std::optional<DiskCompletion> next() {
        auto told = flushes_.next();
        if (!told) return std::nullopt;
        told->held.error = told->error;
        return told->held;
    }

  private:
    DiskImage() = default;
    /// Once: the guest may go on to try, and the user may make room.
    void warn_of_full_storage();

    FileDescriptor fd_;
    DiskGeometry geometry_;
    DirectAlignment alignment_;
    FlushGuard<DiskCompletion> flushes_;
    bool direct_ = false;
    std::string name_;
    std::function<void(const std::string&)> warn_;  ///< empty once it has told of full storage
};

}  // namespace exo::vmm
