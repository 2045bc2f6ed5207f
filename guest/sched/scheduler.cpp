#include "guest/sched/scheduler.h"

#include <algorithm>
#include <new>

#include "guest/arch/arch.h"
#include "guest/kernel/panic.h"
#include "guest/memory/kernel_memory.h"
#include "guest/sched/this_thread.h"

namespace exo::guest {

Scheduler::Scheduler(unsigned cpus, PolicyKind policy, const SimdFormat* simd)
    : policy_(policy), simd_(simd), cpu_count_(cpus) {}

Result<std::unique_ptr<Scheduler>> Scheduler::create(unsigned cpus, PolicyKind policy,
                                                     const SimdFormat* simd) {
    std::unique_ptr<Scheduler> scheduler(new (std::nothrow) Scheduler(cpus, policy, simd));
    if (scheduler == nullptr) return out_of_memory("scheduler");
    for (unsigned cpu = 0; cpu < cpus; ++cpu) {
        scheduler->cpus_[cpu].reset(new (std::nothrow) SchedulerCpu(*scheduler, cpu, policy));
        if (scheduler->cpus_[cpu] == nullptr) return out_of_memory("scheduler");
        const auto cache = kernel_memory().heap.make_thread_cache();
        if (!cache) return std::unexpected(cache.error());
        scheduler->cpus_[cpu]->idle_.heap_cache_ = *cache;
    }
    arch::set_interrupt_exit_hook(on_interrupt_exit);
    return scheduler;
}

Scheduler::~Scheduler() {
    reclaim();
}

// Threads begin.

Result<Thread*> Scheduler::make_thread(const ThreadOptions& options, std::size_t callable_size) {
    reclaim();
    const std::uint32_t number = next_id_.fetch_add(1, std::memory_order_relaxed);
    auto stack = ThreadStack::allocate(stacks_, options.stack_size + callable_size, number);
    if (!stack) return std::unexpected(stack.error());
    struct Discard {
        void operator()(Thread* thread) const { delete thread; }
    };
    std::unique_ptr<Thread, Discard> thread(new (std::nothrow)
                                                Thread(*this, options, number, std::move(*stack)));
    if (thread == nullptr) return out_of_memory("thread");
    const auto cache = kernel_memory().heap.make_thread_cache();
    if (!cache) return std::unexpected(cache.error());
    thread->heap_cache_ = *cache;
    if (options.uses_simd)
        if (const auto done = give_simd(*thread); !done) return std::unexpected(done.error());
    return thread.release();
}

Result<void> Scheduler::give_simd(Thread& thread) {
    if (simd_ == nullptr) return fail("thread", "this processor's vector registers are not in use");
    thread.simd_area_.reset(new (std::align_val_t{SimdFormat::alignment}, std::nothrow)
                                std::byte[simd_->bytes]);
    if (thread.simd_area_ == nullptr) return out_of_memory("vector registers of a thread");
    thread.simd_.emplace(*simd_, thread.simd_area_.get());
    return {};
}

void Scheduler::start(Thread& thread) {
    thread.annotation_.created(thread.stack_.memory());
    {
        // A classic context begins with the flags of now, and the queue is locked when it does.
        const arch::InterruptGuard guard;
        thread.context_ = prepare_context<ThreadContext>(thread.stack_.usable(), thread_entry, &thread);
    }
    {
        const Locked guard(threads_lock_);
        thread.previous_ = last_thread_;
        (last_thread_ == nullptr ? first_thread_ : last_thread_->next_) = &thread;
        last_thread_ = &thread;
    }
    make_ready(thread);
    if (arch::interrupts_enabled()) preemption_point();
}

void Scheduler::thread_entry(void* argument, void* left) {
    Thread& self = *static_cast<Thread*>(argument);
    self.annotation_.arrived();
    finish_switch(*static_cast<Thread*>(left));
    arch::enable_interrupts();
    preemption_point();
    const int status = self.body_(self.callable_);
    self.scheduler_.end_running(self, status);
}

// Threads become ready.

void Scheduler::unpark(Thread& thread) {
    if (thread.wake_.notify()) make_ready(thread);
}

unsigned Scheduler::choose_cpu(const Thread& thread, Nanoseconds now) {
    return RunQueue::choose_cpu(policy(), thread, now, idle_.mask(), cpu_count_,
                                [this](unsigned cpu) { return cpus_[cpu]->load(); });
}

/// The caller owns the thread, which is in no queue and on no CPU.
void Scheduler::make_ready(Thread& thread) {
    const arch::InterruptGuard guard;
    const Nanoseconds now = arch::now_ns();
    SchedulerCpu& target = *cpus_[choose_cpu(thread, now)];
    target.lock_.lock();
    target.queue_.enqueue(thread, Arrival::woken, now);
    Thread& running = *target.running_;
    bool look_again = false;
    if (!running.is_idle_) {
        target.queue_.account(running, now);
        look_again = target.queue_.should_preempt(running, thread, now) ||
                     target.queue_.preempt_at(running) < target.preempt_at_ns_;
    }
    target.publish_load();
    target.counters_.wake_ups.add_one();
    target.lock_.unlock();
    rouse(target, look_again);
}

/// After a thread has come into the queue of `target`.
void Scheduler::rouse(SchedulerCpu& target, bool look_again) {
    if (idle_.claim(target.number_)) return wake(target.number_);
    if (look_again && !target.look_again_.exchange(true) && target.number_ != arch::current_cpu()) {
        interrupt(target.number_);
    }
    // Somebody has to wait there, so nobody is to sleep elsewhere.
    idle_.wake_any([this](unsigned cpu) { wake(cpu); });
}

/// An idle CPU that was claimed. This one sleeps only in sight of its interrupts: it looks again when the
/// handler that called has ended.
void Scheduler::wake(unsigned cpu) {
    if (cpu != arch::current_cpu()) interrupt(cpu);
}

void Scheduler::interrupt(unsigned cpu) {
    cpus_[arch::current_cpu()]->counters_.interrupts.add_one();
    arch::interrupt_cpu(cpu);
}

// Threads leave.

void Scheduler::park(std::uint64_t deadline_ns) {
    Thread* const self = Thread::current();
    if (self == nullptr) return arch::wait_for_interrupt(deadline_ns);
    self->scheduler_.park_running(*self, deadline_ns);
}

void Scheduler::park_running(Thread& self, std::uint64_t deadline_ns) {
    if (self.is_idle_ || self.preemption_off_ != 0)
        panic("thread {}: it waits where it may not be switched away from", self.name());
    if (self.wake_.take_token()) return;
    const Nanoseconds now = arch::now_ns();
    if (deadline_ns <= now) return;
    if (deadline_ns != arch::no_deadline) arm_timer(self, deadline_ns);
    SchedulerCpu& cpu = this_cpu();
    cpu.lock_.lock();
    cpu.queue_.block(self, now);
    leave(cpu, self, Thread::Leaving::parking, now);
    if (deadline_ns != arch::no_deadline) disarm_timer(self);
    self.wake_.take_token();
}

void Scheduler::yield() {
    Thread* const self = Thread::current();
    if (self == nullptr) return arch::pause();
    {
        const arch::InterruptGuard guard;
        if (!self->is_idle_ && self->preemption_off_ == 0) self->scheduler_.yield_running(*self);
    }
    if (arch::interrupts_enabled()) preemption_point();
}

std::uint32_t Scheduler::ready_here() {
    const SchedulerCpu* const cpu = arch::cpu_local().scheduler;
    return cpu != nullptr ? cpu->load().ready : 0;
}

void Scheduler::yield_running(Thread& self) {
    SchedulerCpu& cpu = this_cpu();
    if (cpu.load().ready == 0) return arch::pause();
    const Nanoseconds now = arch::now_ns();
    cpu.lock_.lock();
    cpu.queue_.account(self, now);
    cpu.queue_.enqueue(self, Arrival::yielded, now);
    leave(cpu, self, Thread::Leaving::ready, now);
}

void Scheduler::preemption_point() {
    Thread* const self = Thread::current();
    if (self == nullptr || self->is_idle_ || self->preemption_off_ != 0) return;
    const SchedulerCpu* const cpu = arch::cpu_local().scheduler;
    // It may be another CPU's already; then that one will have looked at its own.
    if (!cpu->look_again_.load(std::memory_order_relaxed)) return;
    const arch::InterruptGuard guard;
    self->scheduler_.reconsider(*self);
}

void Scheduler::reconsider(Thread& self) {
    while (this_cpu().look_again_.exchange(false)) {
        SchedulerCpu& cpu = this_cpu();
        const Nanoseconds now = arch::now_ns();
        cpu.lock_.lock();
        cpu.queue_.account(self, now);
        if (cpu.queue_.should_give_way(self, now)) {
            cpu.queue_.enqueue(self, Arrival::preempted, now);
            leave(cpu, self, Thread::Leaving::ready, now);
        } else {
            cpu.preempt_at_ns_ = cpu.queue_.preempt_at(self);
            program_timer(cpu, now);
            cpu.lock_.unlock();
        }
    }
}

/// Gives the CPU to the next thread. Comes back when this thread has a CPU again, whichever, without a lock.
/// The queue has been told what becomes of the thread.
void Scheduler::leave(SchedulerCpu& cpu, Thread& self, Thread::Leaving how, Nanoseconds now)
    EXO_THREAD_SAFETY(no_thread_safety_analysis) {
    ScheduledThread* const picked = cpu.queue_.pick_next(now);
    Thread& next = picked != nullptr ? static_cast<Thread&>(*picked) : cpu.idle_;
    cpu.preempt_at_ns_ = next.is_idle_ ? arch::no_deadline : cpu.queue_.preempt_at(next);
    cpu.running_ = &next;
    cpu.publish_load();
    program_timer(cpu, now);
    if (&next == &self) return cpu.lock_.unlock();

    if (self.is_idle_) cpu.counters_.idle_ns.add(static_cast<std::int64_t>(now - cpu.idle_since_ns_));
    if (next.is_idle_) cpu.idle_since_ns_ = now;
    cpu.counters_.switches.add_one();
    ++next.switches_;
    self.leaving_ = how;
    make_current(cpu, next);
    switch_simd(self.simd(), next.simd());
    if (how == Thread::Leaving::ending)
        self.annotation_.before_last_switch_to(next.annotation_);
    else
        self.annotation_.before_switch_to(next.annotation_);
    void* const left = switch_context(self.context_, next.context_, &self);
    self.annotation_.arrived();
    finish_switch(*static_cast<Thread*>(left));
}

void Scheduler::make_current(SchedulerCpu& cpu, Thread& next) {
    arch::CpuLocal& local = arch::cpu_local();
    local.current_thread = &next;
    local.heap_cache = next.heap_cache_;
    local.scheduler = &cpu;
}

/// The first thing that a thread does when it has a CPU: ends the hand-over from the one that had it before.
void Scheduler::finish_switch(Thread& left) EXO_THREAD_SAFETY(no_thread_safety_analysis) {
    SchedulerCpu& cpu = this_cpu();
    switch (left.leaving_) {
        case Thread::Leaving::ready:
            return cpu.lock_.unlock();
        case Thread::Leaving::parking:
            // From here on the thread may be running elsewhere, and may even have ended.
            if (left.wake_.park()) return cpu.lock_.unlock();
            return left.scheduler_.unpark_left(cpu, left);
        case Thread::Leaving::ending:
            cpu.lock_.unlock();
            return left.scheduler_.ended(left);
    }
}

/// It was woken while it was on its way out.
void Scheduler::unpark_left(SchedulerCpu& cpu, Thread& left) EXO_THREAD_SAFETY(no_thread_safety_analysis) {
    cpu.queue_.enqueue(left, Arrival::woken, arch::now_ns());
    cpu.publish_load();
    cpu.counters_.wake_ups.add_one();
    cpu.lock_.unlock();
    cpu.look_again_.store(true);
    rouse(cpu, false);
}

void Scheduler::end_running(Thread& self, int status) {
    destroy_locals(self);
    self.exit_status_ = status;
    arch::disable_interrupts();
    SchedulerCpu& cpu = this_cpu();
    const Nanoseconds now = arch::now_ns();
    cpu.lock_.lock();
    cpu.queue_.block(self, now);
    leave(cpu, self, Thread::Leaving::ending, now);
    panic("thread {}: it runs after its end", self.name());
}

/// On another thread's stack, interrupts off.
void Scheduler::ended(Thread& thread) {
    {
        const Locked guard(thread.joiners_);
        thread.ended_ = true;
        thread.joiners_.wake_all();
    }
    if (!disown(thread)) return;
    const Locked guard(dead_lock_);
    thread.next_dead_ = dead_;
    dead_ = &thread;
}

bool Scheduler::disown(Thread& thread) {
    return thread.owners_.fetch_sub(1, std::memory_order_acq_rel) == 1;
}

void Scheduler::destroy(Thread& thread) {
    {
        const Locked guard(threads_lock_);
        (thread.previous_ == nullptr ? first_thread_ : thread.previous_->next_) = thread.next_;
        (thread.next_ == nullptr ? last_thread_ : thread.next_->previous_) = thread.previous_;
    }
    thread.annotation_.destroyed();
    delete &thread;
}

void Scheduler::reclaim() {
    Thread* dead = nullptr;
    {
        const Locked guard(dead_lock_);
        dead = std::exchange(dead_, nullptr);
    }
    while (dead != nullptr) destroy(*std::exchange(dead, dead->next_dead_));
}

// Time.

void Scheduler::arm_timer(Thread& self, std::uint64_t deadline_ns) {
    SchedulerCpu& cpu = this_cpu();
    self.timer_cpu_ = cpu.number_;
    self.timer_.deadline_ns = deadline_ns;
    const Locked guard(cpu.timers_lock_);
    cpu.timers_.insert(self.timer_);
    cpu.next_timer_ns_.store(cpu.timers_.next_deadline(), std::memory_order_relaxed);
}

void Scheduler::disarm_timer(Thread& self) {
    SchedulerCpu& cpu = *cpus_[self.timer_cpu_];
    // Even when it has gone off: then whoever let it go off is through with this thread.
    const Locked guard(cpu.timers_lock_);
    if (!self.timer_.queued) return;
    cpu.timers_.remove(self.timer_);
    cpu.next_timer_ns_.store(cpu.timers_.next_deadline(), std::memory_order_relaxed);
}

void Scheduler::wake_due(SchedulerCpu& cpu, Nanoseconds now) {
    const Locked guard(cpu.timers_lock_);
    while (TimerEntry* const due = cpu.timers_.take_due(now)) {
        cpu.counters_.timer_wakes.add_one();
        unpark(*due->sleeper);
    }
    cpu.next_timer_ns_.store(cpu.timers_.next_deadline(), std::memory_order_relaxed);
}

/// A timer that is set too early is left as it is: setting it is dear under a hypervisor.
void Scheduler::program_timer(SchedulerCpu& cpu, Nanoseconds now) {
    const std::uint64_t wanted =
        std::min(cpu.preempt_at_ns_, cpu.next_timer_ns_.load(std::memory_order_relaxed));
    const bool is_set = cpu.timer_set_for_ns_ > now && cpu.timer_set_for_ns_ != arch::no_deadline;
    if (wanted == arch::no_deadline || (is_set && cpu.timer_set_for_ns_ <= wanted)) return;
    cpu.timer_set_for_ns_ = wanted;
    arch::set_timer(wanted);
}

void Scheduler::on_interrupt_exit() EXO_THREAD_SAFETY(no_thread_safety_analysis) {
    SchedulerCpu* const cpu = arch::cpu_local().scheduler;
    if (cpu == nullptr) return;
    Thread& self = *Thread::current();
    Scheduler& scheduler = self.scheduler_;
    const Nanoseconds now = arch::now_ns();
    if (now >= cpu->next_timer_ns_.load(std::memory_order_relaxed)) scheduler.wake_due(*cpu, now);
    if (self.is_idle_) return;
    cpu->lock_.lock();
    if (now >= cpu->preempt_at_ns_) {
        cpu->look_again_.store(true);
        // A thread that keeps pre-emption off looks again when it allows it. A timer for a time that has come
        // would interrupt it before each of its instructions.
        cpu->preempt_at_ns_ = arch::no_deadline;
    }
    program_timer(*cpu, now);
    cpu->lock_.unlock();
    if (self.preemption_off_ == 0) scheduler.reconsider(self);
}

// CPUs.

void Scheduler::run_cpu() {
    SchedulerCpu& cpu = *cpus_[arch::current_cpu()];
    cpu.idle_.annotation_.adopt_running();
    make_current(cpu, cpu.idle_);
    idle(cpu);
    arch::CpuLocal& local = arch::cpu_local();
    local.scheduler = nullptr;
    local.current_thread = nullptr;
    local.heap_cache = nullptr;
}

void Scheduler::stop() {
    stopping_.store(true);
    for (unsigned cpu = 0; cpu < cpu_count_; ++cpu) arch::interrupt_cpu(cpu);
}

/// What a CPU does when its queue is empty.
void Scheduler::idle(SchedulerCpu& cpu) {
    while (!stopping_.load()) {
        wake_due(cpu, arch::now_ns());
        idle_.sleep_unless(
            cpu.number_, [this] { return anything_ready() || stopping_.load(); }, [&cpu] { sleep(cpu); });
        if (cpu.load().ready == 0) steal(cpu);
        cpu.look_again_.store(false);
        cpu.lock_.lock();
        leave(cpu, cpu.idle_, Thread::Leaving::ready, arch::now_ns());
    }
}

void Scheduler::sleep(SchedulerCpu& cpu) {
    {
        const Locked guard(cpu.lock_);
        program_timer(cpu, arch::now_ns());
    }
    arch::wait_for_interrupt(arch::no_deadline);
}

bool Scheduler::anything_ready() const {
    for (unsigned cpu = 0; cpu < cpu_count_; ++cpu)
        if (cpus_[cpu]->load().ready != 0) return true;
    return false;
}

void Scheduler::steal(SchedulerCpu& thief) {
    const unsigned from =
        choose_victim(thief.number_, cpu_count_, [this](unsigned cpu) { return cpus_[cpu]->load(); });
    if (from == no_cpu) return;
    const Nanoseconds now = arch::now_ns();
    SchedulerCpu& victim = *cpus_[from];
    ScheduledThread* stolen = nullptr;
    {
        const Locked guard(victim.lock_);
        stolen = victim.queue_.steal(now);
        victim.publish_load();
    }
    if (stolen == nullptr) return;
    const Locked guard(thief.lock_);
    thief.queue_.enqueue(*stolen, Arrival::moved, now);
    thief.publish_load();
    thief.counters_.steals.add_one();
}

void Scheduler::use_policy(PolicyKind policy) {
    policy_.store(policy, std::memory_order_relaxed);
    for (unsigned number = 0; number < cpu_count_; ++number) {
        SchedulerCpu& cpu = *cpus_[number];
        const arch::InterruptGuard interrupts_off;
        {
            const Nanoseconds now = arch::now_ns();
            const Locked guard(cpu.lock_);
            if (!cpu.running_->is_idle_) cpu.queue_.account(*cpu.running_, now);
            cpu.queue_.use(policy, now);
            cpu.publish_load();
        }
        // Whose turn ends when is the new policy's to say.
        cpu.look_again_.store(true);
        if (number != arch::current_cpu()) interrupt(number);
    }
    if (arch::interrupts_enabled()) preemption_point();
}

// What others want to know.

void Scheduler::lock_all_cpus() EXO_THREAD_SAFETY(no_thread_safety_analysis) {
    for (unsigned cpu = 0; cpu < cpu_count_; ++cpu) cpus_[cpu]->lock_.lock();
}

void Scheduler::unlock_all_cpus() EXO_THREAD_SAFETY(no_thread_safety_analysis) {
    for (unsigned cpu = 0; cpu < cpu_count_; ++cpu) cpus_[cpu]->lock_.unlock();
}

std::size_t Scheduler::list(std::span<ThreadInfo> infos) {
    const std::size_t count = list_without_stacks(infos);
    for (ThreadInfo& info : infos.first(count)) add_stack_use(info);
    return count;
}

/// All at one moment.
std::size_t Scheduler::list_without_stacks(std::span<ThreadInfo> infos) {
    const Locked guard(threads_lock_);
    lock_all_cpus();
    std::size_t count = 0;
    const Nanoseconds now = arch::now_ns();
    for (unsigned cpu = 0; cpu < cpu_count_ && count < infos.size(); ++cpu)
        infos[count++] = describe_idle(*cpus_[cpu], now);
    for (const Thread* thread = first_thread_; thread != nullptr && count < infos.size();
         thread = thread->next_)
        infos[count++] = describe(*thread, now);
    unlock_all_cpus();
    return count;
}

ThreadInfo Scheduler::describe(const Thread& thread, Nanoseconds now) const
    EXO_THREAD_SAFETY(no_thread_safety_analysis) {
    ThreadInfo info;
    std::ranges::copy(thread.name(), info.name.begin());
    info.id = thread.id();
    info.is_idle = thread.is_idle_;
    info.cpu = thread.last_cpu < cpu_count_ ? thread.last_cpu : 0;
    info.thread_class = thread.thread_class;
    info.prediction = thread.prediction.burst();
    info.run_time = thread.cpu_time;
    info.switches = thread.switches_;
    if (thread.queued) {
        info.state = ThreadInfo::State::ready;
    } else if (cpus_[info.cpu]->running_ == &thread) {
        info.state = ThreadInfo::State::running;
        if (!thread.is_idle_) info.run_time += now - std::min(now, thread.charged_until);
    } else {
        info.state = thread.leaving_ == Thread::Leaving::ending ? ThreadInfo::State::ended
                                                                : ThreadInfo::State::waiting;
    }
    return info;
}

ThreadInfo Scheduler::describe_idle(const SchedulerCpu& cpu, Nanoseconds now) const
    EXO_THREAD_SAFETY(no_thread_safety_analysis) {
    ThreadInfo info = describe(cpu.idle_, now);
    info.run_time = cpu.counters_.idle_ns.read();
    if (cpu.running_->is_idle_) info.run_time += now - std::min(now, cpu.idle_since_ns_);
    return info;
}

void Scheduler::add_stack_use(ThreadInfo& info) {
    const Locked guard(threads_lock_);
    for (const Thread* thread = first_thread_; thread != nullptr; thread = thread->next_) {
        if (thread->id() != info.id) continue;
        info.stack_size = thread->stack_.memory().size();
        info.stack_used = thread->stack_.high_water();
    }
}

SchedulerCpuInfo Scheduler::cpu_info(unsigned number) {
    SchedulerCpu& cpu = *cpus_[number];
    const SchedulerCpu::Counters& counters = cpu.counters_;
    const arch::InterruptGuard interrupts_off;
    const Locked guard(cpu.lock_);
    return {.counts = {.switches = counters.switches.read(),
                       .wake_ups = counters.wake_ups.read(),
                       .interrupts = counters.interrupts.read(),
                       .steals = counters.steals.read(),
                       .timer_wakes = counters.timer_wakes.read(),
                       .idle_ns = counters.idle_ns.read()},
            .statistics = cpu.queue_.statistics(),
            .ready = cpu.queue_.ready(),
            .trace = cpu.queue_.trace()};
}

// Data of threads.

Result<unsigned> Scheduler::take_local_slot(LocalDestroy destroyer) {
    for (unsigned slot = 0; slot < Thread::local_slots; ++slot) {
        LocalDestroy nobody = nullptr;
        if (local_destroy_[slot].compare_exchange_strong(nobody, destroyer)) return slot;
    }
    return fail("thread-local data", "all slots of the threads are taken");
}

void Scheduler::release_local_slot(unsigned slot) {
    local_destroy_[slot].store(nullptr);
}

void Scheduler::destroy_locals(Thread& thread) {
    for (unsigned slot = 0; slot < Thread::local_slots; ++slot)
        if (void* const data = std::exchange(thread.locals_[slot], nullptr))
            local_destroy_[slot].load()(data);
}

}  // namespace exo::guest
