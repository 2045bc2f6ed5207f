#pragma once

#include <stddef.h>
#include <stdint.h>

/// The part of the ELF format (System V ABI, ELF-64) that the loader needs to place the kernel, and the
/// kernel to find its own symbols. Only C headers, because the loader includes it.
namespace exo::guest::elf {

struct Header {
    uint8_t magic[4];       ///< 7f 'E' 'L' 'F'
    uint8_t class_64;       ///< 2
    uint8_t little_endian;  ///< 1
    uint8_t ident_rest[10];
    uint16_t type;  ///< type_executable
    uint16_t machine;
    uint32_t version;
    uint64_t entry;
    uint64_t program_offset;
    uint64_t section_offset;
    uint32_t flags;
    uint16_t header_size;
    uint16_t program_entry_size;
    uint16_t program_count;
    uint16_t section_entry_size;
    uint16_t section_count;
    uint16_t section_names;
};
static_assert(sizeof(Header) == 64);

struct ProgramHeader {
    uint32_t type;
    uint32_t flags;
    uint64_t offset;
    uint64_t virtual_address;
    uint64_t physical_address;
    uint64_t file_size;
    uint64_t memory_size;
    uint64_t alignment;
};
static_assert(sizeof(ProgramHeader) == 56);

struct SectionHeader {
    uint32_t name;
    uint32_t type;
    uint64_t flags;
    uint64_t address;
    uint64_t offset;
    uint64_t size;
    uint32_t link;
    uint32_t info;
    uint64_t alignment;
    uint64_t entry_size;
};
static_assert(sizeof(SectionHeader) == 64);

struct Symbol {
    uint32_t name;
    uint8_t info;
    uint8_t other;
    uint16_t section;
    uint64_t value;
    uint64_t size;
};
static_assert(sizeof(Symbol) == 24);

inline constexpr uint16_t type_executable = 2;
inline constexpr uint16_t machine_x86_64 = 62;
inline constexpr uint32_t program_load = 1;
inline constexpr uint32_t flag_execute = 1, flag_write = 2;
inline constexpr uint32_t section_symbols = 2;
inline constexpr uint8_t symbol_function = 2;

/// A file in memory. Every access is checked against its size.
struct Image {
    const uint8_t* data;
    uint64_t size;

    /// The `index`th of `count` entries at `offset`, or nullptr when it is not wholly in the file.
    template <typename T>
    const T* at(uint64_t offset, uint64_t index = 0) const {
        if (offset > size || offset % alignof(T) != 0 || index >= (size - offset) / sizeof(T)) return nullptr;
        return reinterpret_cast<const T*>(data + offset) + index;
    }
    /// The header of a file for this machine, or nullptr when it is not one.
    const Header* header() const {
        const Header* const h = at<Header>(0);
        if (h == nullptr || h->magic[0] != 0x7f || h->magic[1] != 'E' || h->magic[2] != 'L' ||
            h->magic[3] != 'F' || h->class_64 != 2 || h->little_endian != 1 || h->machine != machine_x86_64)
            return nullptr;
        return h;
    }
};

/// What to load and where, from the program headers.
struct LoadPlan {
    static constexpr size_t max_segments = 8;
    ProgramHeader segments[max_segments];
    size_t segment_count = 0;
    uint64_t entry = 0;
    uint64_t size = 0;  ///< bytes from the base to the end of the last segment, a multiple of 4096
};

/// Reads what an executable linked at `base` asks for. nullptr when all is well, else why it cannot be
/// loaded.
inline const char* plan_load(const Image& image, uint64_t base, LoadPlan& plan) {
    constexpr uint64_t page = 4096;
    constexpr uint64_t max_size = 64ull << 20;
    const Header* const header = image.header();
    if (header == nullptr || header->type != type_executable) return "it is not an x86-64 ELF executable";
    if (header->program_entry_size != sizeof(ProgramHeader))
        return "its program headers have an unknown size";
    uint64_t end = 0;
    for (uint16_t i = 0; i < header->program_count; ++i) {
        const ProgramHeader* const segment = image.at<ProgramHeader>(header->program_offset, i);
        if (segment == nullptr) return "its program headers lie outside the file";
        if (segment->type != program_load || segment->memory_size == 0) continue;
        const uint64_t offset = segment->virtual_address - base;
        if (segment->virtual_address < base || offset % page != 0)
            return "a segment is not page-aligned in its place";
        if (segment->memory_size > max_size || offset > max_size) return "a segment is too large";
        if (segment->file_size > segment->memory_size || segment->offset > image.size ||
            segment->file_size > image.size - segment->offset)
            return "a segment lies outside the file";
        if (offset < end) return "its segments overlap or are out of order";
        if ((segment->flags & flag_execute) != 0 && (segment->flags & flag_write) != 0)
            return "a segment is writable and executable";
        if (plan.segment_count == LoadPlan::max_segments) return "it has too many segments";
        plan.segments[plan.segment_count++] = *segment;
        end = (offset + segment->memory_size + page - 1) / page * page;
    }
    plan.entry = header->entry;
    plan.size = end;
    if (end == 0) return "it has nothing to load";
    if (plan.entry < base || plan.entry - base >= end) return "its entry point lies outside of it";
    return nullptr;
}

}  // namespace exo::guest::elf
