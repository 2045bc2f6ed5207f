#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "vmm/storage/disk.h"
#include "vmm/storage/flush_guard.h"
#include "vmm/storage/nbd_library.h"

namespace exo::vmm {

/// A request of the disk on its way through an NBD server: one command after the other, at most
/// `NbdConnection::longest_command` bytes each. It may be sent again over another connection.
struct NbdRequest {
    DiskOperation operation = DiskOperation::read;
    bool fua = false;
    bool may_unmap = false;
    bool answers_guest = true;  ///< otherwise nobody waits for its completion
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    std::uint64_t cookie = 0;
    std::vector<iovec> segments;  ///< of the guest; none once a write has its data
    std::vector<std::byte> data;  ///< what is written, or was read for several segments
    std::uint64_t done = 0;       ///< bytes
    std::uint64_t under_way = 0;  ///< bytes of the present command
    bool moved = false;           ///< the data has: what is left is the flush of a server without FUA
    bool answered = false;        ///< the present command has ended
    int error = 0;                ///< an errno
    std::uint64_t order = 0;      ///< of a flush: how many writes it covers; of a write: which it was
    FlushTicket ticket;           ///< the disk's

    bool changes_the_disk() const {
        return operation != DiskOperation::read && operation != DiskOperation::flush;
    }
    /// A write that the guest has long had its answer to, for a server that may have forgotten it.
    bool is_replay() const { return !answers_guest && changes_the_disk(); }
    /// From the beginning, over another connection.
    void start_over() {
        done = 0;
        moved = false;
        answered = false;
        error = 0;
    }
};

/// One connection to an NBD server (github.com/NetworkBlockDevice/nbd, doc/proto.md). One thread uses it.
class NbdConnection {
  public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::uint64_t longest_command = 1 << 20;  ///< bytes of data

    struct Abilities {
        bool flush = false;
        bool fua = false;
        bool trim = false;
        bool zero = false;
        friend bool operator==(const Abilities&, const Abilities&) = default;
    };

    /// Waits for the server until `deadline`, or `stopped`. The error is why it could not be had.
    static std::expected<NbdConnection, std::string> open(const NbdLibrary& library, const std::string& uri,
                                                          Clock::time_point deadline,
                                                          const std::function<bool()>& stopped);

    DiskGeometry geometry() const;
    Abilities abilities() const { return abilities_; }
    /// The server's limit, bytes; 0 when it has not said one.
    std::uint64_t largest_command() const;

    /// Sends the request's next command. It is `answered` at once when there is nothing to do, or it failed.
    void send(NbdRequest& request);
    /// To be called when the request is answered: whether all of it has been done, or has failed.
    bool advance(NbdRequest& request) const;

    int fd() const { return library_->aio_get_fd(handle_.get()); }
    short poll_events() const;
    /// Does what poll(2) says can be done.
    void handle(short events);
    bool lost() const;

  private:
    struct Close {
        const NbdLibrary* library;
        void operator()(nbd_handle* handle) const { library->close(handle); }
    };
    using Handle = std::unique_ptr<nbd_handle, Close>;

    NbdConnection(const NbdLibrary& library, Handle handle);
    std::int64_t command(NbdRequest& request, nbd_completion_callback told);

    const NbdLibrary* library_;
    Handle handle_;
    Abilities abilities_;
};

}  // namespace exo::vmm
