#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "vmm/base/event_fd.h"
#include "vmm/base/mutex.h"
#include "vmm/storage/disk.h"
#include "vmm/storage/flush_guard.h"
#include "vmm/storage/nbd_connection.h"

namespace exo::vmm {

/// A disk on an NBD server. A thread of its own talks to the server and, when it goes away, connects again
/// and sends what had not been answered once more.
///
/// Of what the server has answered it may forget, when it dies, all that no flush has covered. So the disk
/// keeps a copy of each such write, and the server gets it again before anything else when it is back: a
/// guest sees a pause and nothing more. Where the server stays away longer than `patience`, requests fail
/// with EIO until it is back; the copies are kept for that time too.
class NbdDisk final : public Disk {
  public:
    struct Options {
        std::string uri;  ///< as the NBD URI specification has it: nbd://, nbds://, nbd+unix://
        bool read_only = false;
        std::chrono::milliseconds patience = std::chrono::seconds(20);
        std::function<void(const std::string&)> warn =
            {};  ///< of the server's going and coming; from any thread
    };

    static Result<std::unique_ptr<NbdDisk>> create(Options options);
    /// Gives up what is in flight.
    ~NbdDisk() override;
    NbdDisk(const NbdDisk&) = delete;
    NbdDisk& operator=(const NbdDisk&) = delete;

    const DiskGeometry& geometry() const override { return geometry_; }
    std::string description() const override { return "NBD, " + options_.uri; }
    std::size_t depth() const override { return queue_depth; }
    void submit(std::span<const DiskRequest> requests) override;
    std::size_t reap(std::span<DiskCompletion> completions) override;
    int completion_fd() const override { return completed_.get(); }

  private:
    using Clock = NbdConnection::Clock;
    using Request = std::unique_ptr<NbdRequest>;

    static constexpr std::size_t queue_depth = 64;
    /// Bytes of copied writes from which on the server is asked to flush, and from which on writes wait for
    /// it.
    static constexpr std::uint64_t flush_from = 16u << 20;
    static constexpr std::uint64_t hold_from = 64u << 20;

    NbdDisk(Options options, const NbdLibrary& library, NbdConnection connection, EventFd completed,
            EventFd wake);

    void serve();
    void take_incoming();
    void send_waiting();
    bool is_replaying() const;
    bool may_send(const NbdRequest& request) const;
    void send(Request request);
    void settle();
    void wait(int timeout_ms);
    void end(Request request);
    void finish(Request request);
    void keep(Request write);
    void forget_flushed(std::uint64_t order);
    void tidy();
    void answer(NbdRequest& request);

    void lose();
    void reconnect();
    std::string try_to_connect(Clock::time_point deadline);
    void replay();
    void give_up(const std::string& why);
    void warn(const std::string& text) const;

    const Options options_;
    const NbdLibrary& library_;
    DiskGeometry geometry_;
    NbdConnection::Abilities abilities_;
    EventFd completed_;
    EventFd wake_;
    std::atomic<bool> stopping_ = false;

    Mutex mutex_;
    std::deque<Request> incoming_ EXO_THREAD_SAFETY(guarded_by(mutex_));
    std::deque<DiskCompletion> done_ EXO_THREAD_SAFETY(guarded_by(mutex_));

    // Of the service thread alone.
    std::deque<Request> waiting_;
    std::deque<Request> replays_;  ///< go before everything else, one after the other
    std::vector<Request> in_flight_;
    std::deque<Request> written_;  ///< and not flushed, oldest first
    std::uint64_t written_bytes_ = 0;
    std::uint64_t written_count_ = 0;  ///< writes that have ended so far
    bool tidying_ = false;             ///< a flush of our own is on its way
    FlushGuard<Request> flushes_;
    bool away_ = false;  ///< the server has been given up
    Clock::time_point next_try_{};
    std::optional<NbdConnection> connection_;  ///< goes first: it points to what is in flight

    std::jthread thread_;
};

}  // namespace exo::vmm
