#include <cstddef>
#include <new>

#include "guest/kernel/panic.h"
#include "guest/memory/kernel_memory.h"

// What compiled C++ expects to find at run time. There is no throwing `operator new` on purpose: memory that
// may be missing is asked for with std::nothrow, and code that does not ask so does not link.

namespace {

using exo::guest::kernel_memory;
using exo::guest::KernelHeap;

constexpr std::size_t default_alignment = __STDCPP_DEFAULT_NEW_ALIGNMENT__;

/// The heap is told who asks, for its reports.
[[gnu::always_inline]] inline void* allocate(std::size_t size, std::size_t alignment) {
    const auto origin = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
    return kernel_memory().heap.allocate(size, alignment, origin);
}
[[gnu::always_inline]] inline void release(void* pointer, std::size_t size, std::size_t alignment) {
    const auto origin = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
    kernel_memory().heap.free(pointer, size, alignment, origin);
}
std::size_t bytes(std::align_val_t alignment) {
    return static_cast<std::size_t>(alignment);
}

}  // namespace

const std::nothrow_t std::nothrow{};

// What the library calls where it would throw.
void std::__throw_out_of_range_fmt(const char* format, ...) {
    exo::guest::panic("out of range: {}", format);
}

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return allocate(size, default_alignment);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
    return allocate(size, default_alignment);
}
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return allocate(size, bytes(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return allocate(size, bytes(alignment));
}

void operator delete(void* pointer) noexcept {
    release(pointer, KernelHeap::unknown_size, default_alignment);
}
void operator delete[](void* pointer) noexcept {
    release(pointer, KernelHeap::unknown_size, default_alignment);
}
void operator delete(void* pointer, std::size_t size) noexcept {
    release(pointer, size, default_alignment);
}
void operator delete[](void* pointer, std::size_t size) noexcept {
    release(pointer, size, default_alignment);
}
void operator delete(void* pointer, std::align_val_t alignment) noexcept {
    release(pointer, KernelHeap::unknown_size, bytes(alignment));
}
void operator delete[](void* pointer, std::align_val_t alignment) noexcept {
    release(pointer, KernelHeap::unknown_size, bytes(alignment));
}
void operator delete(void* pointer, std::size_t size, std::align_val_t alignment) noexcept {
    release(pointer, size, bytes(alignment));
}
void operator delete[](void* pointer, std::size_t size, std::align_val_t alignment) noexcept {
    release(pointer, size, bytes(alignment));
}
void operator delete(void* pointer, const std::nothrow_t&) noexcept {
    release(pointer, KernelHeap::unknown_size, default_alignment);
}
void operator delete[](void* pointer, const std::nothrow_t&) noexcept {
    release(pointer, KernelHeap::unknown_size, default_alignment);
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
