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
#include "vmm/storage/flush_guard.h"

namespace exo::vmm {

/// One request on its way through preadv, pwritev, fallocate or io_uring: what of it is still to be done. A
/// call that moves less than asked is continued; where direct I/O cannot take the guest's memory as it lies,
/// an aligned buffer of bounded size stands in between; where the host cannot punch holes or zero a range,
/// the next best way is taken.
class Transfer {
  public:
    /// The most that one call moves through a buffer, bytes.
    static constexpr std::size_t buffer_limit = 1 << 20;

    /// Takes the request over. Storage of an earlier one is used again.
    void begin(const DiskRequest& request, const DirectAlignment& alignment);

    /// What the next call has to do; it changes from write_zeroes to write when zeroes have to be written.
    DiskOperation operation() const { return operation_; }
    bool fua() const { return fua_; }
    off_t offset() const { return static_cast<off_t>(offset_ + done_); }
    /// For read and write: the rest, at most as much as one call takes. Valid until advance().
    std::span<iovec> rest();
    /// For discard and write_zeroes: bytes, and the mode of fallocate(2).
    off_t length() const { return static_cast<off_t>(total_ - done_); }
    int fallocate_mode() const;

    /// Takes the result of a call: bytes moved, 0 from a call that moves none, or a negative errno.
    void advance(ssize_t result);
    /// Nothing is left to do: all was moved, or it failed.
    bool ended() const { return error_ != 0 || (moves_data() ? done_ == total_ : performed_); }
    DiskCompletion finish();

    FlushTicket ticket;  ///< the back-end's

  private:
    bool moves_data() const {
        return operation_ == DiskOperation::read || operation_ == DiskOperation::write;
    }
    void use_buffer(std::size_t alignment);
    void gather(std::size_t bytes);
    void scatter(std::size_t bytes);
    void skip(std::uint64_t bytes);
    void fail_range(int error);
    void write_the_zeroes();

    struct Free {
        void operator()(std::byte* memory) const { std::free(memory); }
    };

    DiskOperation operation_ = DiskOperation::read;
    bool fua_ = false;
    bool may_unmap_ = false;
    bool performed_ = false;  ///< a call that moves no data has succeeded
    int error_ = 0;
    unsigned retries_ = 0;
    std::uint64_t offset_ = 0;
    std::uint64_t done_ = 0;
    std::uint64_t total_ = 0;
    std::uint64_t cookie_ = 0;
    std::vector<iovec> segments_;  ///< of the guest; none when zeroes are written
    std::size_t first_ = 0;        ///< of segments_, that is not done
    std::size_t memory_alignment_ = 1;
    std::unique_ptr<std::byte, Free> buffer_;
    std::size_t buffer_size_ = 0;
    iovec in_buffer_{};
};

}  // namespace exo::vmm
