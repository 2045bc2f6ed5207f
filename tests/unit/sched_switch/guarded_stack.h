// A stack with a page below it that faults.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>
#include <span>

namespace exo::guest {

class GuardedStack {
  public:
    static constexpr std::size_t page = 4096;
    static constexpr std::size_t size = 256 * 1024;

    GuardedStack()
        : memory_(static_cast<std::byte*>(
              mmap(nullptr, page + size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
        if (memory_ == MAP_FAILED || mprotect(memory_, page, PROT_NONE) != 0) throw std::bad_alloc();
    }
    ~GuardedStack() { munmap(memory_, page + size); }
    GuardedStack(const GuardedStack&) = delete;
    GuardedStack& operator=(const GuardedStack&) = delete;

    std::span<std::byte> bytes() const { return {memory_ + page, size}; }
    std::span<std::byte> guard() const { return {memory_, page}; }

  private:
    std::byte* memory_;
};

}  // namespace exo::guest
