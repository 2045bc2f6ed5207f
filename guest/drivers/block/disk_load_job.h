#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "guest/drivers/block/adaptive_queue.h"
#include "guest/drivers/block/disk_load.h"
#include "guest/drivers/dma.h"

namespace exo::guest {

/// A stream of numbers that only looks random (splitmix64).
class NumberStream {
  public:
    explicit NumberStream(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next() {
        std::uint64_t z = state_ += 0x9e37'79b9'7f4a'7c15;
        z = (z ^ z >> 30) * 0xbf58'476d'1ce4'e5b9;
        z = (z ^ z >> 27) * 0x94d0'49bb'1331'11eb;
        return z ^ z >> 31;
    }
    std::uint64_t below(std::uint64_t limit) { return next() % limit; }

  private:
    std::uint64_t state_;
};

/// One thread's share of a load.
class DiskLoadJob {
  public:
    /// Shared by all jobs.
    struct Common {
        BlockDevice& disk;
        const DiskLoad& load;
        const DriverServices& services;
        bool (*go_on)(void* context);
        void* context;
        std::uint64_t start_ns = 0;
        std::atomic<bool> stop = false;
    };

    /// Job `number` of `load.jobs`, with the memory it needs.
    static Result<std::unique_ptr<DiskLoadJob>> create(Common& common, unsigned number);

    void run();
    const DiskLoadResult& result() const { return result_; }

  private:
    /// A request and its memory.
    struct Slot {
        BlockRequest request;
        DmaBuffer memory;
        DmaSpan segment;
        std::uint64_t block = 0;
        std::uint32_t version = 0;  ///< of the block, when it was written or read
        std::uint64_t start_ns = 0;
        bool busy = false;
    };

    DiskLoadJob(Common& common, unsigned number);

    bool over(std::uint64_t now_ns);
    void submit_more(std::uint64_t now_ns);
    void prepare(Slot& slot, std::uint64_t now_ns);
    void pick_block(Slot& slot);
    bool is_busy(std::uint64_t block) const;
    void wait_and_finish();
    void finish(Slot& slot, std::uint64_t now_ns);
    void fill(const Slot& slot) const;
    bool matches(const Slot& slot) const;
    void read_all_again();
    void fail_at(const Slot& slot, BlockStatus status);
    std::uint64_t due_ns() const;
    std::uint64_t thread_time() const;

    Common& common_;
    const unsigned number_;
    NumberStream random_;
    std::uint64_t first_block_ = 0;  ///< of its part of the disk
    std::uint64_t blocks_ = 0;
    std::uint64_t next_block_ = 0;  ///< for sequential patterns
    std::uint64_t most_operations_ = 0;
    std::uint64_t submitted_ = 0;
    std::uint64_t asked_ns_ = 0;  ///< whether to go on
    bool checking_ = false;       ///< reads all again in the end
    /// How often each block was written by this load; 0: its content is not known.
    std::unique_ptr<std::uint32_t[]> versions_;
    AdaptiveQueue* queue_ = nullptr;  ///< where its requests are
    std::array<Slot, DiskLoad::most_depth> slots_;
    unsigned busy_ = 0;
    DiskLoadResult result_;
};

}  // namespace exo::guest
