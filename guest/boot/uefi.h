#pragma once

#include <stddef.h>
#include <stdint.h>

/// The part of the UEFI interface that the loader uses, after the UEFI specification 2.10. Members that it
/// does not use are kept as bare words, for their places. Functions have Microsoft's calling convention by
/// the target this is compiled for.
namespace exo::guest::uefi {

using Handle = void*;
using Char16 = char16_t;
using Unused = void*;

/// Status of a call; errors have the top bit set.
enum class Status : uint64_t {
    success = 0,
    load_error = 1ull << 63 | 1,
    invalid_parameter = 1ull << 63 | 2,
    unsupported = 1ull << 63 | 3,
    bad_buffer_size = 1ull << 63 | 4,
    buffer_too_small = 1ull << 63 | 5,
    not_ready = 1ull << 63 | 6,
    device_error = 1ull << 63 | 7,
    out_of_resources = 1ull << 63 | 9,
    volume_corrupted = 1ull << 63 | 10,
    no_media = 1ull << 63 | 12,
    not_found = 1ull << 63 | 14,
    access_denied = 1ull << 63 | 15,
    no_response = 1ull << 63 | 16,
    timeout = 1ull << 63 | 18,
};

struct Guid {
    uint32_t a;
    uint16_t b, c;
    uint8_t d[8];
    bool operator==(const Guid&) const = default;
};

inline constexpr Guid acpi_20_table{
    0x8868e871, 0xe4f1, 0x11d3, {0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81}};
inline constexpr Guid acpi_10_table{
    0xeb9d2d30, 0x2d88, 0x11d3, {0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d}};

struct TableHeader {
    uint64_t signature;
    uint32_t revision;
    uint32_t header_size;
    uint32_t crc32;
    uint32_t reserved;
};

struct SimpleTextOutput {
    Unused reset;
    Status (*output_string)(SimpleTextOutput*, const Char16*);
};

enum class MemoryType : uint32_t {
    reserved = 0,
    loader_code = 1,
    loader_data = 2,
    boot_services_code = 3,
    boot_services_data = 4,
    runtime_services_code = 5,
    runtime_services_data = 6,
    conventional = 7,
    unusable = 8,
    acpi_reclaim = 9,
    acpi_nvs = 10,
    memory_mapped_io = 11,
    memory_mapped_io_port = 12,
};

struct MemoryDescriptor {
    MemoryType type;
    uint32_t padding;
    uint64_t physical_start;
    uint64_t virtual_start;
    uint64_t page_count;  ///< of 4 KiB
    uint64_t attribute;
};
static_assert(sizeof(MemoryDescriptor) == 40);

enum class AllocateType : uint32_t { any_pages = 0, max_address = 1, address = 2 };

struct DevicePath {
    uint8_t type;
    uint8_t sub_type;
    uint8_t length[2];  ///< little-endian, this header included

    size_t size() const { return static_cast<size_t>(length[0] | length[1] << 8); }
    const DevicePath* next() const {
        return reinterpret_cast<const DevicePath*>(reinterpret_cast<const uint8_t*>(this) + size());
    }

    static constexpr uint8_t type_media = 4, media_hard_drive = 1, media_cd_rom = 2, media_file_path = 4;
    static constexpr uint8_t type_end = 0x7f, end_entire = 0xff;
};
static_assert(sizeof(DevicePath) == 4);

/// A path that names no device but a thing by its GUID.
struct VendorMediaPath {
    explicit constexpr VendorMediaPath(const Guid& of) : guid(of) {}
    DevicePath header{DevicePath::type_media, 3, {20, 0}};
    Guid guid;
    DevicePath end{DevicePath::type_end, DevicePath::end_entire, {4, 0}};
};
static_assert(sizeof(VendorMediaPath) == 24);

struct BootServices {
    TableHeader header;
    Unused task_priority[2];
    Status (*allocate_pages)(AllocateType, MemoryType, size_t pages, uint64_t* address);
    Status (*free_pages)(uint64_t address, size_t pages);
    Status (*get_memory_map)(size_t* size, MemoryDescriptor*, size_t* key, size_t* descriptor_size,
                             uint32_t* descriptor_version);
    Unused pool[2];
    Unused events[6];
    Status (*install_protocol)(Handle*, const Guid*, uint32_t type, void* interface);
    Unused install_protocols[2];  // reinstall, uninstall
    Status (*handle_protocol)(Handle, const Guid*, void** interface);
    Unused reserved;
    Unused register_protocol_notify;
    Status (*locate_handle)(uint32_t search, const Guid*, void* key, size_t* size, Handle*);
    Status (*locate_device_path)(const Guid*, const DevicePath**, Handle*);
    Unused install_configuration_table;
    Status (*load_image)(bool boot_policy, Handle parent, const DevicePath*, const void* image, size_t size,
                         Handle*);
    Status (*start_image)(Handle, size_t* exit_data_size, Char16** exit_data);
    Unused images[2];  // exit, unload
    Status (*exit_boot_services)(Handle image, size_t map_key);
    Unused get_next_monotonic_count;
    Unused stall;
    Status (*set_watchdog_timer)(size_t seconds, uint64_t code, size_t data_size, const Char16* data);
    Status (*connect_controller)(Handle, const Handle* drivers, const DevicePath*, bool recursive);
    Status (*disconnect_controller)(Handle, Handle driver, Handle child);
    Unused open_protocol[3];  // open, close, information
    Unused handles[2];
    Status (*locate_protocol)(const Guid*, void* registration, void** interface);
};
static_assert(offsetof(BootServices, allocate_pages) == 40);
static_assert(offsetof(BootServices, get_memory_map) == 56);
static_assert(offsetof(BootServices, handle_protocol) == 152);
static_assert(offsetof(BootServices, locate_device_path) == 184);
static_assert(offsetof(BootServices, exit_boot_services) == 232);
static_assert(offsetof(BootServices, set_watchdog_timer) == 256);
static_assert(offsetof(BootServices, locate_protocol) == 320);

struct ConfigurationTable {
    Guid guid;
    void* table;
};

struct SystemTable {
    TableHeader header;
    const Char16* firmware_vendor;
    uint32_t firmware_revision;
    uint32_t padding;
    Unused console_in[2];
    Handle console_out_handle;
    SimpleTextOutput* console_out;
    Unused standard_error[2];
    Unused runtime_services;
    BootServices* boot_services;
    size_t configuration_count;
    const ConfigurationTable* configuration;
};
static_assert(offsetof(SystemTable, console_out) == 64);
static_assert(offsetof(SystemTable, boot_services) == 96);

struct LoadedImage {
    static constexpr Guid guid{0x5b1b31a1, 0x9562, 0x11d2, {0x8e, 0x3f, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};
    uint32_t revision;
    Handle parent;
    SystemTable* system_table;
    Handle device;
    const DevicePath* file_path;
    Unused reserved;
    uint32_t load_options_size;  ///< bytes
    const void* load_options;
    void* image_base;
    uint64_t image_size;
};
static_assert(offsetof(LoadedImage, load_options_size) == 48 && offsetof(LoadedImage, image_size) == 72);

inline constexpr Guid device_path_guid{
    0x09576e91, 0x6d3f, 0x11d2, {0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};

struct File {
    uint64_t revision;
    Status (*open)(File*, File** opened, const Char16* name, uint64_t mode, uint64_t attributes);
    Status (*close)(File*);
    Unused delete_file;
    Status (*read)(File*, size_t* size, void* buffer);
    static constexpr uint64_t mode_read = 1;
};

struct SimpleFileSystem {
    static constexpr Guid guid{0x964e5b22, 0x6459, 0x11d2, {0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};
    uint64_t revision;
    Status (*open_volume)(SimpleFileSystem*, File** root);
};

struct BlockIoMedia {
    uint32_t media_id;
    bool removable;
    bool present;
    bool logical_partition;
    bool read_only;
    bool write_caching;
    uint32_t block_size;
    uint32_t io_align;
    uint64_t last_block;
};
static_assert(offsetof(BlockIoMedia, block_size) == 12 && offsetof(BlockIoMedia, last_block) == 24);

struct BlockIo {
    static constexpr Guid guid{0x964e5b21, 0x6459, 0x11d2, {0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};
    uint64_t revision;
    const BlockIoMedia* media;
    Unused reset;
    Status (*read_blocks)(BlockIo*, uint32_t media_id, uint64_t block, size_t size, void* buffer);
};

/// What the firmware knows of a processor (UEFI Platform Initialization 1.7, volume 2, 13.4).
struct ProcessorInformation {
    uint64_t processor_id;  ///< its local APIC's id
    uint32_t status;
    uint32_t location[3];
    uint32_t extended_location[6];
    static constexpr uint32_t status_enabled = 1 << 1;
};
static_assert(sizeof(ProcessorInformation) == 48);

struct MpServices {
    static constexpr Guid guid{0x3fdda605, 0xa76e, 0x4f46, {0xad, 0x29, 0x12, 0xf4, 0x53, 0x1b, 0x3d, 0x08}};
    Status (*get_number_of_processors)(MpServices*, size_t* all, size_t* enabled);
    Status (*get_processor_info)(MpServices*, size_t number, ProcessorInformation*);
};

}  // namespace exo::guest::uefi
