// The atomics policy that puts the explorer underneath the rings: every access becomes a step of an
// Execution.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "execution.h"
#include "shared/fusion/native_atomics.h"

namespace exo::model {

struct ModelAtomics {
    template <class Word>
    static Word load_relaxed(const Word& word) {
        return load(word, Order::relaxed);
    }
    template <class Word>
    static Word load_acquire(const Word& word) {
        return load(word, Order::acquire);
    }
    template <class Word>
    static Word load_seq_cst(const Word& word) {
        return load(word, Order::seq_cst);
    }
    template <class Word>
    static void store_relaxed(Word& word, std::type_identity_t<Word> value) {
        store(word, value, Order::relaxed);
    }
    template <class Word>
    static void store_release(Word& word, std::type_identity_t<Word> value) {
        store(word, value, Order::release);
    }
    template <class Word>
    static void store_seq_cst(Word& word, std::type_identity_t<Word> value) {
        store(word, value, Order::seq_cst);
    }
    template <class Word>
    static Word fetch_add(Word& word, std::type_identity_t<Word> increment) {
        if (Execution* run = Execution::current())
            return static_cast<Word>(run->fetch_add(&word, sizeof(word), increment));
        return Native::fetch_add(word, increment);
    }
    template <class Word>
    static bool compare_exchange(Word& word, Word& expected, std::type_identity_t<Word> desired) {
        Execution* run = Execution::current();
        if (run == nullptr) return Native::compare_exchange(word, expected, desired);
        std::uint64_t found = expected;
        const bool exchanged = run->compare_exchange(&word, sizeof(word), found, desired);
        expected = static_cast<Word>(found);
        return exchanged;
    }
    static void copy_to_shared(std::byte* shared, const std::byte* source, std::size_t bytes) {
        by_words(bytes, [&](std::size_t at, std::size_t size) {
            if (Execution* run = Execution::current())
                return run->plain_write(shared + at, source + at, size);
            Native::copy_to_shared(shared + at, source + at, size);
        });
    }
    static void copy_from_shared(std::byte* destination, const std::byte* shared, std::size_t bytes) {
        by_words(bytes, [&](std::size_t at, std::size_t size) {
            if (Execution* run = Execution::current())
                return run->plain_read(destination + at, shared + at, size);
            Native::copy_from_shared(destination + at, shared + at, size);
        });
    }

  protected:
    using Native = fusion::NativeAtomics;

    template <class Word>
    static Word load(const Word& word, Order order) {
        if (Execution* run = Execution::current())
            return static_cast<Word>(run->load(&word, sizeof(word), order));
        return Native::load_acquire(word);
    }
    template <class Word>
    static void store(Word& word, Word value, Order order) {
        if (Execution* run = Execution::current()) return run->store(&word, sizeof(word), value, order);
        Native::store_release(word, value);
    }

  private:
    template <class Copy>
    static void by_words(std::size_t bytes, Copy copy) {
        for (std::size_t at = 0; at < bytes; at += 8) copy(at, std::min<std::size_t>(8, bytes - at));
    }
};

}  // namespace exo::model
