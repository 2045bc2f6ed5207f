#include "guest/sched/scheduler_cpu.h"

#include "guest/kernel/format.h"

namespace exo::guest {
namespace {

FixedText<Thread::longest_name> idle_name(unsigned number) {
    FixedText<Thread::longest_name> name;
    format(name, "idle/{}", number);
    return name;
}

}  // namespace

SchedulerCpu::SchedulerCpu(Scheduler& scheduler, unsigned number, PolicyKind policy)
    : number_(number),
      queue_(number, policy),
      running_(&idle_),
      idle_(scheduler, {.name = idle_name(number).view()}, 0, {}) {
    idle_.is_idle_ = true;
    idle_.last_cpu = static_cast<std::uint16_t>(number);
}

}  // namespace exo::guest
