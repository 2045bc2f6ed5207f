// The top level: a thread's own free objects, taken and returned without a lock or an atomic.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <new>

#include "guest/memory/free_object.h"
#include "guest/memory/heap_statistics.h"
#include "guest/memory/own_counter.h"
#include "guest/memory/size_classes.h"

namespace exo::guest {

/// Sixteen bins of two chains each: one that is used, and a spare one that makes the change of direction free
/// of charge. Whole chains come from the level below and go back to it, so no object is visited twice.
///
/// Chains start short and grow with every miss, to 32 objects, while their bytes together stay under the cap.
///
/// `Source` is the level below: `Chain refill(SizeClass, want)`, `void give(SizeClass, Chain)`,
/// `void give_run(void*)`, `void tune(SizeClass)`, `std::uint32_t pressure()` (a number that changes when
/// memory runs short), and `attach` and `detach` of caches, for its statistics.
template <class Source>
class ThreadCache {
  public:
    static constexpr std::uint32_t longest_chain = 32;  ///< so a bin holds at most 64 objects
    /// Runs of a few granules or pages are kept too; so many granules in one and in all.
    static constexpr std::size_t longest_run = 64;
    static constexpr std::size_t most_granules = 128;
    static constexpr std::size_t default_byte_cap = std::size_t{256} << 10;
    /// Visits to the level below between two tunings.
    static constexpr std::uint32_t tuning_period = 256;

    explicit ThreadCache(Source& source, std::size_t byte_cap = default_byte_cap)
        : source_(source), byte_cap_(byte_cap), pressure_(source.pressure()) {
        for (SizeClass c = 0; c < size_class_count; ++c) {
            bins_[c].chain_length = shortest_chain(c);
            bins_[c].room = bins_[c].chain_length;
            reserved_bytes_ += reserve(c, bins_[c].chain_length);
        }
        source_.attach(*this);
    }
    ThreadCache(const ThreadCache&) = delete;
    ThreadCache& operator=(const ThreadCache&) = delete;
    ~ThreadCache() {
        flush();
        source_.detach(*this);
    }

    /// nullptr when memory is exhausted.
    [[gnu::always_inline]] void* allocate(SizeClass size_class) {
        Bin& bin = bins_[size_class];
        FreeObject* const object = bin.head;
        if (object == nullptr) [[unlikely]]
            return allocate_slowly(size_class);
        bin.head = object->next;
        bin.allocations.add_one();
        return object;
    }

    [[gnu::always_inline]] void deallocate(void* pointer, SizeClass size_class) {
        Bin& bin = bins_[size_class];
        auto* const object = static_cast<FreeObject*>(pointer);
        object->next = bin.head;
        bin.head = object;
        bin.frees.add_one();
        if (balance(bin) >= bin.room) [[unlikely]]
            set_aside(size_class);
    }

    /// A run of so many granules (1 … longest_run) that was freed here, or nullptr.
    void* take_run(std::size_t granules) {
        FreeObject*& first = runs_[granules - 1];
        FreeObject* const run = first;
        if (run == nullptr) return nullptr;
        first = run->next;
        count_runs(-1, granules);
        runs_used_ = true;
        return run;
    }
    /// Keeps a run for the next that asks; false when there are enough.
    bool keep_run(void* memory, std::size_t granules) {
        if (held_granules_ + granules > most_granules) return false;
        FreeObject*& first = runs_[granules - 1];
        first = new (memory) FreeObject{first};
        count_runs(1, granules);
        runs_used_ = true;
        return true;
    }

    /// Gives everything back.
    void flush() {
        for (SizeClass c = 0; c < size_class_count; ++c) flush_bin(c);
        flush_runs();
    }

    /// Gives idle bins back, and lengthens or shortens chains by what the bins' hit rates have been since the
    /// last time. Runs by itself every `tuning_period` visits to the level below; a timer may call it too.
    void tune() {
        tunings_.add_one();
        visits_ = 0;
        for (SizeClass c = 0; c < size_class_count; ++c) tune_bin(c);
        if (!runs_used_) flush_runs();
        runs_used_ = false;
    }

    /// May be asked from any thread, and is then a moment old.
    ThreadCacheStatistics statistics(SizeClass size_class) const {
        const Bin& bin = bins_[size_class];
        return {.allocations = bin.allocations.read(),
                .misses = bin.misses.read(),
                .frees = bin.frees.read(),
                .overflows = colds_[size_class].overflows.read(),
                .tunings = size_class == 0 ? tunings_.read() : 0};
    }
    ThreadCacheStatistics statistics() const {
        ThreadCacheStatistics sum;
        for (SizeClass c = 0; c < size_class_count; ++c) sum += statistics(c);
        return sum;
    }
    std::uint64_t held_runs() const { return held_runs_.read(); }
    /// Of these, in the ones that are whole pages.
    std::uint64_t held_pages() const { return held_pages_.read(); }
    /// Of the owner only: objects of this class that are here now.
    std::uint32_t held(SizeClass size_class) const {
        return in_use(bins_[size_class]) + bins_[size_class].spare.count;
    }
    /// Objects that a chain of this class has now when it is full.
    std::uint32_t chain_length(SizeClass size_class) const { return bins_[size_class].chain_length; }
    std::size_t byte_cap() const { return byte_cap_; }

    ThreadCache* next = nullptr;  ///< for the source's list of caches

  private:
    /// Allocations and frees only ever count up; their difference says how full the chain in use is, so the
    /// statistics cost nothing.
    struct alignas(64) Bin {
        FreeObject* head = nullptr;
        OwnCounter allocations;
        OwnCounter frees;
        std::int64_t room = 0;  ///< frees - allocations at which the chain in use is full
        Chain spare;
        OwnCounter misses;
        std::uint32_t chain_length = 0;
    };
    static_assert(sizeof(Bin) == 64);

    /// What a bin needs less often.
    struct ColdPart {
        OwnCounter overflows;
        std::uint64_t tuned_allocations = 0;  ///< counters when it was last tuned
        std::uint64_t tuned_misses = 0;
    };

    static constexpr std::uint64_t good_hit_rate = 9'680;  ///< hundredths of a percent
    static constexpr std::uint64_t lavish_hit_rate = 9'990;

    /// What one page gives, within reason.
    static constexpr std::uint32_t shortest_chain(SizeClass size_class) {
        return static_cast<std::uint32_t>(std::clamp<std::size_t>(4096 / size_class_bytes[size_class], 2, 8));
    }
    static constexpr std::size_t reserve(SizeClass size_class, std::uint32_t chain_length) {
        return 2 * std::size_t{chain_length} * size_class_bytes[size_class];
    }

    static std::int64_t balance(const Bin& bin) {
        return static_cast<std::int64_t>(bin.frees.own() - bin.allocations.own());
    }
    /// Objects in the chain in use.
    static std::uint32_t in_use(const Bin& bin) {
        return static_cast<std::uint32_t>(bin.chain_length - (bin.room - balance(bin)));
    }
    static void set_in_use(Bin& bin, std::uint32_t count) {
        bin.room = balance(bin) + bin.chain_length - static_cast<std::int64_t>(count);
    }

    [[gnu::noinline]] void* allocate_slowly(SizeClass size_class) {
        Bin& bin = bins_[size_class];
        if (bin.spare.head != nullptr) {
            bin.head = bin.spare.head;
            set_in_use(bin, bin.spare.count);
            bin.spare = {};
        } else if (!refill(size_class)) {
            return nullptr;
        }
        FreeObject* const object = bin.head;
        bin.head = object->next;
        bin.allocations.add_one();
        return object;
    }

    bool refill(SizeClass size_class) {
        visit();
        Bin& bin = bins_[size_class];
        bin.misses.add_one();
        Chain chain = source_.refill(size_class, bin.chain_length);
        if (chain.head == nullptr) [[unlikely]] {
            flush();
            chain = source_.refill(size_class, bin.chain_length);
        }
        lengthen(size_class);
        bin.head = chain.head;
        set_in_use(bin, chain.count);
        return chain.head != nullptr;
    }

    /// The chain in use is full.
    [[gnu::noinline]] void set_aside(SizeClass size_class) {
        Bin& bin = bins_[size_class];
        const Chain full{bin.head, in_use(bin)};
        const Chain surplus = bin.spare;
        bin.spare = full;
        bin.head = nullptr;
        set_in_use(bin, 0);
        if (surplus.head == nullptr) return;
        colds_[size_class].overflows.add_one();
        source_.give(size_class, surplus);
        visit();
    }

    void visit() {
        if (source_.pressure() != pressure_) [[unlikely]] {
            pressure_ = source_.pressure();
            flush();
            return;
        }
        if (++visits_ >= tuning_period) tune();
    }

    void flush_bin(SizeClass size_class) {
        Bin& bin = bins_[size_class];
        if (bin.spare.head != nullptr) source_.give(size_class, bin.spare);
        if (bin.head != nullptr) source_.give(size_class, {bin.head, in_use(bin)});
        bin.spare = {};
        bin.head = nullptr;
        set_in_use(bin, 0);
    }

    void count_runs(std::int64_t difference, std::size_t granules) {
        held_runs_.add(difference);
        held_granules_ += static_cast<std::size_t>(difference) * granules;
        if (!is_piece(granules))
            held_pages_.add(difference * static_cast<std::int64_t>(granules / granules_per_page));
    }

    void flush_runs() {
        for (std::size_t granules = 1; held_granules_ > 0 && granules <= longest_run; ++granules)
            while (void* const run = take_run(granules)) source_.give_run(run);
    }

    void tune_bin(SizeClass size_class) {
        const Bin& bin = bins_[size_class];
        ColdPart& cold = colds_[size_class];
        const std::uint64_t allocations = bin.allocations.own() - cold.tuned_allocations;
        const std::uint64_t misses = bin.misses.own() - cold.tuned_misses;
        cold.tuned_allocations = bin.allocations.own();
        cold.tuned_misses = bin.misses.own();
        const std::uint64_t hit_rate = share_in_10000(allocations - misses, allocations);
        if (allocations == 0) {
            flush_bin(size_class);
            set_length(size_class, shortest_chain(size_class));
            source_.tune(size_class);
        } else if (hit_rate < good_hit_rate) {
            lengthen(size_class);
        } else if (hit_rate > lavish_hit_rate && reserved_bytes_ > byte_cap_ / 2) {
            shorten(size_class);
        }
    }

    void lengthen(SizeClass size_class) {
        const std::uint32_t now = bins_[size_class].chain_length;
        const std::uint32_t longer = std::min(2 * now, longest_chain);
        const std::size_t more = reserve(size_class, longer) - reserve(size_class, now);
        if (reserved_bytes_ + more <= byte_cap_) set_length(size_class, longer);
    }

    void shorten(SizeClass size_class) {
        const std::uint32_t half = bins_[size_class].chain_length / 2U;
        if (half >= shortest_chain(size_class)) set_length(size_class, half);
    }

    void set_length(SizeClass size_class, std::uint32_t length) {
        Bin& bin = bins_[size_class];
        const std::uint32_t count = in_use(bin);
        reserved_bytes_ -= reserve(size_class, bin.chain_length);
        reserved_bytes_ += reserve(size_class, length);
        bin.chain_length = length;
        set_in_use(bin, count);
    }

    std::array<Bin, size_class_count> bins_;
    Source& source_;
    std::size_t byte_cap_;
    std::size_t reserved_bytes_ = 0;  ///< what the bins could hold with their chains of now
    std::uint32_t pressure_;
    std::uint32_t visits_ = 0;
    OwnCounter tunings_;
    std::array<FreeObject*, longest_run> runs_{};
    std::size_t held_granules_ = 0;
    OwnCounter held_runs_;
    OwnCounter held_pages_;
    bool runs_used_ = false;  ///< since the last tuning
    std::array<ColdPart, size_class_count> colds_;
};

}  // namespace exo::guest
