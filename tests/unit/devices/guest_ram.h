#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <span>

#include "vmm/base/guest_memory.h"

namespace exo::test {

/// Guest RAM of a test: one piece that both sides reach, with pages to hand out.
class GuestRam {
  public:
    static constexpr std::uint64_t start = 0x1'0000'0000;
    static constexpr std::size_t page = 4096;

    explicit GuestRam(std::size_t size = 8u << 20)
        : size_(size), host_(static_cast<std::byte*>(std::aligned_alloc(page, size))) {
        std::memset(host_.get(), 0, size);
        memory_ = vmm::GuestMemory({{{start}, {host_.get(), size}}});
    }

    const vmm::GuestMemory& memory() const { return memory_; }
    std::byte* at(std::uint64_t physical) const { return host_.get() + (physical - start); }
    std::span<std::byte> bytes(std::uint64_t physical, std::size_t size) const {
        return {at(physical), size};
    }
    std::uint64_t end() const { return start + size_; }

    /// Whole pages, zeroed; 0 when there are no more.
    std::uint64_t allocate(std::size_t size) {
        const std::lock_guard lock(mutex_);
        const std::size_t rounded = (size + page - 1) / page * page;
        auto& free = free_[rounded];
        std::uint64_t physical = start + used_;
        if (!free.empty()) {
            physical = free.back();
            free.pop_back();
        } else if (used_ + rounded <= size_) {
            used_ += rounded;
        } else {
            return 0;
        }
        std::memset(at(physical), 0, rounded);
        live_ += rounded;
        return physical;
    }
    void release(std::uint64_t physical, std::size_t size) {
        const std::lock_guard lock(mutex_);
        const std::size_t rounded = (size + page - 1) / page * page;
        free_[rounded].push_back(physical);
        live_ -= rounded;
    }
    std::size_t live() const { return live_; }

  private:
    struct Free {
        void operator()(std::byte* memory) const { std::free(memory); }
    };
    std::size_t size_;
    std::unique_ptr<std::byte, Free> host_;
    vmm::GuestMemory memory_;
    std::mutex mutex_;
    std::size_t used_ = 0;
    std::size_t live_ = 0;
    std::map<std::size_t, std::vector<std::uint64_t>> free_;
};

}  // namespace exo::test
