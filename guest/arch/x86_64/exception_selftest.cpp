#include <cstdint>

#include "guest/arch/arch.h"
#include "guest/arch/x86_64/exception.h"
#include "guest/kernel/selftest.h"

namespace exo::guest {
namespace {

using arch::BreakpointCounter;
using arch::InterruptFrame;

void a_breakpoint_returns(TestReport& report) {
    const BreakpointCounter counter;
    for (int i = 0; i < 3; ++i) asm volatile("int3");
    report.expect_equal(counter.count(), 3u, "breakpoints seen");
}

/// Gives every register a value of its own, breaks, and gathers what changed.
void all_registers_are_left_alone(TestReport& report) {
    const BreakpointCounter counter;
    std::uint64_t changed = 0;
    asm volatile(R"(
        push %%rbx; push %%rbp
        mov $0x1111111111111111, %%rax
        lea 1(%%rax), %%rbx; lea 2(%%rax), %%rcx; lea 3(%%rax), %%rdx; lea 4(%%rax), %%rsi
        lea 5(%%rax), %%rdi; lea 6(%%rax), %%rbp; lea 7(%%rax), %%r8;  lea 8(%%rax), %%r9
        lea 9(%%rax), %%r10; lea 10(%%rax), %%r11; lea 11(%%rax), %%r12; lea 12(%%rax), %%r13
        lea 13(%%rax), %%r14
        mov %%rsp, %%r15
        int3
        sub %%rsp, %%r15
        sub %%rax, %%rbx; sub %%rax, %%rcx; sub %%rax, %%rdx; sub %%rax, %%rsi
        sub %%rax, %%rdi; sub %%rax, %%rbp; sub %%rax, %%r8;  sub %%rax, %%r9
        sub %%rax, %%r10; sub %%rax, %%r11; sub %%rax, %%r12; sub %%rax, %%r13
        sub %%rax, %%r14
        xor $1, %%rbx; xor $2, %%rcx; xor $3, %%rdx; xor $4, %%rsi; xor $5, %%rdi; xor $6, %%rbp
        xor $7, %%r8; xor $8, %%r9; xor $9, %%r10; xor $10, %%r11; xor $11, %%r12; xor $12, %%r13
        xor $13, %%r14
        or %%rbx, %%r15; or %%rcx, %%r15; or %%rdx, %%r15; or %%rsi, %%r15; or %%rdi, %%r15; or %%rbp, %%r15
        or %%r8, %%r15; or %%r9, %%r15; or %%r10, %%r15; or %%r11, %%r15; or %%r12, %%r15; or %%r13, %%r15
        or %%r14, %%r15
        pop %%rbp; pop %%rbx
        mov %%r15, %0)"
                 : "=a"(changed)
                 :
                 : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc",
                   "memory");
    report.expect_equal(counter.count(), 1u, "breakpoints seen");
    report.expect_equal(changed, 0u, "bits that changed in registers across an exception");
}

void the_frame_tells_where_it_was(TestReport& report) {
    const BreakpointCounter counter;
    std::uint64_t behind = 0;
    asm volatile("int3; lea (%%rip), %0" : "=r"(behind));
    const InterruptFrame& frame = counter.last();
    // It names the instruction behind INT3, which is LEA, at most 7 bytes long.
    report.expect(frame.rip < behind && behind - frame.rip <= 7, "the frame names another instruction");
    report.expect_equal(frame.cs & 3, 0u, "the exception came from privilege level");
    report.expect((frame.rflags & 0x200) != 0, "interrupts were off in the frame");
}

void interrupts_are_as_before(TestReport& report) {
    const BreakpointCounter counter;
    asm volatile("int3");
    report.expect(arch::interrupts_enabled(), "an exception left interrupts off");
    const arch::InterruptGuard guard;
    asm volatile("int3");
    report.expect(!arch::interrupts_enabled(), "an exception turned interrupts on");
}

constexpr SelfTest tests[] = {
    {"exceptions: a breakpoint returns", a_breakpoint_returns},
    {"exceptions: all registers are left alone", all_registers_are_left_alone},
    {"exceptions: the frame tells where it was", the_frame_tells_where_it_was},
    {"exceptions: interrupts are as before", interrupts_are_as_before},
};
constexpr SelfTestGroup group{tests};
[[gnu::section("exo_selftests"), gnu::used, gnu::retain]] constexpr const SelfTestGroup* registration =
    &group;

}  // namespace
}  // namespace exo::guest
