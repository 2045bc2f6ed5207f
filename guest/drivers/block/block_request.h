#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "guest/drivers/adaptive/io_trace.h"
#include "guest/drivers/dma.h"

namespace exo::guest {

/// Unit of every sector number and count, whatever the disk's own block size.
inline constexpr std::uint32_t sector_size = 512;

enum class BlockOperation : std::uint8_t { read, write, flush };

/// When the end of a request has to be told. Devices that cannot tell the difference treat all as normal.
enum class BlockUrgency : std::uint8_t { normal, urgent, relaxed };

enum class BlockStatus : std::uint8_t {
    pending,  ///< not submitted yet, or in the device
    ok,
    medium_error,     ///< the device or the host's storage reported an error
    invalid_request,  ///< refused by the driver or the device: empty, misaligned, or too large
    out_of_range,     ///< past the end of the disk
    read_only,
    no_space,
    unsupported,    ///< the device has no such operation
    timed_out,      ///< did not end in time; the device was reset, so it no longer touches the buffers
    device_failed,  ///< the device broke its protocol, or had failed before
};

/// Why, in words for a person.
std::string_view describe(BlockStatus status);

/// One request to a disk. Its owner keeps it, the segments and their memory alive and unmoved from `submit`
/// until `done()`; then it may be submitted again after `reset()`.
struct BlockRequest {
    BlockOperation operation = BlockOperation::read;
    BlockUrgency urgency = BlockUrgency::normal;
    bool barrier =
        false;         ///< starts after all earlier requests of its queue, ends before any later one starts
    bool fua = false;  ///< a write that is on stable storage before it ends
    std::uint64_t sector = 0;
    /// Memory in the order of the sectors, each length a multiple of the disk's logical block; empty for a
    /// flush.
    std::span<const DmaSpan> segments = {};

    std::atomic<BlockStatus> status = BlockStatus::pending;
    std::uint32_t service_ns = 0;  ///< how long it took, as the device says; 0 from one that does not
    IoTimes* times = nullptr;      ///< where the driver writes what the device tells of it, if anywhere

    bool done() const { return status.load(std::memory_order_acquire) != BlockStatus::pending; }
    void reset() {
        status.store(BlockStatus::pending, std::memory_order_relaxed);
        service_ns = 0;
        times = nullptr;
    }
    /// The last thing a driver does with a request.
    void finish(BlockStatus result) { status.store(result, std::memory_order_release); }

    /// Bytes to move, the sum of the segments.
    std::uint64_t bytes() const {
        std::uint64_t sum = 0;
        for (const DmaSpan& segment : segments) sum += segment.size;
        return sum;
    }
};

}  // namespace exo::guest
