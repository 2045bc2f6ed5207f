#include <stddef.h>
#include <stdint.h>

// The four functions that the compiler calls by itself. String instructions are short, and fast on every
// processor of the last ten years.

extern "C" {

void* memcpy(void* to, const void* from, size_t size) {
    void* const result = to;
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
    return result;
}

void* memmove(void* to, const void* from, size_t size) {
    if (reinterpret_cast<uintptr_t>(to) - reinterpret_cast<uintptr_t>(from) >= size)
        return memcpy(to, from, size);
    // They overlap and the target lies higher: from the end down.
    void* last_to = static_cast<uint8_t*>(to) + size - 1;
    const void* last_from = static_cast<const uint8_t*>(from) + size - 1;
    asm volatile("std\n rep movsb\n cld" : "+D"(last_to), "+S"(last_from), "+c"(size) : : "memory");
    return to;
}

void* memset(void* to, int value, size_t size) {
    void* const result = to;
    asm volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(value) : "memory");
    return result;
}

int memcmp(const void* left, const void* right, size_t size) {
    const auto* const a = static_cast<const uint8_t*>(left);
    const auto* const b = static_cast<const uint8_t*>(right);
    for (size_t i = 0; i < size; ++i)
        if (a[i] != b[i]) return a[i] < b[i] ? -1 : 1;
    return 0;
}

}  // extern "C"
