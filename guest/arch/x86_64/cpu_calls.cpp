#include "guest/arch/x86_64/cpu_calls.h"

#include <array>
#include <atomic>
#include <span>

#include "guest/arch/lock_record.h"
#include "guest/arch/x86_64/cpu.h"
#include "guest/arch/x86_64/local_apic.h"
#include "guest/arch/x86_64/page_table.h"

namespace exo::guest::arch {
namespace {

constinit std::atomic<InterruptExitHook> exit_hook = nullptr;
constinit std::atomic<bool> stop_asked = false;

/// Puts a call into a processor's list. Who finds the list empty sends the interrupt; the handler takes all.
void send(Processor& target, CpuCall& call) {
    CpuCall* first = target.calls.load(std::memory_order_relaxed);
    do call.next = first;
    while (!target.calls.compare_exchange_weak(first, &call, std::memory_order_release,
                                               std::memory_order_relaxed));
    if (first == nullptr) send_interrupt(target.apic_id, vector::call);
}

void wait_for(const CpuCall& call) {
    while (!call.done.load(std::memory_order_acquire)) {
        // With interrupts off nobody else would answer who waits for this processor in the same way.
        if (!interrupts_enabled()) run_calls(this_processor());
        pause();
    }
}

/// One call for each processor but this one.
class CallsToOthers {
  public:
    /// Interrupts are off, so that "this one" is the same all the while.
    void send_all(void (*function)(void* context), void* context) {
        for (unsigned cpu = 0; cpu < cpu_count(); ++cpu) {
            CpuCall& call = calls_[cpu];
            call.function = function;
            call.context = context;
            call.done = cpu == current_cpu();
            if (cpu != current_cpu()) send(processors[cpu], call);
        }
    }
    void wait_for_all() const {
        for (const CpuCall& call : std::span(calls_).first(cpu_count())) wait_for(call);
    }

  private:
    std::array<CpuCall, maximum_cpus> calls_;
};

/// Drops what this processor has cached of a range.
void flush_here(const AddressRange& range) {
    // Beyond that, what is lost of the rest costs less than the instructions.
    constexpr std::uint64_t most_pages = 32;
    const std::uint64_t first = range.start / page_size;
    const std::uint64_t pages = (range.start + range.size + page_size - 1) / page_size - first;
    if (pages <= most_pages) {
        for (std::uint64_t page = first; page < first + pages; ++page) invalidate_page(page * page_size);
        return;
    }
    const InterruptGuard guard;
    write_cr4(read_cr4() & ~cr4::global_pages);  // all of it, global pages too
    write_cr4(read_cr4() | cr4::global_pages);
}

}  // namespace

void interrupt_cpu(unsigned cpu) {
    send_interrupt(processors[cpu].apic_id, vector::reschedule);
}

void set_interrupt_exit_hook(InterruptExitHook hook) {
    exit_hook.store(hook);
}

void run_exit_hook(Processor& processor) {
    const InterruptExitHook hook = exit_hook.load(std::memory_order_relaxed);
    if (hook != nullptr && processor.interrupt_depth == 0) hook();
}

void run_calls(Processor& processor) {
    CpuCall* call = processor.calls.exchange(nullptr, std::memory_order_acquire);
    while (call != nullptr) {
        CpuCall* const next = call->next;  // the call is gone as soon as it is done
        call->function(call->context);
        call->done.store(true, std::memory_order_release);
        call = next;
    }
}

void call_on_cpu(unsigned cpu, void (*function)(void* context), void* context) {
    LockRecord::expect_none_held("a call on another processor");
    CpuCall call{.function = function, .context = context};
    {
        const InterruptGuard guard;
        if (cpu == current_cpu()) return function(context);
        send(processors[cpu], call);
    }
    wait_for(call);
}

void call_on_every_cpu(void (*function)(void* context), void* context) {
    CallsToOthers calls;
    {
        const InterruptGuard guard;
        calls.send_all(function, context);
        Processor& self = this_processor();
        ++self.interrupt_depth;
        function(context);
        --self.interrupt_depth;
        run_exit_hook(self);
    }
    calls.wait_for_all();
}

void flush_tlb_everywhere(AddressRange range) {
    LockRecord::expect_none_held("a TLB shoot-down");
    const auto flush = [](void* context) { flush_here(*static_cast<const AddressRange*>(context)); };
    CallsToOthers calls;
    {
        const InterruptGuard guard;
        calls.send_all(flush, &range);
        flush_here(range);
    }
    calls.wait_for_all();
}

void stop_other_cpus() {
    // A second; before the clock is known, not for ever.
    const std::uint64_t ticks = timestamp_frequency() != 0 ? timestamp_frequency() : std::uint64_t{1} << 32;
    if (cpu_count() == 1 || stop_asked.exchange(true)) return;
    send_nmi_to_others();
    const std::uint64_t start = rdtsc();
    for (unsigned cpu = 0; cpu < cpu_count(); ++cpu)
        while (cpu != current_cpu() && stopped_at(cpu) == 0 && rdtsc() - start < ticks) pause();
}

std::uintptr_t stopped_at(unsigned cpu) {
    return processors[cpu].stopped_at.load(std::memory_order_acquire);
}

void stop_if_asked(std::uintptr_t address) {
    if (!stop_asked.load()) return;
    this_processor().stopped_at.store(address, std::memory_order_release);
    halt();
}

}  // namespace exo::guest::arch
