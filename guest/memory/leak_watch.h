#pragma once

#include <cstdint>

#include "guest/kernel/text_sink.h"

namespace exo::guest {

/// Finds what is allocated in its lifetime and not freed. Knows something only in builds with heap checks.
class LeakWatch {
  public:
    LeakWatch();
    /// Says who allocated what is still there, largest first; nothing when there is nothing. The number of
    /// allocations named.
    std::uint64_t report(TextSink& sink) const;

  private:
    std::uint64_t mark_;
};

}  // namespace exo::guest
