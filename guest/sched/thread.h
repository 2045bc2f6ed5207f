#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string_view>

#include "guest/arch/spin_lock.h"
#include "guest/sched/policy/scheduled_thread.h"
#include "guest/sched/switch/simd_state.h"
#include "guest/sched/switch/switch_annotation.h"
#include "guest/sched/switch/thread_context.h"
#include "guest/sched/thread_stack.h"
#include "guest/sched/timer_queue.h"
#include "guest/sched/wait_queue.h"
#include "guest/sched/wake_word.h"
#include "shared/fusion/native_atomics.h"

namespace exo::guest {

class Mutex;
class Scheduler;

struct ThreadOptions {
    std::string_view name = "thread";  ///< copied; the first Thread::longest_name characters count
    PriorityHint priority = PriorityHint::normal;
    std::size_t stack_size = ThreadStack::usual_size;  ///< bytes, rounded up to pages
    /// Its vector and floating-point registers survive switches. Other threads must not touch them.
    bool uses_simd = false;
};

/// A thread of control of the kernel. Scheduler::spawn makes it; the scheduler and its ThreadHandle share it.
class Thread final : private ScheduledThread {
  public:
    static constexpr std::size_t longest_name = 23;
    static constexpr std::size_t local_slots = 8;

    Thread(const Thread&) = delete;
    Thread& operator=(const Thread&) = delete;

    /// The thread that runs here; nullptr where no scheduler runs yet, and outside of it in a Linux process.
    static Thread* current() { return arch::current_thread(); }

    std::string_view name() const { return {name_.data(), name_size_}; }
    std::uint32_t id() const { return ScheduledThread::id; }
    Scheduler& scheduler() const { return scheduler_; }
    const ThreadStack& stack() const { return stack_; }

#if EXO_LOCK_CHECKS
    /// For the lock-order checker: the mutexes that the thread has, in places it does not matter which. The
    /// running thread's only.
    std::span<const Mutex* const> held_mutexes() const { return held_; }
    void note_held(const Mutex& mutex) { replace_held(nullptr, &mutex); }
    void note_released(const Mutex& mutex) { replace_held(&mutex, nullptr); }
#endif

  private:
    friend class Scheduler;
    friend class SchedulerCpu;
    friend class PreemptionGuard;
    friend class ThreadHandle;
    template <class T>
    friend class ThreadLocal;
    friend class WaitQueue;

    /// What becomes of a thread that has just left its CPU.
    enum class Leaving : std::uint8_t { ready, parking, ending };

    using Body = int (*)(void* callable);

    struct SimdAreaDelete {
        void operator()(std::byte* area) const {
            ::operator delete[](area, std::align_val_t{SimdFormat::alignment});
        }
    };
    SimdState* simd() { return simd_ ? &*simd_ : nullptr; }

    Thread(Scheduler& scheduler, const ThreadOptions& options, std::uint32_t number, ThreadStack&& stack);
    ~Thread();

    Scheduler& scheduler_;
    ThreadContext context_;
    [[no_unique_address]] SwitchAnnotation annotation_;
    WakeWord<fusion::NativeAtomics> wake_;
    Leaving leaving_ = Leaving::ready;
    bool is_idle_ = false;
    /// Only the thread itself changes it.
    std::uint32_t preemption_off_ = 0;
    std::uint64_t switches_ = 0;  ///< how often it got a CPU; under the lock of the CPU

    std::unique_ptr<std::byte[], SimdAreaDelete> simd_area_;
    std::optional<SimdState> simd_;
    void* heap_cache_ = nullptr;
    std::array<void*, local_slots> locals_ = {};

    TimerEntry timer_;
    unsigned timer_cpu_ = 0;

    std::atomic<unsigned> owners_ = 2;  ///< the scheduler until the thread has ended, and the handle
    WaitQueue joiners_;
    bool ended_ EXO_THREAD_SAFETY(guarded_by(joiners_)) = false;
    int exit_status_ = 0;

    ThreadStack stack_;
    Body body_ = nullptr;
    void* callable_ = nullptr;
    std::array<char, longest_name> name_ = {};
    std::uint8_t name_size_ = 0;

#if EXO_LOCK_CHECKS
    void replace_held(const Mutex* from, const Mutex* to) {
        const auto place = std::ranges::find(held_, from);
        if (place != held_.end()) *place = to;
    }
    std::array<const Mutex*, 16> held_ = {};
#endif

    // The scheduler's lists: of all threads, and of those to be reclaimed.
    Thread* next_ = nullptr;
    Thread* previous_ = nullptr;
    Thread* next_dead_ = nullptr;
};

}  // namespace exo::guest
