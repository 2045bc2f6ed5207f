#pragma once

#include <cstdint>

/// What a driver and a virtio device agree on (Virtual I/O Device 1.2; sections in parentheses).
namespace exo::guest::virtio {

/// Kinds of structures in a PCI device's BARs (4.1.4).
inline constexpr std::uint8_t kind_common = 1;
inline constexpr std::uint8_t kind_notify = 2;
inline constexpr std::uint8_t kind_device = 4;

/// The common configuration structure (4.1.4.3).
namespace common {
inline constexpr std::uint64_t device_feature_select = 0x00;
inline constexpr std::uint64_t device_feature = 0x04;
inline constexpr std::uint64_t driver_feature_select = 0x08;
inline constexpr std::uint64_t driver_feature = 0x0c;
inline constexpr std::uint64_t config_vector = 0x10;
inline constexpr std::uint64_t queue_count = 0x12;
inline constexpr std::uint64_t status = 0x14;
inline constexpr std::uint64_t generation = 0x15;
inline constexpr std::uint64_t queue_select = 0x16;
inline constexpr std::uint64_t queue_size = 0x18;
inline constexpr std::uint64_t queue_vector = 0x1a;
inline constexpr std::uint64_t queue_enable = 0x1c;
inline constexpr std::uint64_t queue_notify_offset = 0x1e;
inline constexpr std::uint64_t queue_descriptors = 0x20;
inline constexpr std::uint64_t queue_driver = 0x28;
inline constexpr std::uint64_t queue_device = 0x30;
inline constexpr std::uint32_t size = 0x38;
}  // namespace common

/// The device status field (2.1).
inline constexpr std::uint8_t status_acknowledge = 1;
inline constexpr std::uint8_t status_driver = 2;
inline constexpr std::uint8_t status_driver_ok = 4;
inline constexpr std::uint8_t status_features_ok = 8;
inline constexpr std::uint8_t status_needs_reset = 64;

inline constexpr std::uint16_t flag_next = 1;
inline constexpr std::uint16_t flag_write = 2;
inline constexpr std::uint16_t flag_indirect = 4;

/// One descriptor as the device reads it (2.7.5).
struct Descriptor {
    std::uint64_t address;
    std::uint32_t length;
    std::uint16_t flags;
    std::uint16_t next;
};
static_assert(sizeof(Descriptor) == 16);

}  // namespace exo::guest::virtio
