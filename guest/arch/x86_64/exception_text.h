#pragma once

#include <cstdint>
#include <string_view>

#include "guest/kernel/format.h"

/// Exceptions in words (Intel SDM volume 3, chapter 6). Pure, and tested on the host.
namespace exo::guest::arch {

namespace exception {
inline constexpr std::uint64_t nmi = 2, breakpoint = 3, double_fault = 8, general_protection = 13,
                               page_fault = 14;
inline constexpr std::uint64_t count = 32;
}  // namespace exception

inline std::string_view exception_name(std::uint64_t vector) {
    constexpr std::string_view names[exception::count] = {
        "division error",
        "debug exception",
        "non-maskable interrupt",
        "breakpoint",
        "overflow",
        "bound range exceeded",
        "invalid instruction",
        "no floating-point unit",
        "double fault",
        "coprocessor segment overrun",
        "invalid task state",
        "segment not present",
        "stack segment fault",
        "general protection fault",
        "page fault",
        "exception 15",
        "floating-point error",
        "alignment check",
        "machine check",
        "SIMD floating-point error",
        "virtualization exception",
        "control protection exception",
        "exception 22",
        "exception 23",
        "exception 24",
        "exception 25",
        "exception 26",
        "exception 27",
        "hypervisor injection exception",
        "VMM communication exception",
        "security exception",
        "exception 31",
    };
    return vector < exception::count ? names[vector] : "interrupt";
}

/// What a page fault was, from its error code and address.
struct PageFault {
    std::uint64_t error;
    std::uint64_t address;
};

inline void format_value(TextSink& sink, const PageFault& fault) {
    constexpr std::uint64_t present = 1, write = 2, user = 4, reserved = 8, fetch = 16;
    const std::string_view access = (fault.error & fetch) != 0   ? "execution of"
                                    : (fault.error & write) != 0 ? "write to"
                                                                 : "read from";
    const std::string_view why = (fault.error & reserved) != 0  ? "its page table entry is corrupt"
                                 : (fault.error & present) == 0 ? "nothing is mapped there"
                                 : (fault.error & fetch) != 0   ? "that memory is not executable"
                                 : (fault.error & write) != 0   ? "that memory is read-only"
                                                                : "that memory is not readable";
    format(sink, "{} {:#018x}, {}{}", access, fault.address,
           (fault.error & user) != 0 ? "from user mode, " : "", why);
}

/// An error code that names a segment or gate (general protection, invalid task state, …): where it points.
struct SelectorError {
    std::uint64_t error;
};

inline void format_value(TextSink& sink, const SelectorError& selector) {
    constexpr std::string_view tables[4] = {"GDT", "IDT", "LDT", "IDT"};
    if (selector.error == 0) return sink.write("no selector involved");
    format(sink, "{} entry {}{}", tables[selector.error >> 1 & 3], selector.error >> 3 & 0x1fff,
           (selector.error & 1) != 0 ? ", while an event was delivered" : "");
}

}  // namespace exo::guest::arch
