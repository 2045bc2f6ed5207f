#pragma once

#include <cstdint>

namespace exo::guest {

/// Counted by one thread without any cost over a plain number, read by all.
class OwnCounter {
  public:
    void add_one() { add(1); }
    void add(std::int64_t difference) {
        __atomic_store_n(&value_, value_ + static_cast<std::uint64_t>(difference), __ATOMIC_RELAXED);
    }
    /// For the thread that counts.
    std::uint64_t own() const { return value_; }
    /// For any thread.
    std::uint64_t read() const { return __atomic_load_n(&value_, __ATOMIC_RELAXED); }

  private:
    std::uint64_t value_ = 0;
};

}  // namespace exo::guest
