#include "guest/memory/hybrid_heap.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "guest/arch/arch.h"

namespace exo::guest {
namespace {

constexpr std::uint64_t block_bytes = BuddyAllocator::largest_block * heap_page_size;
static_assert(frame_size == heap_page_size);

struct Span {
    std::uint64_t start = 0;  ///< physical, multiples of the largest block
    std::uint64_t end = 0;

    PageIndex pages() const { return static_cast<PageIndex>((end - start) / heap_page_size); }
    std::uint64_t table_bytes() const { return std::uint64_t{pages()} * sizeof(PageInfo); }
};

/// The range of physical addresses whose table is worth its price.
Span managed_span(const FrameAllocator& frames) {
    Span span;
    std::uint64_t free_bytes = 0;
    for (const FrameAllocator::Region& region : frames.regions()) {
        if (region.free_frames == 0) continue;
        Span wider = span;
        if (span.end == 0) wider.start = region.start / block_bytes * block_bytes;
        wider.end = (region.start + region.frames * frame_size + block_bytes - 1) / block_bytes * block_bytes;
        free_bytes += region.free_frames * frame_size;
        if (wider.table_bytes() > free_bytes / 16 || wider.end - wider.start > std::uint64_t{1} << 43) break;
        span = wider;
    }
    return span;
}

constexpr std::uint64_t frames_for(std::uint64_t bytes) {
    return (bytes + frame_size - 1) / frame_size;
}

}  // namespace

template <bool Checked>
Result<void> HybridHeap<Checked>::start(unsigned cpus) {
    const Span span = managed_span(frames_);
    if (span.pages() == 0) return fail("kernel heap", "no memory is free", "give the machine more memory");
    const std::uint64_t state_bytes = Allocator::state_bytes(cpus);
    const std::uint64_t bookkeeping = frames_for(span.table_bytes()) + frames_for(state_bytes);
    const auto place = frames_.allocate(bookkeeping);
    if (!place) return std::unexpected(place.error());
    bookkeeping_pages_ = bookkeeping;
    std::byte* const table = arch::memory_at(*place);
    std::memset(table, 0, bookkeeping * frame_size);

    allocator_.emplace(PageMap(arch::memory_at(span.start), reinterpret_cast<PageInfo*>(table), span.pages()),
                       table + frames_for(span.table_bytes()) * frame_size, cpus);
    frames_.hand_over(*this);
    first_cache_.emplace(*allocator_);
    if constexpr (Checked) checked_.emplace(*allocator_, handler_);
    return {};
}

template <bool Checked>
void HybridHeap<Checked>::take_over(FrameAllocator& frames) {
    const std::uint64_t end = base() + std::uint64_t{allocator_->map().size()} * frame_size;
    while (const auto run = frames.take_free_run(base(), end))
        allocator_->add(static_cast<PageIndex>((run->start - base()) / frame_size),
                        static_cast<PageIndex>(run->frames));
}

template <bool Checked>
void* HybridHeap<Checked>::allocate(std::size_t size, std::size_t alignment, std::uintptr_t origin) {
    if (!started()) return nullptr;
    if constexpr (Checked) return checked_->allocate(cache(), size, alignment, origin);
    if (alignment <= size_class_alignment(0)) return allocator_->allocate(cache(), size);
    return allocator_->allocate(cache(), size, alignment);
}

template <bool Checked>
void HybridHeap<Checked>::free(void* pointer, std::size_t size, std::size_t alignment,
                               std::uintptr_t origin) {
    if (pointer == nullptr) return;
    if constexpr (Checked) return checked_->deallocate(cache(), pointer, size, origin);
    if (size == unknown_size) return allocator_->deallocate(cache(), pointer);
    if (alignment <= size_class_alignment(0)) return allocator_->deallocate(cache(), pointer, size);
    allocator_->deallocate(cache(), pointer, size, alignment);
}

template <bool Checked>
Result<std::uint64_t> HybridHeap<Checked>::allocate_frames(std::uint64_t count,
                                                           const FrameAllocator::Constraint& constraint) {
    if (count == 0 || !std::has_single_bit(constraint.alignment) || constraint.alignment < frame_size)
        return fail("physical memory", "no frames, or an impossible alignment, asked for");
    const std::uint64_t limit = constraint.below <= base() ? 0 : (constraint.below - base()) / frame_size;
    const auto order = static_cast<unsigned>(std::countr_zero(constraint.alignment / frame_size));
    const auto below = static_cast<PageIndex>(std::min<std::uint64_t>(limit, allocator_->map().size()));
    const std::uint64_t most = allocator_->map().size();
    for (int attempt = 0; count <= most && attempt < 2; ++attempt) {
        const PageIndex page = allocator_->pages().take_large(static_cast<PageIndex>(count), order, below);
        if (page != no_page) {
            count_frames(1, static_cast<std::int64_t>(count));
            return base() + std::uint64_t{page} * frame_size;
        }
        trim();
    }
    return fail("physical memory", "no free range is large enough", "give the machine more memory");
}

template <bool Checked>
bool HybridHeap<Checked>::owns_frames(std::uint64_t start) const {
    const PageMap& map = allocator_->map();
    const void* const address = arch::memory_at(start);
    return map.contains(address) && map[map.index_of(address)].kind != PageKind::unmanaged;
}

template <bool Checked>
Result<void> HybridHeap<Checked>::release_frames(std::uint64_t start, std::uint64_t count) {
    const PageMap& map = allocator_->map();
    const PageIndex page = map.index_of(arch::memory_at(start));
    if (!owns_frames(start) || start % frame_size != 0 || map[page].kind != PageKind::large ||
        map[page].run_pages != count)
        return fail("physical memory", "frames were released that were not allocated so");
    allocator_->pages().give_large(page);
    count_frames(-1, -static_cast<std::int64_t>(count));
    return {};
}

template <bool Checked>
void HybridHeap<Checked>::count_frames(std::int64_t runs, std::int64_t pages) {
    __atomic_add_fetch(&as_frames_.live, static_cast<std::uint64_t>(runs), __ATOMIC_RELAXED);
    __atomic_add_fetch(&as_frames_.pages, static_cast<std::uint64_t>(pages), __ATOMIC_RELAXED);
}

template <bool Checked>
MemoryStatistics HybridHeap<Checked>::usage() const {
    const HeapStatistics heap = statistics();
    const std::uint64_t large_pages = heap.large.pages - as_frames_.pages;
    return {.total = frames_.total_frames() * frame_size,
            .free = frames_.free_frames() * frame_size,
            .heap_size = (heap.cpu_slabs.slabs() + large_pages) * heap_page_size,
            .heap_used = heap.live_bytes + large_pages * heap_page_size,
            .heap_allocations = heap.live_objects + heap.large.live - as_frames_.live};
}

template <bool Checked>
void HybridHeap<Checked>::trim() {
    if (!started()) return;
    cache().flush();
    allocator_->reclaim();
}

template <bool Checked>
Result<void*> HybridHeap<Checked>::make_thread_cache() {
    using Cache = Allocator::Cache;
    if (!started()) return nullptr;
    void* const place = allocator_->allocate(cache(), sizeof(Cache), alignof(Cache));
    if (place == nullptr) return out_of_memory("heap cache of a thread");
    return new (place) Cache(*allocator_);
}

template <bool Checked>
void HybridHeap<Checked>::release_thread_cache(void* released) {
    using Cache = Allocator::Cache;
    if (released == nullptr) return;
    static_cast<Cache*>(released)->~Cache();
    allocator_->deallocate(cache(), released, sizeof(Cache), alignof(Cache));
}

template <bool Checked>
std::uint64_t HybridHeap<Checked>::leak_mark() const {
    return checked_.has_value() ? checked_->mark() : 0;
}

template <bool Checked>
std::size_t HybridHeap<Checked>::leaks(std::uint64_t mark, std::span<LeakSite> sites) const {
    return checked_.has_value() ? checked_->leaks(mark, sites) : 0;
}

template <bool Checked>
std::uint64_t HybridHeap<Checked>::base() const {
    const std::byte* const start = allocator_->map().address_of(0);
    return reinterpret_cast<std::uintptr_t>(start) - reinterpret_cast<std::uintptr_t>(arch::memory_at(0));
}

template class HybridHeap<false>;
template class HybridHeap<true>;

}  // namespace exo::guest
