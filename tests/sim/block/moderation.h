#pragma once

#include <cstdint>

namespace exo::sim {

/// Dynamic interrupt moderation as Linux's `rdma_dim` does it, for completions that are told of by interrupt.
class Moderation {
  public:
    struct Profile {
        std::uint64_t delay_ns;
        std::uint32_t completions;
    };

    const Profile& profile() const;
    std::uint64_t changes() const { return changes_; }

    /// An interrupt told of that many.
    void interrupted(std::uint64_t now_ns, std::uint64_t completions);

  private:
    enum class Verdict : std::uint8_t { worse, same, better };
    struct Rates {
        std::uint64_t completions_per_ms = 0;
        std::uint64_t per_hundred_events = 0;
    };

    Verdict compare(const Rates& now) const;
    void decide(const Rates& now);
    /// False at the end of the ladder.
    bool step();

    std::size_t place_ = 0;
    bool going_up_ = true;
    std::uint64_t changes_ = 0;
    Rates before_;
    bool measuring_ = false;
    std::uint64_t start_ns_ = 0;
    std::uint64_t events_ = 0;
    std::uint64_t completions_ = 0;
};

}  // namespace exo::sim
