#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "vmm/machine/snapshot_file.h"

namespace exo::vmm {

/// Snapshots of machines whose firmware has done its work, so that later ones of the same shape begin there.
/// A file is named by the digest of the facts that it depends on, so nothing in it can be out of date, and is
/// put there whole, so any number of processes may use the folder at once.
class FirmwareCache {
  public:
    static constexpr std::uint64_t default_limit = 1ull << 30;

    /// $XDG_CACHE_HOME/exo-os/firmware, or the same under $HOME/.cache; empty when there is neither.
    static std::filesystem::path default_folder();
    /// Makes the folder. @param limit  bytes on the host's disk
    static Result<FirmwareCache> open(const std::filesystem::path& folder,
                                      std::uint64_t limit = default_limit);

    /// Where the snapshot of these facts belongs.
    std::filesystem::path place(const std::vector<SnapshotFact>& facts) const;
    /// The one that is there; an error when there is none, or none that can be used.
    Result<SnapshotFile> find(const std::vector<SnapshotFact>& facts) const;
    /// Removes those that were used longest ago, until the rest is within the limit.
    void trim() const;

  private:
    FirmwareCache(std::filesystem::path folder, std::uint64_t limit)
        : folder_(std::move(folder)), limit_(limit) {}

    std::filesystem::path folder_;
    std::uint64_t limit_;
};

}  // namespace exo::vmm
