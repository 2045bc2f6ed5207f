#include "guest/sched/switch/simd_state.h"

#include <cstring>

#include "guest/sched/switch/vector_clobbers.h"

namespace exo::guest {
namespace {

using Method = SimdFormat::Method;

// Offsets in an area (Intel SDM volume 1, table 10-2 and 13.4).
constexpr std::size_t x87_control_word = 0;
constexpr std::size_t mxcsr = 24;
constexpr std::size_t compaction = 520;

template <class Value>
void put(std::byte* area, std::size_t offset, Value value) {
    std::memcpy(area + offset, &value, sizeof(value));
}

/// Gives the x87's last instruction and operand addresses of our own.
void overwrite_x87_pointers() {
    static constexpr int operand = 0;
    asm volatile(
        "fnclex\n\t"
        "emms\n\t"
        "fildl %0"
        :
        : "m"(operand)
        : EXO_X87_CLOBBERS);
}

}  // namespace

SimdState::SimdState(const SimdFormat& format, std::byte* area) : format_(format), area_(area) {
    std::memset(area, 0, format.bytes);
    put<std::uint16_t>(area, x87_control_word, 0x37f);
    put<std::uint32_t>(area, mxcsr, 0x1f80);
    // No component is marked as present, so restoring sets all to their initial state.
    constexpr std::uint64_t compacted = std::uint64_t{1} << 63;
    if (format.method == Method::xsavec) put(area, compaction, compacted | format.components);
}

void SimdState::save() {
    const auto low = static_cast<std::uint32_t>(format_.components);
    const auto high = static_cast<std::uint32_t>(format_.components >> 32);
    switch (format_.method) {
        case Method::fxsave:
            asm volatile("fxsave64 (%0)" : : "r"(area_) : "memory");
            break;
        case Method::xsave:
            asm volatile("xsave64 (%0)" : : "r"(area_), "a"(low), "d"(high) : "memory");
            break;
        case Method::xsaveopt:
            asm volatile("xsaveopt64 (%0)" : : "r"(area_), "a"(low), "d"(high) : "memory");
            break;
        case Method::xsavec:
            asm volatile("xsavec64 (%0)" : : "r"(area_), "a"(low), "d"(high) : "memory");
            break;
    }
}

void SimdState::restore() const {
    if (format_.leaves_x87_pointers) overwrite_x87_pointers();
    const auto low = static_cast<std::uint32_t>(format_.components);
    const auto high = static_cast<std::uint32_t>(format_.components >> 32);
    if (format_.method == Method::fxsave)
        asm volatile("fxrstor64 (%0)" : : "r"(area_) : "memory", EXO_VECTOR_CLOBBERS);
    else
        asm volatile("xrstor64 (%0)" : : "r"(area_), "a"(low), "d"(high) : "memory", EXO_VECTOR_CLOBBERS);
}

}  // namespace exo::guest
