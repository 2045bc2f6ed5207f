#include <algorithm>
#include <cstdint>

#include "guest/arch/arch.h"
#include "guest/arch/x86_64/cpu.h"
#include "guest/arch/x86_64/page_table.h"
#include "guest/kernel/selftest.h"
#include "shared/boot/boot_info.h"

// From kernel.ld.
extern "C" const std::byte exo_text_start[], exo_text_end[], exo_rodata_start[], exo_rodata_end[],
    exo_image_end[];

namespace exo::guest {
namespace {

using arch::PageTable;
using arch::Translation;
namespace bit = arch::page_bit;

constexpr std::uint64_t higher_half = 0xffff'8000'0000'0000;

/// The tables that the processor uses now. Nothing is ever stored.
struct ActiveTables {
    std::uint64_t allocate_table() { return 0; }
    std::uint64_t* table(std::uint64_t physical) {
        return reinterpret_cast<std::uint64_t*>(arch::memory_at(physical));
    }
    void store(std::uint64_t*, std::uint64_t) {}
};

Translation translate(std::uint64_t address) {
    ActiveTables memory;
    return PageTable<ActiveTables>(memory, arch::read_cr3() & bit::address, arch::page_size)
        .translate(address);
}

std::uint64_t address_of(const std::byte* symbol) {
    return reinterpret_cast<std::uint64_t>(symbol);
}

/// Visits every mapped page of [start, end]; stops when the visitor says false.
template <typename Visit>
void for_each_page(std::uint64_t start, std::uint64_t end, Visit visit) {
    for (std::uint64_t at = start; at <= end;) {
        const Translation page = translate(at);
        if (page.mapped && !visit(at, page)) return;
        const std::uint64_t next = at - at % page.page + page.page;
        if (next <= at) return;  // the end of the address space
        at = next;
    }
}

void no_page_is_writable_and_executable(TestReport& report) {
    std::uint64_t pages = 0;
    for_each_page(higher_half, ~std::uint64_t{0}, [&](std::uint64_t address, const Translation& page) {
        ++pages;
        const bool writable = (page.entry & bit::writable) != 0;
        const bool executable = (page.entry & bit::no_execute) == 0;
        if (writable && executable) return report.expect_equal(address, 0u, "a page is both, at address");
        // Code lies in the kernel's image and nowhere else.
        const bool in_text = address >= address_of(exo_text_start) && address < address_of(exo_text_end);
        return !executable || report.expect(in_text, "a page outside of the kernel's code is executable");
    });
    report.expect(pages > 10, "hardly anything is mapped: these are not the kernel's tables");
}

void the_image_has_the_rights_of_its_sections(TestReport& report) {
    const auto check = [&](const std::byte* start, const std::byte* end, bool writable, bool executable) {
        for (std::uint64_t at = address_of(start); at < address_of(end); at += arch::page_size) {
            const Translation page = translate(at);
            if (!report.expect(page.mapped, "a page of the kernel is not mapped")) return;
            report.expect_equal((page.entry & bit::writable) != 0, writable,
                                "a page of the kernel is writable");
            report.expect_equal((page.entry & bit::no_execute) == 0, executable,
                                "a page of the kernel is executable");
        }
    };
    check(exo_text_start, exo_text_end, false, true);
    check(exo_rodata_start, exo_rodata_end, false, false);
    check(exo_rodata_end, exo_image_end, true, false);
}

void code_cannot_be_written_by_its_other_address(TestReport& report) {
    for (std::uint64_t at = address_of(exo_text_start); at < address_of(exo_rodata_end);
         at += arch::page_size) {
        const std::uint64_t physical = translate(at).physical;
        const Translation alias = translate(boot::direct_map_base + physical);
        if (alias.mapped)
            report.expect((alias.entry & bit::writable) == 0, "the direct map can write to code");
    }
}

void the_lower_half_is_empty(TestReport& report) {
    bool empty = true;
    for_each_page(0, 0x0000'7fff'ffff'ffff, [&](std::uint64_t address, const Translation&) {
        empty = report.expect_equal(address, 0u, "something is mapped at address");
        return empty;
    });
    report.expect(!translate(0).mapped, "the null page is mapped");
}

void the_stack_ends_in_a_guard(TestReport& report) {
    const auto here = reinterpret_cast<std::uint64_t>(__builtin_frame_address(0));
    std::uint64_t at = here - here % arch::page_size;
    int pages = 0;
    for (; translate(at).mapped && pages < 1024; at -= arch::page_size) ++pages;
    report.expect(pages < 1024, "below the stack everything is mapped");
    for (int i = 0; i < 16; ++i)
        report.expect(!translate(at - static_cast<std::uint64_t>(i) * arch::page_size).mapped,
                      "the guard below the stack is less than 64 KiB");
}

void the_processor_enforces_it(TestReport& report) {
    report.expect((arch::read_cr0() & arch::cr0::write_protect) != 0,
                  "the kernel may write to read-only pages");
    report.expect((arch::rdmsr(arch::msr::efer) & arch::msr::efer_no_execute) != 0, "no-execute is off");
}

constexpr SelfTest tests[] = {
    {"paging: no page is writable and executable", no_page_is_writable_and_executable},
    {"paging: the image has the rights of its sections", the_image_has_the_rights_of_its_sections},
    {"paging: code cannot be written by its other address", code_cannot_be_written_by_its_other_address},
    {"paging: the lower half is empty", the_lower_half_is_empty},
    {"paging: the stack ends in a guard", the_stack_ends_in_a_guard},
    {"paging: the processor enforces it", the_processor_enforces_it},
};
constexpr SelfTestGroup group{tests};
[[gnu::section("exo_selftests"), gnu::used, gnu::retain]] constexpr const SelfTestGroup* registration =
    &group;

}  // namespace
}  // namespace exo::guest
