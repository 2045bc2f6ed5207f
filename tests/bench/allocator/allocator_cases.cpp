#include <array>
#include <string_view>

#include "tests/bench/allocator/heaps.h"
#include "tests/bench/allocator/peak_memory.h"
#include "tests/bench/allocator/trace.h"
#include "tests/bench/allocator/workloads.h"

namespace exo::bench {
namespace {

constexpr const char* unit = "TSC cycles an allocation with its free";
constexpr const char* peak_unit = "bytes made resident";

template <class Heap>
constexpr Side side_of() {
    return std::string_view(Heap::name).starts_with("hybrid") ? Side::own : Side::peer;
}

/// The run, with the share of its small allocations that the thread caches answered, where they are this
/// project's.
template <class Heap, Run (*run)(Stage&)>
Run counted(Stage& stage) {
    if constexpr (side_of<Heap>() == Side::own) {
        const guest::ThreadCacheStatistics before = HybridHeap::statistics().thread_caches;
        Run result = run(stage);
        const guest::ThreadCacheStatistics after = HybridHeap::statistics().thread_caches;
        const std::uint64_t allocations = after.allocations - before.allocations;
        result.hit_rate = guest::share_in_10000(allocations - (after.misses - before.misses), allocations);
        return result;
    } else {
        return run(stage);
    }
}

template <class Heap, std::size_t size>
constexpr Case hot_pair(const char* name) {
    return {"alloc", name, Heap::name, unit, counted<Heap, run_hot_pair<Heap, size>>, side_of<Heap>(), 1};
}

template <class Heap>
constexpr std::array<Case, 27> cases_of() {
    constexpr Side side = side_of<Heap>();
    return {{
        hot_pair<Heap, 8>("hot pair 8 B"),
        hot_pair<Heap, 16>("hot pair 16 B"),
        hot_pair<Heap, 24>("hot pair 24 B"),
        hot_pair<Heap, 32>("hot pair 32 B"),
        hot_pair<Heap, 48>("hot pair 48 B"),
        hot_pair<Heap, 64>("hot pair 64 B"),
        hot_pair<Heap, 96>("hot pair 96 B"),
        hot_pair<Heap, 128>("hot pair 128 B"),
        hot_pair<Heap, 192>("hot pair 192 B"),
        hot_pair<Heap, 256>("hot pair 256 B"),
        hot_pair<Heap, 384>("hot pair 384 B"),
        hot_pair<Heap, 512>("hot pair 512 B"),
        hot_pair<Heap, 768>("hot pair 768 B"),
        hot_pair<Heap, 1'024>("hot pair 1024 B"),
        hot_pair<Heap, 1'536>("hot pair 1536 B"),
        hot_pair<Heap, 2'048>("hot pair 2048 B"),
        {"alloc", "random 8-2048 B, 1000 live", Heap::name, unit, counted<Heap, run_random<Heap>>, side, 1},
        {"alloc", "batch 48", Heap::name, unit, counted<Heap, run_batch<Heap, 48>>, side, 1},
        {"alloc", "batch 512", Heap::name, unit, counted<Heap, run_batch<Heap, 512>>, side, 1},
        {"alloc", "larson, two threads", Heap::name, unit, counted<Heap, run_larson<Heap>>, side, 2},
        {"alloc", "producer to consumer", Heap::name, unit, counted<Heap, run_producer_consumer<Heap>>, side,
         2},
        {"alloc", "trace: compiler", Heap::name, unit, counted<Heap, run_trace<Heap, compiler_trace>>, side,
         1},
        {"alloc", "trace: Python", Heap::name, unit, counted<Heap, run_trace<Heap, python_trace>>, side, 1},
        {"alloc", "trace: SQLite", Heap::name, unit, counted<Heap, run_trace<Heap, sqlite_trace>>, side, 1},
        {"alloc", "peak memory: compiler", Heap::name, peak_unit, run_peak_memory<Heap, compiler_trace>, side,
         1},
        {"alloc", "peak memory: Python", Heap::name, peak_unit, run_peak_memory<Heap, python_trace>, side, 1},
        {"alloc", "peak memory: SQLite", Heap::name, peak_unit, run_peak_memory<Heap, sqlite_trace>, side, 1},
    }};
}

// They run in this order. This project's share a heap, so none may follow another: it would find its memory
// warm.
EXO_BENCH_CASES constexpr auto hybrid = cases_of<Hybrid>();
EXO_BENCH_CASES constexpr auto tcmalloc = cases_of<Tcmalloc>();
EXO_BENCH_CASES constexpr auto hybrid_unsized = cases_of<HybridUnsized>();
EXO_BENCH_CASES constexpr auto mimalloc = cases_of<Mimalloc>();
EXO_BENCH_CASES constexpr auto hybrid_inlined = cases_of<HybridInlined>();
EXO_BENCH_CASES constexpr auto jemalloc = cases_of<Jemalloc>();
EXO_BENCH_CASES constexpr auto glibc = cases_of<Glibc>();
EXO_BENCH_CASES constexpr auto first_fit = cases_of<Classic>();

/// Before main, because this process may be one that only measures memory.
template <class... Heaps>
bool measure_memory_if_asked() {
    (measure_if_asked<Heaps, compiler_trace, python_trace, sqlite_trace>(), ...);
    return true;
}
[[maybe_unused]] const bool not_asked =
    measure_memory_if_asked<Hybrid, HybridUnsized, HybridInlined, Tcmalloc, Mimalloc, Jemalloc, Glibc,
                            Classic>();

}  // namespace
}  // namespace exo::bench
