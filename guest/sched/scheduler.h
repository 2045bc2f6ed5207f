#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include "guest/kernel/error.h"
#include "guest/sched/idle_set.h"
#include "guest/sched/policy/policy.h"
#include "guest/sched/scheduler_cpu.h"
#include "guest/sched/thread.h"
#include "guest/sched/thread_handle.h"
#include "shared/fusion/native_atomics.h"

namespace exo::guest {

/// What can be told of a thread, as it was at one moment.
struct ThreadInfo {
    enum class State : std::uint8_t { running, ready, waiting, ended };

    std::array<char, Thread::longest_name + 1> name = {};  ///< ends with a zero
    std::uint32_t id = 0;
    State state = State::waiting;
    bool is_idle = false;
    unsigned cpu = 0;  ///< where it runs, or ran last
    ThreadClass thread_class = ThreadClass::hot;
    Nanoseconds prediction = 0;
    Nanoseconds run_time = 0;
    std::uint64_t switches = 0;  ///< times that it got a CPU
    std::size_t stack_size = 0;
    std::size_t stack_used = 0;  ///< the most that it has ever used
};

struct SchedulerCpuInfo {
    SchedulerCpuCounts counts;
    SchedulerStatistics statistics;
    std::uint32_t ready = 0;
    DecisionTrace trace;
};

/// Runs threads on the CPUs of the machine. Each CPU has a queue and a lock of its own; no lock is global.
///
/// Lock order: a WaitQueue, then a CPU's timers, then a CPU's queue. All are held with interrupts off. The
/// lock of a queue is held over a switch and given back by the thread that goes on, which also finishes what
/// is to be done for the one that left: only then is that one parked, or seen as ended, and nobody ever runs
/// on a stack that is still in use.
class Scheduler {
  public:
    /// For CPUs 0 to `cpus` - 1. None of them does anything before it calls run_cpu(). Without `simd`, which
    /// outlives it, no thread can have vector registers.
    static Result<std::unique_ptr<Scheduler>> create(unsigned cpus, PolicyKind policy = default_policy,
                                                     const SimdFormat* simd = nullptr);
    /// All threads have ended, all CPUs have returned from run_cpu().
    ~Scheduler();
    Scheduler(const Scheduler&) = delete;
    Scheduler& operator=(const Scheduler&) = delete;

    /// The CPU this runs on takes part from now on; what runs now becomes what it does when idle. Interrupts
    /// are off, then and when this returns: after stop(), which a kernel never calls.
    void run_cpu();
    /// Called by the last thread.
    void stop();

    /// Starts a thread that calls `body()`, of which it keeps a copy; what it returns, if anything, becomes
    /// its exit status. May be called before any CPU runs. Fails when there is no memory, or no SIMD state.
    template <class Callable>
    Result<ThreadHandle> spawn(const ThreadOptions& options, Callable&& body) {
        using Kept = std::decay_t<Callable>;
        const auto made = make_thread(options, sizeof(Kept) + alignof(Kept));
        if (!made) return std::unexpected(made.error());
        Thread& thread = **made;
        thread.callable_ =
            new (thread.stack_.reserve(sizeof(Kept), alignof(Kept))) Kept(std::forward<Callable>(body));
        thread.body_ = [](void* callable) {
            Kept& kept = *static_cast<Kept*>(callable);
            int status = 0;
            if constexpr (std::is_void_v<std::invoke_result_t<Kept&>>)
                kept();
            else
                status = static_cast<int>(kept());
            kept.~Kept();
            return status;
        };
        start(thread);
        return ThreadHandle(thread);
    }

    unsigned cpu_count() const { return cpu_count_; }
    PolicyKind policy() const { return policy_.load(std::memory_order_relaxed); }
    /// From now on. What threads are expected to do is learned only while the policy is predictive.
    void use_policy(PolicyKind policy);

    /// All threads, as many as there is room for, the eldest first; their number.
    std::size_t list(std::span<ThreadInfo> infos);
    SchedulerCpuInfo cpu_info(unsigned cpu);

    // For what is built on it: see this_thread.h and the wait queues.

    /// Lets go of the CPU until unpark(), or until the clock has reached the deadline; may come back early.
    /// Interrupts are off. Without a scheduler the CPU itself sleeps.
    static void park(std::uint64_t deadline_ns);
    /// The thread runs on, or will not sleep the next time it parks. From any context. It must still exist.
    void unpark(Thread& thread);
    /// All that are ready go first.
    static void yield();
    /// Whether threads wait for this CPU: who polls takes it from them. A moment old.
    static bool others_are_ready() { return ready_here() != 0; }
    /// How many they are.
    static std::uint32_t ready_here();
    /// The running thread gives way if it should. Interrupts are on.
    static void preemption_point();

    /// Frees what detached threads left behind.
    void reclaim();

  private:
    friend class ThreadHandle;
    friend class PreemptionGuard;
    template <class T>
    friend class ThreadLocal;

    using LocalDestroy = void (*)(void* data);

    Scheduler(unsigned cpus, PolicyKind policy, const SimdFormat* simd);

    static void on_interrupt_exit();
    static void thread_entry(void* thread, void* left);
    static SchedulerCpu& this_cpu() { return *arch::cpu_local().scheduler; }

    Result<Thread*> make_thread(const ThreadOptions& options, std::size_t callable_size);
    Result<void> give_simd(Thread& thread);
    void start(Thread& thread);
    void make_ready(Thread& thread);
    unsigned choose_cpu(const Thread& thread, Nanoseconds now);
    void rouse(SchedulerCpu& target, bool look_again);
    void wake(unsigned cpu);
    void interrupt(unsigned cpu);

    void park_running(Thread& self, std::uint64_t deadline_ns);
    void yield_running(Thread& self);
    void reconsider(Thread& self);
    void leave(SchedulerCpu& cpu, Thread& self, Thread::Leaving how, Nanoseconds now)
        EXO_THREAD_SAFETY(release_capability(cpu.lock_));
    static void make_current(SchedulerCpu& cpu, Thread& next);
    static void finish_switch(Thread& left);
    void unpark_left(SchedulerCpu& cpu, Thread& left) EXO_THREAD_SAFETY(release_capability(cpu.lock_));
    [[noreturn]] void end_running(Thread& self, int status);
    void ended(Thread& thread);

    void arm_timer(Thread& self, std::uint64_t deadline_ns);
    void disarm_timer(Thread& self);
    void wake_due(SchedulerCpu& cpu, Nanoseconds now);
    static void program_timer(SchedulerCpu& cpu, Nanoseconds now)
        EXO_THREAD_SAFETY(requires_capability(cpu.lock_));

    void idle(SchedulerCpu& cpu);
    static void sleep(SchedulerCpu& cpu);
    bool anything_ready() const;
    void steal(SchedulerCpu& thief);

    /// Gives up one ownership; true when it was the last.
    static bool disown(Thread& thread);
    void destroy(Thread& thread);

    std::size_t list_without_stacks(std::span<ThreadInfo> infos);
    ThreadInfo describe(const Thread& thread, Nanoseconds now) const;
    ThreadInfo describe_idle(const SchedulerCpu& cpu, Nanoseconds now) const;
    void add_stack_use(ThreadInfo& info);
    void lock_all_cpus();
    void unlock_all_cpus();

    Result<unsigned> take_local_slot(LocalDestroy destroyer);
    void release_local_slot(unsigned slot);
    void destroy_locals(Thread& thread);

    std::atomic<PolicyKind> policy_;
    const SimdFormat* const simd_;
    const unsigned cpu_count_;
    std::array<std::unique_ptr<SchedulerCpu>, arch::maximum_cpus> cpus_;
    IdleSet<fusion::NativeAtomics> idle_;
    std::atomic<bool> stopping_ = false;
    std::atomic<std::uint32_t> next_id_ = 1;
    std::array<std::atomic<LocalDestroy>, Thread::local_slots> local_destroy_ = {};

    StackPool stacks_;
    SpinLock threads_lock_;
    Thread* first_thread_ EXO_THREAD_SAFETY(guarded_by(threads_lock_)) = nullptr;
    Thread* last_thread_ EXO_THREAD_SAFETY(guarded_by(threads_lock_)) = nullptr;
    SpinLock dead_lock_;
    Thread* dead_ EXO_THREAD_SAFETY(guarded_by(dead_lock_)) = nullptr;
};

}  // namespace exo::guest
