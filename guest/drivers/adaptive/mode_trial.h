#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "guest/drivers/adaptive/cost_model.h"
#include "guest/drivers/adaptive/io_mode.h"

namespace exo::guest {

/// What a stretch of operations in one mode has cost.
struct Stretch {
    IoPlan plan;                   ///< in force at its end
    IoCost median;                 ///< of the timed operations
    std::uint32_t depth = 1;       ///< requests in the device, the mean
    std::uint64_t operations = 0;  ///< ended, timed or not
    std::uint64_t elapsed_ns = 0;

    /// Who asks waits for the disk most of the time, rather than the disk for who asks.
    bool is_pressing() const { return operations * median.latency_ns >= depth * elapsed_ns / 2; }
    /// By Little's law, of a load that presses: few samples see the rare ones that take long, all that end
    /// in a given time see them all.
    std::uint64_t mean_latency_ns() const { return operations == 0 ? 0 : depth * elapsed_ns / operations; }
};

/// Collects a stretch.
class StretchRecorder {
  public:
    void begin(std::uint64_t now_ns, std::uint64_t operations);
    /// A timed operation: its CPU time with what its waiter spun for it.
    void add(const IoCost& cost, std::uint32_t depth);
    bool has_enough(std::uint64_t now_ns) const {
        return count_ == most || (count_ >= enough && now_ns - start_ns_ >= long_ns);
    }
    /// Far fewer have ended than in such a time before: there is nothing more to wait for.
    bool lags(const Stretch& before, std::uint64_t now_ns, std::uint64_t operations) const;
    Stretch take(const IoPlan& plan, std::uint64_t now_ns, std::uint64_t operations) const;

  private:
    static constexpr std::size_t enough = 16;
    static constexpr std::size_t most = 64;
    /// So long that it sees several turns of a busy host's scheduler, and that the device has followed its
    /// driver's mode.
    static constexpr std::uint64_t long_ns = 20'000'000;

    std::array<std::uint32_t, most> latencies_{};
    std::array<std::uint32_t, most> cpu_{};
    std::size_t count_ = 0;
    std::uint64_t depths_ = 0;
    std::uint64_t start_ns_ = 0;
    std::uint64_t start_operations_ = 0;
};

/// Holds each change of mode against what comes of it. A prediction takes the device to be the same in every
/// mode, but it is not: who polls may take the CPU that the device's thread needs, or keep that thread
/// polling too and spare it from being woken. So a change is a trial at first. If operations cost more than
/// before, the mode before comes back, and the other one is left alone, longer whenever it fails
/// again. Now and then a trial is due although nothing speaks for it. Time counts in stretches.
class ModeTrial {
  public:
    void add(const IoCost& cost, std::uint32_t depth) { recorder_.add(cost, depth); }
    /// Another mode is in force than before.
    void changed(const IoPlan& before, std::uint64_t now_ns, std::uint64_t operations);
    /// At each review. The plan to go back to, when the trial under way has shown it to be cheaper.
    std::optional<IoPlan> review(const IoPlan& plan, const Observation& seen, CpuPrice price,
                                 std::uint64_t now_ns, std::uint64_t operations);
    /// What the mode in force costs is not known yet, so no other one could be held against it.
    bool under_way() const { return fresh_; }

    /// Of these modes the ones that have not failed lately.
    IoModeSet allowed(IoModeSet modes) const;
    bool exploration_due() const { return usual_ && stretches_ >= exploration_.until; }
    /// One is considered now, and perhaps begins.
    void explored() {
        explored_at_ = stretches_;
        exploration_.lengthen(stretches_, 8, 512);
    }
    /// The device is not what it was: what was measured before says nothing of what comes.
    void forget_usual() {
        usual_.reset();
        fresh_ = before_.has_value();
    }

  private:
    /// A pause, longer each time.
    struct Pause {
        std::uint64_t until = 0;
        std::uint64_t length = 0;
        void lengthen(std::uint64_t now, std::uint64_t shortest, std::uint64_t longest) {
            length = length == 0 ? shortest : std::min(4 * length, longest);
            until = now + length;
        }
    };

    IoPlan fail(IoMode mode, std::uint64_t now_ns, std::uint64_t operations);
    void follow(std::uint32_t depth, std::uint32_t runnable);
    Pause& ban_of(IoMode mode) { return bans_[static_cast<std::size_t>(mode)]; }

    StretchRecorder recorder_;
    std::uint64_t stretches_ = 0;
    std::optional<Stretch> usual_;   ///< the last one in the mode in force
    std::optional<Stretch> before_;  ///< what the trial under way is held against
    bool fresh_ = false;             ///< the mode has changed, and nothing is usual since
    bool settling_ = false;          ///< the first stretch after a change has operations of before in it
    bool exploring_ = false;         ///< the trial under way is for the sake of it
    std::uint64_t explored_at_ = 0;
    std::uint32_t depth_ = 1;  ///< that bans are for
    std::uint32_t runnable_ = 0;
    std::array<Pause, io_mode_count> bans_{};
    Pause exploration_;
};

}  // namespace exo::guest
