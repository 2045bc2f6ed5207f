#include "guest/arch/x86_64/exception.h"

#include "guest/arch/arch.h"
#include "guest/arch/x86_64/address_space.h"
#include "guest/arch/x86_64/cpu.h"
#include "guest/arch/x86_64/exception_text.h"
#include "guest/kernel/panic.h"

namespace exo::guest::arch {

// try_msr.S
extern "C" const char exo_rdmsr_that_may_fault[];
extern "C" const char exo_wrmsr_that_may_fault[];
extern "C" const char exo_msr_refused[];

namespace {

constexpr std::uint64_t null_page = 4096;

std::uint64_t address_of(const char (&label)[]) {
    return reinterpret_cast<std::uint64_t>(&label);
}

void print_cause(TextSink& sink, const InterruptFrame& frame, std::uint64_t address) {
    format(sink, "{}", exception_name(frame.vector));
    if (is_stack_guard(address) &&
        (frame.vector == exception::double_fault || frame.vector == exception::page_fault)) {
        format(sink, ": stack overflow, {:#018x} lies in the guard below a stack", address);
    } else if (frame.vector == exception::page_fault) {
        format(sink, ": {}", PageFault{frame.error, address});
        if (address < null_page) sink.write(" (a null pointer)");
    } else if (frame.vector == exception::general_protection) {
        format(sink, ": {}; often an address that is not canonical", SelectorError{frame.error});
    } else if (frame.error != 0) {
        format(sink, ": {}", SelectorError{frame.error});
    }
    sink.write("\n");
}

void print_registers(TextSink& sink, const InterruptFrame& f, std::uint64_t address) {
    format(sink, "  rip {:016x}  rsp {:016x}  rbp {:016x}  rflags {:08x}\n", f.rip, f.rsp, f.rbp, f.rflags);
    format(sink, "  rax {:016x}  rbx {:016x}  rcx {:016x}  rdx {:016x}\n", f.rax, f.rbx, f.rcx, f.rdx);
    format(sink, "  rsi {:016x}  rdi {:016x}  r8  {:016x}  r9  {:016x}\n", f.rsi, f.rdi, f.r8, f.r9);
    format(sink, "  r10 {:016x}  r11 {:016x}  r12 {:016x}  r13 {:016x}\n", f.r10, f.r11, f.r12, f.r13);
    format(sink, "  r14 {:016x}  r15 {:016x}  cr2 {:016x}  cr3 {:016x}\n", f.r14, f.r15, address, read_cr3());
    format(sink, "  vector {}, error code {:#x}, cs {:#x}, ss {:#x}, cpu {}", f.vector, f.error, f.cs, f.ss,
           current_cpu());
}

}  // namespace

constinit BreakpointCounter* BreakpointCounter::current = nullptr;

bool BreakpointCounter::take(const InterruptFrame& frame) {
    if (frame.vector != exception::breakpoint || current == nullptr) return false;
    current->last_ = frame;
    current->count_ = current->count_ + 1;
    return true;
}

bool recover_from_refused_msr(InterruptFrame& frame) {
    if (frame.vector != exception::general_protection) return false;
    if (frame.rip != address_of(exo_rdmsr_that_may_fault) &&
        frame.rip != address_of(exo_wrmsr_that_may_fault))
        return false;
    frame.rip = address_of(exo_msr_refused);
    return true;
}

void report_exception(const InterruptFrame& frame) {
    const std::uint64_t address = read_cr2();
    PanicReport report;
    print_cause(report.sink(), frame, address);
    print_registers(report.sink(), frame, address);
    // After a call to a place that is no code, the caller's address is on top of the stack.
    const bool lost = !is_kernel_code(frame.rip) && is_readable(frame.rsp);
    const Location caller{.address = lost ? *reinterpret_cast<const std::uint64_t*>(frame.rsp) : 0,
                          .is_return = true};
    report.finish(lost ? caller : Location{frame.rip}, frame.rbp);
}

}  // namespace exo::guest::arch
