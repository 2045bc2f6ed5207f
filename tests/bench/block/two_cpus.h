#pragma once

#include <sched.h>

#include <vector>

namespace exo::bench {

/// Puts this thread on the first CPU that it may use, for as long as the object lives. The second one is for
/// the devices' threads.
class TwoCpus {
  public:
    TwoCpus() {
        CPU_ZERO(&before_);
        sched_getaffinity(0, sizeof(before_), &before_);
        std::vector<std::size_t> cpus;
        for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu)
            if (CPU_ISSET(cpu, &before_)) cpus.push_back(cpu);
        if (cpus.size() < 2) return;
        second_ = static_cast<int>(cpus[1]);
        cpu_set_t first;
        CPU_ZERO(&first);
        CPU_SET(cpus[0], &first);
        sched_setaffinity(0, sizeof(first), &first);
    }
    ~TwoCpus() { sched_setaffinity(0, sizeof(before_), &before_); }
    TwoCpus(const TwoCpus&) = delete;
    TwoCpus& operator=(const TwoCpus&) = delete;

    bool are_there() const { return second_ >= 0; }
    int second() const { return second_; }

  private:
    cpu_set_t before_{};
    int second_ = -1;
};

}  // namespace exo::bench
