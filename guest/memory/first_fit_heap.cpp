#include "guest/memory/first_fit_heap.h"

#include <algorithm>
#include <bit>
#include <new>

namespace exo::guest {
namespace {

constexpr std::size_t align_up(std::size_t value, std::size_t alignment) {
    return (value + alignment - 1) & ~(alignment - 1);
}

std::uintptr_t address_of(const void* pointer) {
    return reinterpret_cast<std::uintptr_t>(pointer);
}

/// Larger than any machine's memory, small enough that sizes with alignment and headers never wrap.
constexpr std::size_t max_size = std::size_t{1} << 35;

}  // namespace

std::uint64_t FirstFitHeap::check_word(const Header& header) {
    constexpr std::uint64_t salt = 0x9e37'79b9'7f4a'7c15;
    return (address_of(&header) ^ header.blocks ^ (std::uint64_t{header.slack} << 32)) * salt;
}

void FirstFitHeap::add_region(std::span<std::byte> memory) {
    const std::size_t skipped = align_up(address_of(memory.data()), granule) - address_of(memory.data());
    if (memory.size() < skipped + min_block) return;
    memory = memory.subspan(skipped);
    const std::size_t usable = memory.size() / granule * granule;
    size_ += usable;
    insert(memory.data(), usable);
}

void* FirstFitHeap::allocate(std::size_t size, std::size_t alignment) {
    if (!std::has_single_bit(alignment) || size > max_size || alignment > max_size) return nullptr;
    alignment = std::max(alignment, granule);
    const std::size_t needed = std::max(min_block, align_up(size, granule) + sizeof(Header));
    for (FreeBlock** link = &first_; *link != nullptr; link = &(*link)->next) {
        FreeBlock* const block = *link;
        std::byte* const start = reinterpret_cast<std::byte*>(block);
        // What alignment cuts off in front stays a block of its own, so it must be large enough for one.
        std::size_t front =
            align_up(address_of(start) + sizeof(Header), alignment) - sizeof(Header) - address_of(start);
        while (front != 0 && front < min_block) front += alignment;
        if (block->size < needed || front > block->size - needed) continue;

        const std::size_t rest = block->size - front - needed;
        const std::size_t taken = rest < min_block ? needed + rest : needed;
        FreeBlock* following = block->next;
        if (taken == needed && rest != 0)
            following = new (start + front + taken) FreeBlock{.size = rest, .next = following};
        if (front != 0) {
            block->size = front;
            block->next = following;
        } else {
            *link = following;
        }
        auto* const header =
            new (start + front) Header{.blocks = static_cast<std::uint32_t>(taken / granule),
                                       .slack = static_cast<std::uint32_t>(taken - sizeof(Header) - size),
                                       .check = 0};
        header->check = check_word(*header);
        used_ += taken;
        ++allocations_;
        return header + 1;
    }
    return nullptr;
}

FirstFitHeap::FreeResult FirstFitHeap::free(void* pointer, std::size_t size) {
    if (pointer == nullptr) return FreeResult::freed;
    if (address_of(pointer) % granule != 0) return FreeResult::not_allocated;
    auto* const header = static_cast<Header*>(pointer) - 1;
    if (header->check != check_word(*header)) return FreeResult::not_allocated;
    const std::size_t taken = std::size_t{header->blocks} * granule;
    if (size != 0 && size != taken - sizeof(Header) - header->slack) return FreeResult::wrong_size;
    header->check = 0;
    used_ -= taken;
    --allocations_;
    insert(reinterpret_cast<std::byte*>(header), taken);
    return FreeResult::freed;
}

void FirstFitHeap::insert(std::byte* start, std::size_t size) {
    FreeBlock* previous = nullptr;
    FreeBlock* next = first_;
    while (next != nullptr && address_of(next) < address_of(start)) {
        previous = next;
        next = next->next;
    }
    auto* block = new (start) FreeBlock{.size = size, .next = next};
    if (next != nullptr && start + size == reinterpret_cast<std::byte*>(next)) {
        block->size += next->size;
        block->next = next->next;
    }
    if (previous == nullptr) {
        first_ = block;
    } else if (reinterpret_cast<std::byte*>(previous) + previous->size == start) {
        previous->size += block->size;
        previous->next = block->next;
    } else {
        previous->next = block;
    }
}

std::size_t FirstFitHeap::free_blocks() const {
    std::size_t count = 0;
    for (const FreeBlock* block = first_; block != nullptr; block = block->next) ++count;
    return count;
}

std::size_t FirstFitHeap::largest_free() const {
    std::size_t largest = 0;
    for (const FreeBlock* block = first_; block != nullptr; block = block->next)
        largest = std::max(largest, block->size);
    return largest;
}

}  // namespace exo::guest
