// The atomics policy of real machines. Every access of the rings to shared memory goes through such a
// policy, so that the explorer in tests/model can put itself underneath the very same code.
#pragma once

#include <cstddef>
#include <cstdint>

namespace exo::fusion {

/// Compiler built-ins rather than std::atomic_ref: they work on plain words in mapped memory, need no
/// library in the kernel, and ThreadSanitizer understands them. Words are naturally aligned.
struct NativeAtomics {
    template <class Word>
    static Word load_relaxed(const Word& word) {
        return __atomic_load_n(&word, __ATOMIC_RELAXED);
    }
    template <class Word>
    static Word load_acquire(const Word& word) {
        return __atomic_load_n(&word, __ATOMIC_ACQUIRE);
    }
    template <class Word>
    static Word load_seq_cst(const Word& word) {
        return __atomic_load_n(&word, __ATOMIC_SEQ_CST);
    }
    template <class Word>
    static void store_relaxed(Word& word, Word value) {
        __atomic_store_n(&word, value, __ATOMIC_RELAXED);
    }
    template <class Word>
    static void store_release(Word& word, Word value) {
        __atomic_store_n(&word, value, __ATOMIC_RELEASE);
    }
    template <class Word>
    static void store_seq_cst(Word& word, Word value) {
        __atomic_store_n(&word, value, __ATOMIC_SEQ_CST);
    }
    /// Sequentially consistent; returns the value before.
    template <class Word>
    static Word fetch_add(Word& word, Word increment) {
        return __atomic_fetch_add(&word, increment, __ATOMIC_SEQ_CST);
    }
    /// Claims: acquire and release on success; `expected` receives the value found on failure.
    template <class Word>
    static bool compare_exchange(Word& word, Word& expected, Word desired) {
        return __atomic_compare_exchange_n(&word, &expected, desired, false, __ATOMIC_ACQ_REL,
                                           __ATOMIC_ACQUIRE);
    }

    /// Copies of payload bytes, not atomic: the protocol lets only one side touch a payload at a time.
    static void copy_to_shared(std::byte* shared, const std::byte* source, std::size_t bytes) {
        copy_short(shared, source, bytes);
    }
    static void copy_from_shared(std::byte* destination, const std::byte* shared, std::size_t bytes) {
        copy_short(destination, shared, bytes);
    }

  private:
    /// At most 64 bytes by two overlapping moves of a fixed size, which the compiler turns into plain
    /// loads and stores; a call of memcpy would cost more than the whole send.
    static void copy_short(std::byte* to, const std::byte* from, std::size_t bytes) {
        if (__builtin_constant_p(bytes)) {
            __builtin_memcpy(to, from, bytes);
        } else if (bytes >= 32) {
            copy_ends<32>(to, from, bytes);
        } else if (bytes >= 16) {
            copy_ends<16>(to, from, bytes);
        } else if (bytes >= 8) {
            copy_ends<8>(to, from, bytes);
        } else if (bytes >= 4) {
            copy_ends<4>(to, from, bytes);
        } else {
            for (std::size_t i = 0; i < bytes; ++i) to[i] = from[i];
        }
    }
    template <std::size_t Size>
    static void copy_ends(std::byte* to, const std::byte* from, std::size_t bytes) {
        std::byte tail[Size];
        __builtin_memcpy(tail, from + bytes - Size, Size);
        __builtin_memcpy(to, from, Size);
        __builtin_memcpy(to + bytes - Size, tail, Size);
    }
};

}  // namespace exo::fusion
