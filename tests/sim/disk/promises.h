#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "tests/sim/disk/stamp.h"

namespace exo::sim {

/// What a guest may rely on after all that it has been told: for each sector the versions that a read may
/// return now, and those that may be there after a crash. Requests that are in flight together do not
/// overlap.
class Promises {
  public:
    /// What a flush will have made durable, taken when it is submitted.
    struct Flush {
        Version newest = 0;
        std::vector<std::vector<Version>> readable;
    };

    explicit Promises(std::size_t sectors) : readable_(sectors, {0}), survivors_(sectors, {0}) {}

    /// A write of a new version of those sectors is submitted.
    Version begin_write(std::uint64_t first, std::uint64_t count) {
        ++newest_;
        for (std::uint64_t sector = first; sector < first + count; ++sector) {
            readable_[sector].push_back(newest_);
            survivors_[sector].push_back(newest_);
        }
        return newest_;
    }

    /// It was carried out; one that failed leaves any of its sectors old or new.
    void end_write(std::uint64_t first, std::uint64_t count, Version version, bool fua) {
        for (std::uint64_t sector = first; sector < first + count; ++sector) {
            readable_[sector] = {version};
            if (fua) survivors_[sector] = {version};
        }
    }

    Flush begin_flush() const { return {newest_, readable_}; }

    void end_flush(const Flush& flush) {
        for (std::size_t sector = 0; sector < survivors_.size(); ++sector)
            std::erase_if(survivors_[sector], [&](Version version) {
                return version <= flush.newest && !contains(flush.readable[sector], version);
            });
    }

    /// A read returned it: false when it must not have. From then on nothing else is there.
    bool read(std::uint64_t sector, Version version) {
        if (!contains(readable_[sector], version)) return false;
        readable_[sector] = {version};
        return true;
    }

    bool may_survive(std::uint64_t sector, Version version) const {
        return contains(survivors_[sector], version);
    }

  private:
    static bool contains(std::span<const Version> versions, Version version) {
        return std::ranges::find(versions, version) != versions.end();
    }

    Version newest_ = 0;
    std::vector<std::vector<Version>> readable_;
    std::vector<std::vector<Version>> survivors_;
};

}  // namespace exo::sim
