#include "vmm/cli/build_identity.h"

#include <elf.h>
#include <fmt/format.h>
#include <link.h>

#include <cstdint>
#include <cstring>
#include <span>

namespace exo::vmm {
namespace {

constexpr std::size_t shown_bytes = 8;

std::string hex(std::span<const unsigned char> bytes) {
    std::string text;
    for (const unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
    return text;
}

std::size_t aligned(std::size_t size) {
    return (size + 3) / 4 * 4;
}

/// The build id among the notes of a segment, empty when it is not there.
std::string build_id(const unsigned char* notes, std::size_t size) {
    for (std::size_t at = 0; at + sizeof(ElfW(Nhdr)) <= size;) {
        ElfW(Nhdr) note;
        std::memcpy(&note, notes + at, sizeof(note));
        const std::size_t name = at + sizeof(note);
        const std::size_t content = name + aligned(note.n_namesz);
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && std::memcmp(notes + name, "GNU", 4) == 0)
            return hex({notes + content, std::min<std::size_t>(note.n_descsz, shown_bytes)});
        at = content + aligned(note.n_descsz);
    }
    return {};
}

/// The program itself is the first object of all.
int look(dl_phdr_info* object, std::size_t /*size*/, void* result) {
    for (const ElfW(Phdr) & header : std::span(object->dlpi_phdr, object->dlpi_phnum)) {
        if (header.p_type != PT_NOTE) continue;
        const auto* notes = reinterpret_cast<const unsigned char*>(object->dlpi_addr + header.p_vaddr);
        if (auto id = build_id(notes, header.p_memsz); !id.empty())
            *static_cast<std::string*>(result) = std::move(id);
    }
    return 1;
}

}  // namespace

std::string version_and_build() {
    std::string build = "unknown build";
    ::dl_iterate_phdr(look, &build);
    return fmt::format("{} ({})", EXO_VERSION, build);
}

}  // namespace exo::vmm
