#include "guest/chainloader/fw_cfg_files.h"

#include "guest/arch/x86_64/cpu.h"

namespace exo::guest::uefi {
namespace {

constexpr uint16_t dma_port = 0x514;
constexpr uint16_t directory = 0x19;
constexpr uint32_t dma_error = 1 << 0;
constexpr uint32_t dma_read = 1 << 1;
constexpr uint32_t dma_select = 1 << 3;

/// All of it big-endian, as in the directory.
struct Dma {
    uint32_t control;
    uint32_t length;
    uint64_t address;
};
struct DirectoryEntry {
    uint32_t size;
    uint16_t selector;
    uint16_t reserved;
    char name[56];
};
static_assert(sizeof(DirectoryEntry) == 64);

/// Reads on in the current item, or from the start of another one. The device is done when the write returns.
bool read(uint32_t select, void* to, uint32_t size) {
    volatile Dma dma{__builtin_bswap32(dma_read | select), __builtin_bswap32(size),
                     __builtin_bswap64(reinterpret_cast<uint64_t>(to))};
    const auto address = reinterpret_cast<uint64_t>(&dma);
    asm volatile("" : : : "memory");
    arch::out<uint32_t>(dma_port, __builtin_bswap32(static_cast<uint32_t>(address >> 32)));
    arch::out<uint32_t>(dma_port + 4, __builtin_bswap32(static_cast<uint32_t>(address)));
    asm volatile("" : : : "memory");
    return (__builtin_bswap32(dma.control) & dma_error) == 0;
}

uint32_t selecting(uint16_t item) {
    return dma_select | uint32_t{item} << 16;
}

bool same_text(const char* one, const char* other) {
    while (*one != 0 && *one == *other) ++one, ++other;
    return *one == *other;
}

}  // namespace

FwCfgFile find_fw_cfg_file(const char* name) {
    uint32_t count = 0;
    if (!read(selecting(directory), &count, sizeof(count))) return {};
    for (count = __builtin_bswap32(count); count > 0; --count) {
        DirectoryEntry entry{};
        if (!read(0, &entry, sizeof(entry))) return {};
        entry.name[sizeof(entry.name) - 1] = 0;
        if (same_text(entry.name, name))
            return {__builtin_bswap16(entry.selector), __builtin_bswap32(entry.size)};
    }
    return {};
}

bool read_fw_cfg(const FwCfgFile& file, void* to, uint32_t size) {
    return size <= file.size && read(selecting(file.selector), to, size);
}

}  // namespace exo::guest::uefi
