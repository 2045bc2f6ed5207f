#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "guest/arch/x86_64/page_table.h"

// From kernel.ld.
extern "C" const std::byte exo_text_start[], exo_text_end[], exo_rodata_start[], exo_rodata_end[],
    exo_image_end[];

namespace exo::guest::arch {

/// A part of the kernel's image with rights of its own; page-aligned.
struct ImagePart {
    std::uint64_t start;  ///< where it is linked
    std::uint64_t size;
    PageAccess access;
};

inline std::array<ImagePart, 3> image_parts() {
    const auto part = [](const std::byte* start, const std::byte* end, PageAccess access) {
        return ImagePart{reinterpret_cast<std::uint64_t>(start), static_cast<std::uint64_t>(end - start),
                         access};
    };
    return {part(exo_text_start, exo_text_end, PageAccess::read_execute),
            part(exo_rodata_start, exo_rodata_end, PageAccess::read),
            part(exo_rodata_end, exo_image_end, PageAccess::read_write)};
}

}  // namespace exo::guest::arch
