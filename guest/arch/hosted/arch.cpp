#include "guest/arch/arch.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <climits>
#include <cstdlib>
#include <thread>
#include <vector>

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest/arch/hosted/hosted.h"

namespace exo::guest::arch {
namespace {

class Processor {
  public:
    CpuLocal local;

    /// The interrupt flag, held by who has interrupts off: the CPU, or a device that interrupts it.
    void take_flag() {
        while (flag_.exchange(true, std::memory_order_acquire)) std::this_thread::yield();
    }
    void release_flag() { flag_.store(false, std::memory_order_release); }

    /// From anywhere: an interrupt waits for this CPU.
    void raise() {
        // In this order: a CPU that saw nothing pending on its way to sleep finds that the count has moved.
        pending_.store(true);
        news_.fetch_add(1);
        futex(FUTEX_WAKE_PRIVATE, INT_MAX, nullptr);
    }

    /// The CPU itself, with the flag: whether there is an interrupt to be taken.
    bool take_pending() {
        const bool due = timer_ns_ != no_deadline && now_ns() >= timer_ns_;
        if (due) timer_ns_ = no_deadline;
        // One of the two is enough, and the other is looked at all the same.
        return pending_.exchange(false) || due;
    }
    bool may_be_pending() const {
        return pending_.load(std::memory_order_relaxed) ||
               (timer_ns_ != no_deadline && now_ns() >= timer_ns_);
    }

    /// The CPU itself, with the flag, which others may take while it sleeps.
    void sleep(std::uint64_t deadline_ns) {
        deadline_ns = std::min(deadline_ns, timer_ns_);
        const std::uint32_t seen = news_.load();
        const bool interrupted = pending_.load();
        release_flag();
        if (!interrupted) sleep_until(seen, deadline_ns);
        take_flag();
    }

    void set_timer(std::uint64_t deadline_ns) { timer_ns_ = deadline_ns; }

  private:
    void sleep_until(std::uint32_t seen, std::uint64_t deadline_ns) {
        if (deadline_ns == no_deadline) {
            futex(FUTEX_WAIT_PRIVATE, seen, nullptr);
            return;
        }
        const std::uint64_t now = now_ns();
        if (deadline_ns <= now) return;
        const std::uint64_t span = deadline_ns - now;
        const timespec timeout{.tv_sec = static_cast<time_t>(span / ns_per_s),
                               .tv_nsec = static_cast<long>(span % ns_per_s)};
        futex(FUTEX_WAIT_PRIVATE, seen, &timeout);
    }
    void futex(int operation, std::uint32_t value, const timespec* timeout) {
        syscall(SYS_futex, &news_, operation, value, timeout, nullptr, 0);
    }

    std::atomic<bool> flag_ = false;
    std::atomic<bool> pending_ = false;
    std::atomic<std::uint32_t> news_ = 0;  ///< counts interrupts; what the CPU sleeps on
    std::uint64_t timer_ns_ = no_deadline;
};

/// The CPUs of the machine; without one, CPU 0 alone.
struct Machine {
    std::vector<std::unique_ptr<Processor>> processors;
    std::vector<std::thread> threads;
    std::atomic<unsigned> running = 1;
};

void add_processor(Machine& machine) {
    machine.processors.push_back(std::make_unique<Processor>());
    CpuLocal& local = machine.processors.back()->local;
    local.self = &local;
    local.number = static_cast<unsigned>(machine.processors.size() - 1);
}

Machine& machine() {
    static Machine the_machine;
    static const bool has_first = (add_processor(the_machine), true);
    static_cast<void>(has_first);
    return the_machine;
}

std::atomic<InterruptExitHook> exit_hook = nullptr;

/// Which CPU a host thread is, and whether it holds that CPU's flag.
struct Presence {
    Processor* processor = nullptr;
    bool holds_flag = false;
    bool in_handler = false;
};
thread_local Presence presence_of_thread;

/// Never inlined: the caller may go on in another host thread, and the compiler must not remember this one.
[[gnu::noinline]] Presence& presence() {
    asm volatile("" : : : "memory");
    if (presence_of_thread.processor == nullptr)
        presence_of_thread.processor = machine().processors.front().get();
    return presence_of_thread;
}
[[gnu::noinline]] Processor& processor() {
    asm volatile("" : : : "memory");
    return *presence().processor;
}
[[gnu::noinline]] void set_flag_held(bool held) {
    presence().holds_flag = held;
}
[[gnu::noinline]] bool flag_held() {
    return presence().holds_flag;
}

/// Takes the interrupts that wait, as the machine does as soon as they are on. Interrupts are off, and are
/// off again when this returns, maybe on another host thread: the hook may switch.
[[gnu::noinline]] void take_interrupts() {
    while (processor().take_pending()) {
        const InterruptExitHook hook = exit_hook.load();
        if (hook != nullptr) hook();
    }
}

/// Only what is a CPU takes interrupts: a host thread outside, and a handler, do not.
[[gnu::noinline]] bool may_take_interrupts() {
    const Presence& here = presence();
    return !here.in_handler && here.processor->may_be_pending();
}

std::size_t guard_size() {
    return static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

void run_other_cpu(unsigned cpu, void (*entry)(unsigned cpu)) {
    presence().processor = machine().processors[cpu].get();
    disable_interrupts();
    entry(cpu);
    enable_interrupts();
    presence().processor = nullptr;
}

}  // namespace

void pause() {
    if (interrupts_enabled() && may_take_interrupts()) {
        disable_interrupts();
        enable_interrupts();
    }
    std::this_thread::yield();
}

std::uint64_t timestamp() {
    return now_ns();
}
std::uint64_t timestamp_frequency() {
    return ns_per_s;
}
std::uint64_t now_ns() {
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

unsigned cpu_count() {
    return machine().running.load();
}
unsigned current_cpu() {
    return processor().local.number;
}
CpuLocal& cpu_local() {
    return processor().local;
}
CpuLocal& cpu_local(unsigned cpu) {
    return machine().processors[cpu]->local;
}
Thread* current_thread() {
    return processor().local.current_thread;
}
void* current_heap_cache() {
    return processor().local.heap_cache;
}

void start_other_cpus(void (*entry)(unsigned cpu)) {
    Machine& all = machine();
    all.running = static_cast<unsigned>(all.processors.size());
    for (unsigned cpu = 1; cpu < all.processors.size(); ++cpu)
        all.threads.emplace_back(run_other_cpu, cpu, entry);
}

void interrupt_cpu(unsigned cpu) {
    machine().processors[cpu]->raise();
}
void set_interrupt_exit_hook(InterruptExitHook hook) {
    exit_hook = hook;
}
void set_timer(std::uint64_t deadline_ns) {
    processor().set_timer(deadline_ns);
}
/// Calls are made from here, in the other CPU's name: nothing a call may do depends on the host thread.
void call_on_cpu(unsigned, void (*function)(void* context), void* context) {
    const InterruptGuard guard;
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
    return !flag_held();
}

void disable_interrupts() {
    if (flag_held()) return;
    processor().take_flag();
    set_flag_held(true);
}

void enable_interrupts() {
    if (!flag_held()) return;
    if (may_take_interrupts()) take_interrupts();
    set_flag_held(false);
    processor().release_flag();
}

void wait_for_interrupt(std::uint64_t deadline_ns) {
    processor().sleep(deadline_ns);
    take_interrupts();
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

void run_machine(unsigned cpus, const std::function<void()>& boot) {
    Machine& all = machine();
    while (all.processors.size() < cpus) add_processor(all);
    boot();
    for (std::thread& thread : all.threads) thread.join();
    all.threads.clear();
    all.processors.resize(1);
    all.running = 1;
    exit_hook = nullptr;
}

void deliver_interrupt(void (*handler)(void*), void* context) {
    Processor& first = *machine().processors.front();
    const Presence before =
        std::exchange(presence(), Presence{.processor = &first, .holds_flag = true, .in_handler = true});
    first.take_flag();
    handler(context);
    first.raise();
    first.release_flag();
    presence() = before;
}

std::uint64_t HostedTime::now_ns() const {
    return arch::now_ns();
}

void HostedTime::relax() {
    pause();
}

}  // namespace hosted
}  // namespace exo::guest::arch
