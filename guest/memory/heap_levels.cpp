#include "guest/memory/heap_levels.h"

#include "guest/kernel/format.h"
#include "guest/kernel/json.h"
#include "guest/memory/kernel_memory.h"

namespace exo::guest {
namespace {

/// Hundredths of a percent, as "98.40%".
struct Percentage {
    std::uint64_t in_10000;
};
void format_value(TextSink& sink, const Percentage& share) {
    format(sink, "{}.{:02}%", share.in_10000 / 100, share.in_10000 % 100);
}

void print_levels(TextSink& sink, const HeapStatistics& heap) {
    const ThreadCacheStatistics& caches = heap.thread_caches;
    const CpuSlabStatistics& slabs = heap.cpu_slabs;
    const BuddyAllocator::Statistics& buddy = heap.buddy;
    format(sink, "\nthread cache  {} of {:,} allocations hit; {:,} frees, {:,} chains handed down\n",
           Percentage{caches.hit_rate()}, caches.allocations, caches.frees, caches.overflows);
    format(sink, "CPU slabs     {} of {:,} refills needed no page; {:,} slabs, {:,} objects in chains\n",
           Percentage{slabs.hit_rate()}, slabs.refills, slabs.slabs(), slabs.chained_objects);
    format(sink, "              {:,} objects came back from other CPUs in {:,} batches\n",
           slabs.received_objects, slabs.remote_batches);
    format(sink, "buddy         {:,} of {:,} pages free, {:,} at the least; {:,} splits, {:,} merges\n",
           buddy.free_pages, buddy.managed_pages, buddy.least_free_pages, buddy.splits, buddy.merges);
    format(sink, "large         {:,} allocations of whole pages, {:,} pages\n", heap.large.live,
           heap.large.pages);
    format(sink, "free blocks  ");
    for (unsigned order = 0; order < BuddyAllocator::order_count; ++order)
        format(sink, " {}:{}", Bytes{heap_page_size << order}, buddy.free_blocks[order]);
    format(sink, "\n");
}

void add_levels(JsonLine& line, const HeapStatistics& heap) {
    line.number("cache_allocations", heap.thread_caches.allocations)
        .number("cache_misses", heap.thread_caches.misses)
        .number("cache_frees", heap.thread_caches.frees)
        .number("slab_refills", heap.cpu_slabs.refills)
        .number("slab_pages_taken", heap.cpu_slabs.new_slabs)
        .number("slab_pages", heap.cpu_slabs.slabs())
        .number("slab_remote_objects", heap.cpu_slabs.received_objects)
        .number("buddy_pages", heap.buddy.managed_pages)
        .number("buddy_free_pages", heap.buddy.free_pages)
        .number("buddy_least_free_pages", heap.buddy.least_free_pages)
        .number("buddy_splits", heap.buddy.splits)
        .number("buddy_merges", heap.buddy.merges)
        .number("large_allocations", heap.large.live)
        .number("large_pages", heap.large.pages);
}

/// Calls `use` with the statistics, where the heap has levels.
template <class Heap, class Use>
void with_levels(Heap& heap, Use use) {
    if constexpr (requires { heap.statistics(); }) use(heap.statistics());
}

}  // namespace

void print_heap_levels(TextSink& sink) {
    with_levels(kernel_memory().heap, [&](const HeapStatistics& heap) { print_levels(sink, heap); });
}

void add_heap_levels(JsonLine& line) {
    with_levels(kernel_memory().heap, [&](const HeapStatistics& heap) { add_levels(line, heap); });
}

}  // namespace exo::guest
