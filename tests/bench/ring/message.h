// What the ring benchmarks send: messages whose words follow from their number, so that sums prove what
// arrived.
#pragma once

#include <cstddef>
#include <cstdint>

namespace exo::bench {

template <std::size_t words>
struct Message {
    std::uint64_t word[words];

    static Message number(std::uint64_t number) {
        Message message;
        for (std::size_t i = 0; i < words; ++i) message.word[i] = number + i;
        return message;
    }
    std::uint64_t sum() const {
        std::uint64_t sum = 0;
        for (const std::uint64_t value : word) sum += value;
        return sum;
    }
    /// The sum of messages 0 … count-1.
    static std::uint64_t sum_of_first(std::uint64_t count) {
        return words * (count * (count - 1) / 2) + count * (words * (words - 1) / 2);
    }
};
using Message8 = Message<1>;
using Message56 = Message<7>;

}  // namespace exo::bench
