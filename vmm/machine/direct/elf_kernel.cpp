#include "vmm/machine/direct/elf_kernel.h"

#include <elf.h>

#include <algorithm>
#include <optional>

#include "shared/boot/pvh.h"
#include "vmm/base/byte_view.h"

namespace exo::vmm {
namespace {

using Bytes = std::span<const std::byte>;
using Segments = std::vector<PvhKernel::Segment>;

/// Guest-physical addresses have 52 bits at most.
constexpr std::uint64_t address_limit = 1ull << 52;

std::expected<PvhKernel::Segment, std::string> segment_of(Bytes file, const Elf64_Phdr& header) {
    const auto bytes = bytes_at(file, header.p_offset, header.p_filesz);
    if (!bytes || header.p_filesz > header.p_memsz)
        return std::unexpected("a segment lies outside the ELF file");
    if (header.p_paddr >= address_limit || header.p_memsz > address_limit - header.p_paddr)
        return std::unexpected("a segment has an address that no machine has");
    return PvhKernel::Segment{{header.p_paddr}, header.p_memsz, *bytes};
}

constexpr std::uint64_t up_to_word(std::uint64_t size) {
    return (size + 3) / 4 * 4;
}

/// The descriptor of the note "Xen" that holds the entry.
std::optional<GuestAddress> entry_in_notes(Bytes notes) {
    while (const auto header = value_at<Elf64_Nhdr>(notes, 0)) {
        const std::uint64_t name_at = sizeof(Elf64_Nhdr);
        const std::uint64_t descriptor_at = name_at + up_to_word(header->n_namesz);
        const auto name = bytes_at(notes, name_at, header->n_namesz);
        const auto descriptor = bytes_at(notes, descriptor_at, header->n_descsz);
        if (!name || !descriptor) break;
        constexpr char xen[] = "Xen";
        if (header->n_type == boot::pvh::note_entry && name->size() == sizeof(xen) &&
            std::memcmp(name->data(), xen, sizeof(xen)) == 0) {
            if (const auto wide = value_at<std::uint64_t>(*descriptor, 0)) return GuestAddress{*wide};
            if (const auto narrow = value_at<std::uint32_t>(*descriptor, 0)) return GuestAddress{*narrow};
        }
        notes = notes.subspan(
            std::min<std::uint64_t>(descriptor_at + up_to_word(header->n_descsz), notes.size()));
    }
    return std::nullopt;
}

bool is_for_this_machine(const Elf64_Ehdr& header) {
    return std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_ident[EI_CLASS] == ELFCLASS64 &&
           header.e_ident[EI_DATA] == ELFDATA2LSB && header.e_machine == EM_X86_64;
}

bool disjoint(const Segments& segments) {
    return std::ranges::adjacent_find(segments, [](const auto& a, const auto& b) {
               return b.start.value - a.start.value < a.memory_size;
           }) == segments.end();
}

bool holds(const PvhKernel::Segment& segment, GuestAddress address) {
    return address >= segment.start && address.value - segment.start.value < segment.memory_size;
}

}  // namespace

std::expected<PvhKernel, std::string> parse_elf_kernel(std::span<const std::byte> file) {
    const auto header = value_at<Elf64_Ehdr>(file, 0);
    if (!header || !is_for_this_machine(*header)) return std::unexpected("it is not an ELF file for x86_64");
    if (header->e_phentsize != sizeof(Elf64_Phdr))
        return std::unexpected("its program headers have an unknown size");
    PvhKernel kernel;
    std::optional<GuestAddress> entry;
    for (std::uint64_t i = 0; i < header->e_phnum; ++i) {
        const auto offset = bytes_at(file, header->e_phoff, i * sizeof(Elf64_Phdr));
        const auto program =
            offset ? value_at<Elf64_Phdr>(file, header->e_phoff + i * sizeof(Elf64_Phdr)) : std::nullopt;
        if (!program) return std::unexpected("its program headers lie outside the ELF file");
        if (program->p_type == PT_NOTE && !entry) {
            const auto notes = bytes_at(file, program->p_offset, program->p_filesz);
            if (notes) entry = entry_in_notes(*notes);
        }
        if (program->p_type != PT_LOAD || program->p_memsz == 0) continue;
        auto segment = segment_of(file, *program);
        if (!segment) return std::unexpected(segment.error());
        kernel.segments.push_back(*segment);
    }
    if (kernel.segments.empty()) return std::unexpected("it is an ELF file with nothing to load");
    if (!entry) return std::unexpected("it is an ELF file without a PVH entry (an ELF note of Xen's)");
    std::ranges::sort(kernel.segments, {}, &PvhKernel::Segment::start);
    if (!disjoint(kernel.segments)) return std::unexpected("its segments overlap");
    if (std::ranges::none_of(kernel.segments, [&](const auto& s) { return holds(s, *entry); }))
        return std::unexpected("its PVH entry lies outside of it");
    kernel.entry = *entry;
    return kernel;
}

}  // namespace exo::vmm
