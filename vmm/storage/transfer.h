#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "vmm/storage/disk.h"
#include "vmm/storage/disk_image.h"

namespace exo::vmm {

/// One request on its way through preadv, pwritev or io_uring: what of it is still to be done. A call that
/// moves less than asked is continued; where direct I/O cannot take the guest's memory as it lies, an aligned
/// buffer stands in between.
class Transfer {
  public:
    /// Takes the request over. Storage of an earlier one is used again.
    void begin(const DiskRequest& request, const DirectAlignment& alignment);

    DiskOperation operation() const { return operation_; }
    bool fua() const { return fua_; }
    off_t offset() const { return static_cast<off_t>(offset_ + done_); }
    /// The rest, at most as many pieces as one call takes.
    std::span<iovec> rest();

    /// Takes the result of a call: bytes moved, or a negative errno.
    void advance(ssize_t result);
    /// Nothing is left to do: all was moved, or it failed.
    bool ended() const {
        return error_ != 0 || (operation_ == DiskOperation::flush ? flushed_ : done_ == total_);
    }
    /// Data that came through the buffer goes to the guest's memory here.
    DiskCompletion finish();

  private:
    void bounce(const DirectAlignment& alignment);
    void skip(std::uint64_t bytes);

    struct Free {
        void operator()(std::byte* memory) const { std::free(memory); }
    };

    DiskOperation operation_ = DiskOperation::read;
    bool fua_ = false;
    bool flushed_ = false;
    int error_ = 0;
    unsigned retries_ = 0;
    std::uint64_t offset_ = 0;
    std::uint64_t done_ = 0;
    std::uint64_t total_ = 0;
    std::uint64_t cookie_ = 0;
    std::vector<iovec> segments_;
    std::size_t first_ = 0;
    std::vector<iovec> guest_segments_;  // with a bounce buffer: where its data belongs
    std::unique_ptr<std::byte, Free> buffer_;
};

}  // namespace exo::vmm
