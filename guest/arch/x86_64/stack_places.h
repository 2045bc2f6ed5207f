#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include "guest/arch/x86_64/page_table.h"
#include "guest/kernel/error.h"

namespace exo::guest::arch {

/// The addresses that stacks lie at, each with a guard below it. What is free is noted in pages of `Memory`
/// (as PageTable's): they stay for the next stacks, and in the heap they would look like leaks.
template <class Memory>
class StackPlaces {
  public:
    constexpr StackPlaces(Memory& memory, std::uint64_t start, std::uint64_t end, std::uint64_t guard)
        : memory_(memory), start_(start), end_(end), guard_(guard), next_(start) {}

    bool contains(std::uint64_t address) const { return address >= start_ && address < next_; }

    /// The lowest address of a place of `size` bytes, a number of pages, with a guard below it.
    Result<std::uint64_t> take(std::uint64_t size) {
        for (Place** link = &free_; *link != nullptr; link = &(*link)->next)
            if ((*link)->size == size) return unlink(*link);
        if (size == 0 || end_ - next_ < guard_ || size > end_ - next_ - guard_)
            return fail("stack", "no addresses are left for stacks");
        const std::uint64_t bottom = next_ + guard_;
        next_ = bottom + size;
        return bottom;
    }

    /// Without memory to note it in, the place is lost: there are a million of them.
    void give_back(std::uint64_t bottom, std::uint64_t size) {
        if (unused_ == nullptr) add_notes();
        if (unused_ == nullptr) return;
        Place* const place = std::exchange(unused_, unused_->next);
        *place = {bottom, size, free_};
        free_ = place;
    }

  private:
    struct Place {
        std::uint64_t bottom;
        std::uint64_t size;
        Place* next;
    };

    std::uint64_t unlink(Place*& link) {
        Place* const place = std::exchange(link, link->next);
        place->next = unused_;
        unused_ = place;
        return place->bottom;
    }

    void add_notes() {
        const std::uint64_t page = memory_.allocate_table();
        if (page == 0) return;
        auto* const notes = reinterpret_cast<std::byte*>(memory_.table(page));
        for (std::size_t at = 0; at + sizeof(Place) <= page_size; at += sizeof(Place))
            unused_ = new (notes + at) Place{0, 0, unused_};
    }

    Memory& memory_;
    const std::uint64_t start_;
    const std::uint64_t end_;
    const std::uint64_t guard_;
    std::uint64_t next_;
    Place* free_ = nullptr;
    Place* unused_ = nullptr;  ///< notes of nothing
};

}  // namespace exo::guest::arch
