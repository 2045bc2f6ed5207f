#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "vmm/base/clock.h"

namespace exo::vmm {

/// What a disk is, taken once when it is opened.
struct DiskGeometry {
    std::uint64_t size = 0;              ///< bytes, a multiple of logical_block
    std::uint32_t logical_block = 512;   ///< bytes; offsets and lengths are multiples of it
    std::uint32_t physical_block = 512;  ///< bytes; the smallest write that needs no read before
    bool read_only = false;
};

enum class DiskOperation : std::uint8_t {
    read,
    write,
    flush,
    discard,      ///< the range's content is not needed any more; what it reads as afterwards is not said
    write_zeroes  ///< the range reads as zeroes afterwards
};

struct DiskRequest {
    DiskOperation operation = DiskOperation::read;
    bool fua = false;          ///< a write that is on stable storage before it completes
    std::uint64_t offset = 0;  ///< bytes
    /// Memory in the order of the disk. `submit` copies the list; the memory itself stays until the
    /// completion is reaped.
    std::span<const iovec> segments = {};
    std::uint64_t length = 0;  ///< bytes that discard and write_zeroes are about; they have no segments
    bool may_unmap = false;    ///< write_zeroes may give the range's storage back
    std::uint64_t cookie = 0;  ///< handed back by the completion
};

struct DiskCompletion {
    std::uint64_t cookie = 0;
    int error = 0;            ///< 0 or a positive errno; a disk that ends too early is EIO
    std::uint64_t bytes = 0;  ///< moved; all that were asked for when there is no error
};

/// Requests to a disk that run side by side and end in any order. One thread at a time uses a Disk. A flush
/// covers the writes whose completions were reaped before it was submitted, or fails; one that follows a
/// failed one covers what that one should have.
class Disk {
  public:
    virtual ~Disk() = default;

    virtual const DiskGeometry& geometry() const = 0;
    /// How the requests are carried out, for a log.
    virtual std::string description() const = 0;
    /// Requests that may be in flight at once.
    virtual std::size_t depth() const = 0;

    /// Starts all of them; the caller keeps no more than `depth()` in flight. Each ends in one completion.
    virtual void submit(std::span<const DiskRequest> requests) = 0;

    /// Takes completions, at most as many as fit; fewer than that means that there are no more now. Never
    /// waits.
    virtual std::size_t reap(std::span<DiskCompletion> completions) = 0;

    /// An eventfd that becomes readable when there are completions to reap. The caller reads it empty before
    /// it reaps.
    virtual int completion_fd() const = 0;

    /// When reap() is due even if that descriptor says nothing, by the clock of whoever made the disk.
    virtual Deadline deadline() const { return {}; }
    /// Ends all requests that wait for something else than the medium, with ECANCELED.
    virtual void cancel() {}
};

}  // namespace exo::vmm
