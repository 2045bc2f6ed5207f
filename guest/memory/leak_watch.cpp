#include "guest/memory/leak_watch.h"

#include <array>

#include "guest/kernel/format.h"
#include "guest/kernel/symbols.h"
#include "guest/memory/kernel_memory.h"

namespace exo::guest {

LeakWatch::LeakWatch() : mark_(kernel_memory().heap.leak_mark()) {}

std::uint64_t LeakWatch::report(TextSink& sink) const {
    std::array<LeakSite, 16> sites;
    const std::size_t count = kernel_memory().heap.leaks(mark_, sites);
    std::uint64_t allocations = 0;
    for (const LeakSite& site : std::span(sites).first(count)) {
        format(sink, "leak: {:,} bytes in {:,} allocations by {}\n", site.bytes, site.allocations,
               Location{site.allocated_by});
        allocations += site.allocations;
    }
    return allocations;
}

}  // namespace exo::guest
