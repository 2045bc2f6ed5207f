#pragma once

#include <cstddef>
#include <cstdint>

/// fusion-blk: what the guest's driver and the VMM's device agree on. README.md in this folder tells the
/// whole contract. All fields are little-endian. Sectors are 512 bytes whatever the disk's block size.
namespace exo::block {

inline constexpr std::uint16_t pci_vendor = 0x1af4;
inline constexpr std::uint16_t pci_device = 0x10f0;
inline constexpr std::uint32_t magic = 0x4b4c'4246;  // "FBLK"
/// Major in the top half: a driver refuses another major. Minor: fields only added.
inline constexpr std::uint32_t version = 0x0001'0001;

inline constexpr std::uint32_t sector_size = 512;
inline constexpr std::uint32_t page_size = 4096;

/// BAR 0: registers, doorbells, MSI-X table and pending bits, a page each.
namespace bar {
inline constexpr std::uint32_t registers = 0x0000;
inline constexpr std::uint32_t doorbells = 0x1000;  ///< queue q: a 32-bit write of any value to doorbell(q)
inline constexpr std::uint32_t msix_table = 0x2000;
inline constexpr std::uint32_t msix_pending = 0x3000;
inline constexpr std::uint32_t size = 0x4000;
constexpr std::uint32_t doorbell(std::uint32_t queue) {
    return doorbells + 4 * queue;
}
}  // namespace bar

/// Doorbells that fit the page of doorbells; a device has fewer queue pairs.
inline constexpr std::uint32_t queue_limit = 0x1000 / 4;

/// Offsets in the register page. 32-bit registers take 32-bit access; 64-bit ones take one 64-bit or two
/// 32-bit accesses. Any other access reads all ones and writes nothing.
namespace reg {
inline constexpr std::uint32_t magic = 0x00;              ///< r32
inline constexpr std::uint32_t version = 0x04;            ///< r32
inline constexpr std::uint32_t device_features = 0x08;    ///< r64, Feature bits offered
inline constexpr std::uint32_t driver_features = 0x10;    ///< rw64, bits accepted; frozen while running
inline constexpr std::uint32_t status = 0x18;             ///< rw32, DeviceStatus
inline constexpr std::uint32_t queue_count = 0x1c;        ///< r32, queue pairs available
inline constexpr std::uint32_t capacity = 0x20;           ///< r64, sectors
inline constexpr std::uint32_t logical_block = 0x28;      ///< r32, bytes: smallest addressable unit
inline constexpr std::uint32_t physical_block = 0x2c;     ///< r32, bytes: smallest written without a read
inline constexpr std::uint32_t max_transfer = 0x30;       ///< r32, bytes in one request
inline constexpr std::uint32_t max_segments = 0x34;       ///< r32, segments in one request
inline constexpr std::uint32_t max_ring_capacity = 0x38;  ///< r32, slots; a power of two
inline constexpr std::uint32_t queue_select = 0x40;       ///< rw32, the queue that the registers below show
inline constexpr std::uint32_t ring_capacity = 0x44;      ///< rw32, slots in each of the queue's two rings
inline constexpr std::uint32_t submission_ring = 0x48;    ///< rw64, guest-physical address of the ring header
inline constexpr std::uint32_t completion_ring = 0x50;    ///< rw64, likewise
inline constexpr std::uint32_t queue_vector = 0x58;       ///< rw32, MSI-X vector, or no_vector
inline constexpr std::uint32_t queue_state = 0x5c;  ///< rw32, write QueueState::enabled, read QueueState
inline constexpr std::uint32_t serial = 0x80;       ///< r, serial_size bytes of ASCII, NUL-padded
}  // namespace reg

inline constexpr std::uint32_t serial_size = 32;
inline constexpr std::uint32_t no_vector = 0xffff;

enum class Feature : std::uint64_t {
    read_only = 1u << 0,  ///< writes end with Status::read_only; holds whether accepted or not
    flush = 1u << 1,      ///< Operation::flush and flag::fua may be used, once accepted
    indirect = 1u << 2,   ///< flag::indirect may be used, once accepted
};

enum class DeviceStatus : std::uint32_t {
    reset = 0,      ///< write: stop everything; read: the device is idle and touches no guest memory
    running = 1,    ///< write, after a reset: features are settled, queues may be enabled
    failed = 2,     ///< read: the driver broke the protocol; only a reset helps
    resetting = 3,  ///< read: a reset was written and requests are still in the host's storage; read again
};

enum class QueueState : std::uint32_t {
    disabled = 0,
    enabled = 1,
    bad_capacity = 2,  ///< not a power of two, below 2 or above max_ring_capacity
    bad_address = 3,   ///< not page-aligned, not wholly in guest RAM, or the two rings overlap
    bad_ring = 4,      ///< the ring header there does not describe such a ring
    bad_vector = 5,    ///< not a vector of this function
    not_running = 6,   ///< DeviceStatus::running was not written
    broken = 7,        ///< was enabled; a slot's sequence was impossible, and the device no longer reads it
};

enum class Operation : std::uint8_t { read = 0, write = 1, flush = 2 };

/// When the completion shall be told: the device may hold back and gather normal and relaxed ones, never
/// urgent ones.
enum class Urgency : std::uint8_t { normal = 0, urgent = 1, relaxed = 2 };

/// Bits of Request::flags.
namespace flag {
inline constexpr std::uint8_t urgency_mask = 0x03;
inline constexpr std::uint8_t barrier = 0x04;  ///< starts after all earlier ones of its queue have ended, and
                                               ///< ends before any later one starts
inline constexpr std::uint8_t fua = 0x08;      ///< a write is on stable storage before it completes
inline constexpr std::uint8_t indirect = 0x10;  ///< segments[0] names a table of segment_count Segments
inline constexpr std::uint8_t known = 0x1f;
}  // namespace flag

/// A piece of guest memory, at any address. Length in bytes, a multiple of 512, not 0. As the name of an
/// indirect table: aligned to 16 bytes, length segment_count × 16.
struct Segment {
    std::uint64_t address;
    std::uint32_t length;
    std::uint32_t reserved;  ///< 0
};
static_assert(sizeof(Segment) == 16);
static_assert(offsetof(Segment, address) == 0 && offsetof(Segment, length) == 8 &&
              offsetof(Segment, reserved) == 12);

inline constexpr std::uint32_t inline_segments = 2;
inline constexpr std::uint32_t indirect_segments = 256;  ///< at most, in one table

/// Payload of one submission slot (kind `inline_data`, length 56).
struct Request {
    std::uint32_t tag;  ///< handed back by the completion; the device does not look at it
    Operation operation;
    std::uint8_t flags;
    std::uint16_t segment_count;  ///< 0 for a flush
    std::uint64_t sector;         ///< the first; 0 for a flush. Others follow from the segments' lengths
    Segment segments[inline_segments];  ///< those past segment_count are not looked at
    std::uint64_t submit_tsc;           ///< guest TSC at submission, for traces; 0 when not traced
};
static_assert(sizeof(Request) == 56);
static_assert(offsetof(Request, tag) == 0 && offsetof(Request, operation) == 4 &&
              offsetof(Request, flags) == 5 && offsetof(Request, segment_count) == 6);
static_assert(offsetof(Request, sector) == 8 && offsetof(Request, segments) == 16 &&
              offsetof(Request, submit_tsc) == 48);

enum class Status : std::uint32_t {
    ok = 0,
    io_error = 1,     ///< the medium failed
    bad_request = 2,  ///< unknown operation or bits, reserved fields set, a feature that was not accepted, no
                      ///< or too many segments or bytes, or no multiple of the logical block
    bad_address = 3,  ///< a segment or a table lies outside guest RAM, or a table is not aligned
    out_of_range = 4,  ///< past the end of the disk
    read_only = 5,
    no_space = 6,  ///< the host's storage is full
};
inline constexpr std::uint32_t status_count = 7;

/// How long a published completion waits at most until a guest that sleeps, and asked for a later position,
/// is interrupted all the same: microseconds, by the request's urgency. Urgent ones do not wait.
inline constexpr std::uint32_t coalescing_normal_us = 50;
inline constexpr std::uint32_t coalescing_relaxed_us = 500;

/// Payload of one completion slot (kind `inline_data`, length 56). Times are ticks of the guest's TSC,
/// 0 when the request was not traced, or the host does not know the guest's TSC.
struct Completion {
    std::uint32_t tag;
    Status status;
    std::uint32_t bytes;            ///< moved between medium and guest memory; 0 unless ok
    std::uint32_t service_time_ns;  ///< from pick-up to completion as the device saw it; saturates
    std::uint64_t pickup_tsc;       ///< the device copied the slot
    std::uint64_t submitted_tsc;    ///< handed to the host's storage
    std::uint64_t completed_tsc;    ///< the host's storage was done
    std::uint64_t reserved[2];      ///< 0
};
static_assert(sizeof(Completion) == 56);
static_assert(offsetof(Completion, tag) == 0 && offsetof(Completion, status) == 4 &&
              offsetof(Completion, bytes) == 8 && offsetof(Completion, service_time_ns) == 12);
static_assert(offsetof(Completion, pickup_tsc) == 16 && offsetof(Completion, submitted_tsc) == 24 &&
              offsetof(Completion, completed_tsc) == 32 && offsetof(Completion, reserved) == 40);

/// Classes by size for which the device keeps its estimates apart: up to 4 KiB, up to 64 KiB, larger.
inline constexpr std::uint32_t size_classes = 3;
constexpr std::uint32_t size_class(std::uint64_t bytes) {
    return bytes <= 4096 ? 0 : bytes <= 65536 ? 1 : 2;
}

/// Guest → device: the application part of the completion ring's `consumer_wake` line, which the guest alone
/// writes. The wake word before it (state and notify-at position) is the ring's own. Hints: the device
/// neither needs nor trusts them, and zero means none.
struct DriverControl {
    std::uint32_t mode;            ///< 0 interrupt, 1 polling, 2 hybrid, 3 batch
    std::uint32_t poll_budget_ns;  ///< how long the guest polls before it sleeps
    std::uint32_t batch_limit;     ///< completions it likes to be told at once
    std::uint32_t reserved[11];
};
static_assert(sizeof(DriverControl) == 56);
static_assert(offsetof(DriverControl, mode) == 0 && offsetof(DriverControl, poll_budget_ns) == 4 &&
              offsetof(DriverControl, batch_limit) == 8 && offsetof(DriverControl, reserved) == 12);

/// Device → guest: the application part of the submission ring's `consumer_wake` line, which the device alone
/// writes. Whether the device polls is the state in the wake word before it. Moving estimates, 0 while
/// unknown; a driver must stay correct whatever stands here.
struct DeviceControl {
    std::uint32_t read_ns[size_classes];   ///< service time of reads
    std::uint32_t write_ns[size_classes];  ///< and of writes
    std::uint32_t flush_ns;
    std::uint32_t notification_cost_ns;  ///< of one interrupt, as the device measures it
    std::uint32_t depth;                 ///< requests in the device now
    std::uint32_t reserved[5];
};
static_assert(sizeof(DeviceControl) == 56);
static_assert(offsetof(DeviceControl, read_ns) == 0 && offsetof(DeviceControl, write_ns) == 12 &&
              offsetof(DeviceControl, flush_ns) == 24 &&
              offsetof(DeviceControl, notification_cost_ns) == 28 && offsetof(DeviceControl, depth) == 32 &&
              offsetof(DeviceControl, reserved) == 36);

}  // namespace exo::block
