// Free objects carry their own lists: a link in the first word, and chains of them that move as a whole.
#pragma once

#include <cstdint>

namespace exo::guest {

struct FreeObject {
    FreeObject* next;
};

/// Objects of one size class that travel between the levels together; the last one's link is null.
struct Chain {
    FreeObject* head = nullptr;
    std::uint32_t count = 0;
};

/// Cuts the first `count` objects (at least one, at most all) off the chain.
inline Chain split_front(Chain& chain, std::uint32_t count) {
    FreeObject* last = chain.head;
    for (std::uint32_t i = 1; i < count; ++i) last = last->next;
    const Chain front{chain.head, count};
    chain = {last->next, chain.count - count};
    last->next = nullptr;
    return front;
}

}  // namespace exo::guest
