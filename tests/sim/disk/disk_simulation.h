#pragma once

#include <cstdint>
#include <string>

namespace exo::sim {

/// Which driver of the guest and device of the VMM meet.
enum class DiskKind : std::uint8_t { fusion_blk, virtio_blk };

/// A mistake that is put between them, to see that the simulation finds it.
enum class Defect : std::uint8_t {
    none,
    lost_interrupt,       ///< one in sixteen does not arrive
    lost_doorbell,        ///< likewise
    swapped_completions,  ///< two requests end with each other's completion
    early_flush,          ///< a flush is told before the storage has done it
    dropped_fua,          ///< a forced write is handed on as an ordinary one
    early_write,          ///< a write is told before the storage has done it
    unguarded_flush,      ///< a flush says ok although a call beside it has had the error
};

struct DiskRun {
    std::string problem;            ///< empty: nothing was wrong
    std::uint64_t requests = 0;     ///< that ended
    std::uint64_t failed = 0;       ///< of those
    std::uint64_t sleeps = 0;       ///< of the guest, for an interrupt
    std::uint64_t kill_points = 0;  ///< at which all that a crash could leave was looked at
    std::uint64_t end_ns = 0;       ///< virtual time at the end
};

/// The guest's driver, its adaptive queue and the VMM's device in one thread, in virtual time, on a disk with
/// a volatile cache. The seed decides everything: who runs next, the load, how it is waited for, what fails.
/// Looked for are: data that no write explains, requests that never end, wake-ups that get lost, and at every
/// point at which the power could fail something that was flushed and would not be there afterwards.
DiskRun simulate_disk(DiskKind kind, std::uint64_t seed, Defect defect = Defect::none);

}  // namespace exo::sim
