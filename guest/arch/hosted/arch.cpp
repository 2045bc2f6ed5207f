#include "guest/arch/arch.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>

#include <sys/mman.h>
#include <unistd.h>

#include "guest/arch/hosted/hosted.h"

namespace exo::guest::arch {
namespace {

struct Processor {
    std::mutex interrupts_off;
    std::condition_variable interrupted;
};

Processor processor;
thread_local bool holds_interrupts_off = false;
constinit CpuLocal only_cpu{.self = &only_cpu};
constinit InterruptExitHook exit_hook = nullptr;
/// Guarded by the lock that is the interrupt flag.
constinit std::uint64_t timer_deadline_ns = no_deadline;

/// As an interrupt of the processor: under the lock, with the hook behind it.
template <typename Handler>
void run_interrupt(Handler handler) {
    {
        const std::lock_guard lock(processor.interrupts_off);
        handler();
        if (exit_hook != nullptr) exit_hook();
    }
    processor.interrupted.notify_all();
}

std::size_t guard_size() {
    return static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

void pause() {
    std::this_thread::yield();
}

std::uint64_t timestamp() {
    return hosted::HostedTime().now_ns();
}
std::uint64_t timestamp_frequency() {
    return ns_per_s;
}

unsigned cpu_count() {
    return 1;
}
unsigned current_cpu() {
    return 0;
}
CpuLocal& cpu_local() {
    return only_cpu;
}
CpuLocal& cpu_local(unsigned) {
    return only_cpu;
}
Thread* current_thread() {
    return only_cpu.current_thread;
}
void* current_heap_cache() {
    return only_cpu.heap_cache;
}
void start_other_cpus(void (*)(unsigned)) {}

void interrupt_cpu(unsigned) {
    run_interrupt([] {});
}
void set_interrupt_exit_hook(InterruptExitHook hook) {
    exit_hook = hook;
}
void set_timer(std::uint64_t deadline_ns) {
    timer_deadline_ns = deadline_ns;
}
void call_on_cpu(unsigned, void (*function)(void* context), void* context) {
    function(context);
}
void flush_tlb_everywhere(AddressRange) {}

Result<std::span<std::byte>> allocate_guarded_stack(std::size_t size) {
    const std::size_t page = guard_size();
    const std::size_t bytes = (size + page - 1) / page * page;
    void* const memory =
        mmap(nullptr, bytes + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return fail("stack", "the process has no memory left for it");
    auto* const stack = static_cast<std::byte*>(memory) + page;
    if (mprotect(stack, bytes, PROT_READ | PROT_WRITE) != 0) {
        munmap(memory, bytes + page);
        return fail("stack", "the process has no memory left for it");
    }
    return std::span(stack, bytes);
}
void release_guarded_stack(std::span<std::byte> stack) {
    munmap(stack.data() - guard_size(), stack.size() + guard_size());
}

bool interrupts_enabled() {
    return !holds_interrupts_off;
}

void enable_interrupts() {
    if (!holds_interrupts_off) return;
    holds_interrupts_off = false;
    processor.interrupts_off.unlock();
}

void disable_interrupts() {
    if (holds_interrupts_off) return;
    processor.interrupts_off.lock();
    holds_interrupts_off = true;
}

void wait_for_interrupt(std::uint64_t deadline_ns) {
    deadline_ns = std::min(deadline_ns, timer_deadline_ns);
    std::unique_lock lock(processor.interrupts_off, std::adopt_lock);
    if (deadline_ns == no_deadline) {
        processor.interrupted.wait(lock);
    } else {
        using std::chrono::nanoseconds;
        using std::chrono::steady_clock;
        processor.interrupted.wait_until(
            lock, steady_clock::time_point(nanoseconds(static_cast<std::int64_t>(deadline_ns))));
    }
    lock.release();
}

std::byte* memory_at(std::uint64_t physical) {
    return reinterpret_cast<std::byte*>(physical);
}

bool is_readable(std::uintptr_t) {
    return true;
}  // tests hand in memory of their own

void stop_other_cpus() {}
std::uintptr_t stopped_at(unsigned) {
    return 0;
}
void halt() {
    std::abort();
}

void triple_fault() {
    std::abort();
}

namespace hosted {

void deliver_interrupt(void (*handler)(void*), void* context) {
    run_interrupt([&] { handler(context); });
}

std::uint64_t HostedTime::now_ns() const {
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

void HostedTime::relax() {
    pause();
}

}  // namespace hosted
}  // namespace exo::guest::arch
