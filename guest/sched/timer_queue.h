#pragma once

#include <cstdint>
#include <utility>

#include "guest/arch/arch.h"

namespace exo::guest {

class Thread;

/// A deadline in a TimerQueue; part of who waits for it.
struct TimerEntry {
    Thread* sleeper = nullptr;
    std::uint64_t deadline_ns = arch::no_deadline;
    bool queued = false;

    // The heap's: `previous` is the elder sibling, of a first child the parent.
    TimerEntry* child = nullptr;
    TimerEntry* next = nullptr;
    TimerEntry* previous = nullptr;
};

/// Deadlines, the earliest at hand: an intrusive pairing heap (Fredman, Sedgewick, Sleator, Tarjan 1986). No
/// memory, no search; insertion is O(1), and so, amortised, is all but the removal of the earliest.
class TimerQueue {
  public:
    constexpr TimerQueue() = default;

    /// arch::no_deadline when there is none.
    std::uint64_t next_deadline() const { return root_ != nullptr ? root_->deadline_ns : arch::no_deadline; }

    void insert(TimerEntry& entry) {
        entry.queued = true;
        entry.child = entry.next = entry.previous = nullptr;
        root_ = meld(root_, &entry);
    }

    void remove(TimerEntry& entry) {
        entry.queued = false;
        if (&entry == root_) {
            root_ = merge_siblings(entry.child);
            return;
        }
        (entry.previous->child == &entry ? entry.previous->child : entry.previous->next) = entry.next;
        if (entry.next != nullptr) entry.next->previous = entry.previous;
        root_ = meld(root_, merge_siblings(entry.child));
    }

    /// Takes the earliest entry whose deadline has come; nullptr when there is none.
    TimerEntry* take_due(std::uint64_t now_ns) {
        if (root_ == nullptr || root_->deadline_ns > now_ns) return nullptr;
        TimerEntry* const due = root_;
        remove(*due);
        return due;
    }

  private:
    /// Of two roots, the later becomes the first child of the earlier.
    static TimerEntry* meld(TimerEntry* a, TimerEntry* b) {
        if (a == nullptr || b == nullptr) return a != nullptr ? a : b;
        if (b->deadline_ns < a->deadline_ns) std::swap(a, b);
        b->next = a->child;
        if (b->next != nullptr) b->next->previous = b;
        b->previous = a;
        a->child = b;
        return a;
    }

    /// In pairs from the front, then all of those from the back. Not recursive: stacks are small here.
    static TimerEntry* merge_siblings(TimerEntry* first) {
        TimerEntry* pairs = nullptr;
        while (first != nullptr) {
            TimerEntry* const a = take_front(first);
            TimerEntry* const pair = meld(a, first != nullptr ? take_front(first) : nullptr);
            pair->next = pairs;
            pairs = pair;
        }
        TimerEntry* merged = nullptr;
        while (pairs != nullptr) merged = meld(merged, take_front(pairs));
        return merged;
    }

    static TimerEntry* take_front(TimerEntry*& list) {
        TimerEntry* const front = list;
        list = front->next;
        front->next = front->previous = nullptr;
        return front;
    }

    TimerEntry* root_ = nullptr;
};

}  // namespace exo::guest
