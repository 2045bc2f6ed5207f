// What the heap of a debug build finds wrong, with the origin of the allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace exo::guest {

enum class HeapFaultKind : std::uint8_t {
    foreign_pointer,  ///< a free of what this heap never handed out
    double_free,
    wrong_size,      ///< a free with another size than the allocation's
    underrun,        ///< bytes before the allocation were written
    overrun,         ///< bytes after the allocation were written
    use_after_free,  ///< found when the memory was handed out again
};

constexpr std::string_view name_of(HeapFaultKind kind) {
    switch (kind) {
        case HeapFaultKind::foreign_pointer:
            return "free of a pointer that the heap did not hand out";
        case HeapFaultKind::double_free:
            return "double free";
        case HeapFaultKind::wrong_size:
            return "free with the wrong size";
        case HeapFaultKind::underrun:
            return "bytes before the allocation were overwritten";
        case HeapFaultKind::overrun:
            return "bytes after the allocation were overwritten";
        case HeapFaultKind::use_after_free:
            return "memory was written after its free";
    }
    return "heap fault";
}

/// Code addresses are 0 where they are not known.
struct HeapFault {
    HeapFaultKind kind;
    const void* pointer;
    std::size_t size = 0;             ///< as it was asked for
    std::uintptr_t allocated_by = 0;  ///< who called the allocation
    std::uintptr_t freed_by = 0;      ///< the earlier free, if there was one
    std::uintptr_t found_by = 0;      ///< who called what found the fault
};

/// May return: a refused free changes nothing.
using HeapFaultHandler = void (*)(const HeapFault&);

/// Allocations of one origin that are still there.
struct LeakSite {
    std::uintptr_t allocated_by = 0;
    std::uint64_t allocations = 0;
    std::uint64_t bytes = 0;
};

}  // namespace exo::guest
