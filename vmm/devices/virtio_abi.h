#pragma once

#include <cstddef>
#include <cstdint>

/// Numbers and layouts of Virtual I/O Device 1.2 (OASIS) that the device side uses; section numbers are that
/// document's.
namespace exo::vmm::virtio {

inline constexpr std::uint16_t pci_vendor = 0x1af4;
inline constexpr std::uint16_t pci_device_base = 0x1040;  ///< plus the device type (4.1.2)
inline constexpr std::uint16_t type_block = 2;
inline constexpr std::uint16_t type_entropy = 4;
inline constexpr std::uint16_t no_vector = 0xffff;

namespace feature {  // 6
inline constexpr std::uint64_t indirect_descriptors = std::uint64_t{1} << 28;
inline constexpr std::uint64_t event_index = std::uint64_t{1} << 29;
inline constexpr std::uint64_t version_1 = std::uint64_t{1} << 32;
}  // namespace feature

namespace status {  // 2.1
inline constexpr std::uint8_t driver_ok = 4;
inline constexpr std::uint8_t features_ok = 8;
inline constexpr std::uint8_t needs_reset = 64;
}  // namespace status

/// The common configuration structure (4.1.4.3).
struct CommonConfig {
    std::uint32_t device_feature_select;
    std::uint32_t device_feature;
    std::uint32_t driver_feature_select;
    std::uint32_t driver_feature;
    std::uint16_t config_vector;
    std::uint16_t queue_count;
    std::uint8_t status;
    std::uint8_t generation;
    std::uint16_t queue_select;
    std::uint16_t queue_size;
    std::uint16_t queue_vector;
    std::uint16_t queue_enable;
    std::uint16_t queue_notify_offset;
    std::uint64_t queue_descriptors;
    std::uint64_t queue_driver;
    std::uint64_t queue_device;
};
static_assert(sizeof(CommonConfig) == 0x38);

namespace interrupt_status {  // 4.1.4.5
inline constexpr std::uint8_t queue = 1;
inline constexpr std::uint8_t configuration = 2;
}  // namespace interrupt_status

/// One descriptor (2.7.5).
struct Descriptor {
    std::uint64_t address;
    std::uint32_t length;
    std::uint16_t flags;
    std::uint16_t next;
};
static_assert(sizeof(Descriptor) == 16);
inline constexpr std::uint16_t descriptor_next = 1;
inline constexpr std::uint16_t descriptor_write = 2;
inline constexpr std::uint16_t descriptor_indirect = 4;

inline constexpr std::uint16_t available_no_interrupt = 1;
inline constexpr std::uint16_t used_no_notify = 1;

/// One entry of the used ring (2.7.8).
struct UsedElement {
    std::uint32_t id;
    std::uint32_t length;
};
static_assert(sizeof(UsedElement) == 8);

/// The block device (5.2).
namespace blk {

namespace feature {
inline constexpr std::uint64_t seg_max = std::uint64_t{1} << 2;
inline constexpr std::uint64_t read_only = std::uint64_t{1} << 5;
inline constexpr std::uint64_t block_size = std::uint64_t{1} << 6;
inline constexpr std::uint64_t flush = std::uint64_t{1} << 9;
inline constexpr std::uint64_t topology = std::uint64_t{1} << 10;
inline constexpr std::uint64_t multi_queue = std::uint64_t{1} << 12;
inline constexpr std::uint64_t discard = std::uint64_t{1} << 13;
inline constexpr std::uint64_t write_zeroes = std::uint64_t{1} << 14;
}  // namespace feature

struct Config {
    std::uint64_t capacity;  ///< sectors of 512 bytes
    std::uint32_t size_max;
    std::uint32_t seg_max;
    std::uint16_t cylinders;
    std::uint8_t heads;
    std::uint8_t sectors;
    std::uint32_t block_size;
    std::uint8_t physical_block_exponent;
    std::uint8_t alignment_offset;
    std::uint16_t min_io_size;  ///< logical blocks
    std::uint32_t opt_io_size;  ///< logical blocks
    std::uint8_t writeback;
    std::uint8_t unused0;
    std::uint16_t queue_count;
    std::uint32_t max_discard_sectors;
    std::uint32_t max_discard_segments;
    std::uint32_t discard_sector_alignment;
    std::uint32_t max_write_zeroes_sectors;
    std::uint32_t max_write_zeroes_segments;
    std::uint8_t write_zeroes_may_unmap;
    std::uint8_t unused1[3];
};
static_assert(sizeof(Config) == 64 && offsetof(Config, max_write_zeroes_sectors) == 48);
/// What the structure is without the padding that its 64-bit member brings.
inline constexpr std::size_t config_size = 60;

struct Header {
    std::uint32_t type;
    std::uint32_t reserved;
    std::uint64_t sector;
};
static_assert(sizeof(Header) == 16);

inline constexpr std::uint32_t type_in = 0;
inline constexpr std::uint32_t type_out = 1;
inline constexpr std::uint32_t type_flush = 4;
inline constexpr std::uint32_t type_get_id = 8;
inline constexpr std::uint32_t type_discard = 11;
inline constexpr std::uint32_t type_write_zeroes = 13;

/// What a discard or write-zeroes request carries.
struct Range {
    std::uint64_t sector;
    std::uint32_t sectors;
    std::uint32_t flags;
};
static_assert(sizeof(Range) == 16);
inline constexpr std::uint32_t range_unmap = 1;

enum class Status : std::uint8_t { ok = 0, io_error = 1, unsupported = 2 };
inline constexpr std::size_t id_size = 20;

}  // namespace blk

}  // namespace exo::vmm::virtio
