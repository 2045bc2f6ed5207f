#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "guest/drivers/block/block_device.h"
#include "guest/drivers/block/ide_identity.h"
#include "guest/drivers/driver_services.h"
#include "guest/drivers/interrupt_watch.h"

namespace exo::guest {

/// One IDE cable: two drives that share registers and an interrupt, and so run one command at a time. Data
/// moves by programmed I/O (AT Attachment 8, APT).
class IdeChannel {
  public:
    static constexpr unsigned drive_count = 2;
    static constexpr std::uint32_t max_sectors = 256;  ///< in one command

    enum class Presence : std::uint8_t {
        absent,
        disk,
        packet,  ///< an optical drive or the like, not a disk
        stuck,   ///< busy for longer than any drive that works
    };

    /// A command in the terms of the standard.
    struct Command {
        enum class Data : std::uint8_t { none, in, out };
        std::uint8_t opcode = 0;
        Data data = Data::none;
        bool lba48 = false;
        std::uint64_t sector = 0;
        std::uint32_t count = 0;    ///< sectors; 256 is the most that fits in one byte
        std::uint32_t at_once = 1;  ///< sectors that move between two interrupts
    };

    /// `command` are the eight registers, `control` the one for device control and alternate status.
    IdeChannel(std::unique_ptr<Registers> command, std::unique_ptr<Registers> control, TimeSource& time);
    IdeChannel(const IdeChannel&) = delete;
    IdeChannel& operator=(const IdeChannel&) = delete;

    /// Sleeps for this interrupt from now on; until then the channel is polled.
    void use_interrupt(Interrupt& interrupt) { watch_ = InterruptWatch(&interrupt, *time_); }

    /// Does anything answer at these ports? Quick when nothing does.
    bool exists();
    /// Asks a drive what it is; fills `data` for a disk.
    Presence identify(unsigned drive, IdeIdentifyData& data);
    /// Has READ and WRITE MULTIPLE move `sectors` at once. What they move from now on: 1 when it refused.
    std::uint8_t set_multiple(unsigned drive, std::uint8_t sectors);
    std::uint8_t multiple(unsigned drive) const { return multiple_[drive]; }

    bool busy() const { return request_ != nullptr; }
    bool dead() const { return dead_; }
    /// Starts a command for a request, which `progress` ends. Only when not busy and not dead.
    void start(unsigned drive, const Command& command, BlockRequest& request, BlockQueueCounters& counters);
    /// Moves what the drive is ready to move; never sleeps. How often there was something to do.
    std::size_t progress();
    bool has_interrupt() const { return !dead_ && watch_.usable(); }
    /// As BlockQueue has them.
    bool prepare_sleep();
    void finish_sleep();
    InterruptWatch& watch() { return watch_; }
    Mutex& lock() { return lock_; }
    /// Resets both drives and ends the running request with `timed_out`.
    void recover();

  private:
    friend class IdeChannelUse;

    void select(unsigned drive, bool lba, std::uint8_t top_bits);
    void issue(unsigned drive, const Command& command);
    void short_delay();
    std::uint8_t alternate_status();
    bool wait_not_busy(std::uint64_t timeout_ns);
    void move_block();
    void end(BlockStatus status);
    BlockStatus error_status();

    std::unique_ptr<Registers> command_;
    std::unique_ptr<Registers> control_;
    TimeSource* time_;
    Mutex lock_;  ///< of both drives' queues
    InterruptWatch watch_;
    bool dead_ = false;
    std::array<std::uint8_t, drive_count> multiple_{1, 1};

    // The running command; nothing when `request_` is null.
    BlockRequest* request_ = nullptr;
    BlockQueueCounters* counters_ = nullptr;
    Command running_;
    std::uint32_t sectors_left_ = 0;
    std::size_t segment_ = 0;  ///< where in the request's memory the next sector goes
    std::size_t segment_offset_ = 0;
    bool first_block_ = false;  ///< a drive asks for the first data of a write without an interrupt

    unsigned users_ = 0;
};

/// A share in a channel, which goes when the last of its drives does.
class IdeChannelUse {
  public:
    explicit IdeChannelUse(IdeChannel& channel) : channel_(channel) { ++channel_.users_; }
    IdeChannelUse(const IdeChannelUse& other) : IdeChannelUse(other.channel_) {}
    IdeChannelUse& operator=(const IdeChannelUse&) = delete;
    ~IdeChannelUse() {
        if (--channel_.users_ == 0) delete &channel_;
    }
    IdeChannel* operator->() const { return &channel_; }

  private:
    IdeChannel& channel_;
};

}  // namespace exo::guest
