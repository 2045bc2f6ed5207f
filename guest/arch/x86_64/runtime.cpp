#include <cstddef>
#include <new>

#include "guest/kernel/panic.h"
#include "guest/memory/kernel_memory.h"

// What compiled C++ expects to find at run time. There is no throwing `operator new` on purpose: memory that
// may be missing is asked for with std::nothrow, and code that does not ask so does not link.

namespace exo::guest {
namespace {

void free_checked(void* pointer, std::size_t size) {
    switch (kernel_memory().heap.free(pointer, size)) {
        case FirstFitHeap::FreeResult::freed:
            return;
        case FirstFitHeap::FreeResult::not_allocated:
            panic("heap: {} was freed twice, or never allocated, or its header was overwritten", pointer);
        case FirstFitHeap::FreeResult::wrong_size:
            panic("heap: {} was freed with the wrong size {}", pointer, size);
    }
}

}  // namespace
}  // namespace exo::guest

const std::nothrow_t std::nothrow{};

// What the library calls where it would throw.
void std::__throw_out_of_range_fmt(const char* format, ...) {
    exo::guest::panic("out of range: {}", format);
}

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return exo::guest::kernel_memory().heap.allocate(size, alignof(std::max_align_t));
}
void* operator new[](std::size_t size, const std::nothrow_t& tag) noexcept {
    return operator new(size, tag);
}
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return exo::guest::kernel_memory().heap.allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment, const std::nothrow_t& tag) noexcept {
    return operator new(size, alignment, tag);
}

void operator delete(void* pointer) noexcept {
    exo::guest::free_checked(pointer, 0);
}
void operator delete[](void* pointer) noexcept {
    exo::guest::free_checked(pointer, 0);
}
void operator delete(void* pointer, std::size_t size) noexcept {
    exo::guest::free_checked(pointer, size);
}
void operator delete[](void* pointer, std::size_t size) noexcept {
    exo::guest::free_checked(pointer, size);
}
void operator delete(void* pointer, std::align_val_t) noexcept {
    exo::guest::free_checked(pointer, 0);
}
void operator delete[](void* pointer, std::align_val_t) noexcept {
    exo::guest::free_checked(pointer, 0);
}
void operator delete(void* pointer, std::size_t size, std::align_val_t) noexcept {
    exo::guest::free_checked(pointer, size);
}
void operator delete[](void* pointer, std::size_t size, std::align_val_t) noexcept {
    exo::guest::free_checked(pointer, size);
}
void operator delete(void* pointer, const std::nothrow_t&) noexcept {
    exo::guest::free_checked(pointer, 0);
}
void operator delete[](void* pointer, const std::nothrow_t&) noexcept {
    exo::guest::free_checked(pointer, 0);
}

extern "C" {

void abort() noexcept {
    exo::guest::panic("abort was called");
}
[[noreturn]] void __cxa_pure_virtual() {
    exo::guest::panic("a pure virtual function was called");
}

std::size_t strlen(const char* text) {
    std::size_t size = 0;
    while (text[size] != '\0') ++size;
    return size;
}

void* memchr(const void* memory, int value, std::size_t size) {
    const auto* const bytes = static_cast<const unsigned char*>(memory);
    for (std::size_t i = 0; i < size; ++i)
        if (bytes[i] == static_cast<unsigned char>(value)) return const_cast<unsigned char*>(bytes + i);
    return nullptr;
}

}  // extern "C"
