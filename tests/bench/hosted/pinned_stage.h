// A stage of two threads of this process, pinned to two CPUs.
#pragma once

#include <sched.h>

#include <atomic>
#include <semaphore>
#include <string>
#include <thread>

#include "tests/bench/frame/case.h"

namespace exo::bench {

class PinnedStage final : public Stage {
  public:
    /// Takes the first two CPUs this process may use; the caller's thread becomes the first party, for the
    /// stage's life.
    PinnedStage();
    ~PinnedStage();
    PinnedStage(const PinnedStage&) = delete;
    PinnedStage& operator=(const PinnedStage&) = delete;

    unsigned cpus() const { return second_cpu_ < 0 ? 1 : 2; }
    std::string describe_cpus() const;

    std::uint64_t run_together(Party first, Party second, void* context) override;

  private:
    void serve();
    void meet();

    cpu_set_t allowed_{};
    int first_cpu_ = -1;
    int second_cpu_ = -1;
    std::binary_semaphore job_{0};
    std::binary_semaphore done_{0};
    Party party_ = nullptr;
    void* context_ = nullptr;
    bool stopping_ = false;
    std::atomic<unsigned> arrived_ = 0;
    std::jthread second_;
};

}  // namespace exo::bench
