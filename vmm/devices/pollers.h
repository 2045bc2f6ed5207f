#pragma once

#include <atomic>

namespace exo::vmm {

/// The threads of a machine that want a CPU of the host each: vCPUs, and I/O threads while they poll.
class Pollers {
  public:
    Pollers(unsigned host_cpus, unsigned vcpus) : host_cpus_(host_cpus), vcpus_(vcpus) {}

    /// One thread polls as long as this lives.
    class Polling {
      public:
        explicit Polling(Pollers& pollers) : pollers_(pollers) {
            pollers_.polling_.fetch_add(1, std::memory_order_relaxed);
        }
        ~Polling() { pollers_.polling_.fetch_sub(1, std::memory_order_relaxed); }
        Polling(const Polling&) = delete;
        Polling& operator=(const Polling&) = delete;

      private:
        Pollers& pollers_;
    };

    /// There are not enough CPUs for all: who polls offers its own to the others between any two looks.
    bool crowded() const { return vcpus_ + polling_.load(std::memory_order_relaxed) > host_cpus_; }
    /// With a single CPU nobody else can make work while one polls.
    bool may_poll() const { return host_cpus_ > 1; }

  private:
    const unsigned host_cpus_;
    const unsigned vcpus_;
    std::atomic<unsigned> polling_ = 0;
};

/// CPUs that this process may use, at least 1.
unsigned usable_cpus();

}  // namespace exo::vmm
