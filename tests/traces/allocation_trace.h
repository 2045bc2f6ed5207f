// Recorded allocations of real programs. A file holds one number an event, in groups of seven bits, lowest
// first, with the top bit set in all but the last: an allocation of n bytes is 2n, the free of the allocation
// that was made n allocations before the last one is 2n + 1. tools/record-trace makes such files with
// heaptrack.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#ifndef EXO_TRACES
#error "EXO_TRACES is the folder of the traces"
#endif

namespace exo::traces {

struct AllocationTrace {
    struct Event {
        std::uint32_t
            slot;  ///< a place for the pointer; reused, so there are only as many as pieces live at once
        std::uint32_t size;
        static constexpr std::uint32_t free = ~std::uint32_t{0};
        bool is_free() const { return size == free; }
    };
    std::vector<Event> events;
    std::uint32_t slots = 0;
    std::uint64_t allocations = 0;

    /// The trace in `name`.trace; the program ends when there is none.
    static AllocationTrace read(const std::string& name) {
        std::ifstream file(std::string(EXO_TRACES "/") + name + ".trace", std::ios::binary);
        if (!file) std::abort();
        const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
        AllocationTrace trace;
        std::vector<std::uint32_t> slot_of;
        std::vector<std::uint32_t> unused;
        std::uint64_t value = 0;
        unsigned shift = 0;
        for (const char byte : bytes) {
            value |= (static_cast<unsigned char>(byte) & 0x7fULL) << shift;
            shift += 7;
            if ((static_cast<unsigned char>(byte) & 0x80) != 0) continue;
            trace.add(value, slot_of, unused);
            value = 0;
            shift = 0;
        }
        trace.allocations = slot_of.size();
        return trace;
    }

  private:
    void add(std::uint64_t value, std::vector<std::uint32_t>& slot_of, std::vector<std::uint32_t>& unused) {
        if (value % 2 == 1) {
            const std::uint32_t slot = slot_of.at(slot_of.size() - 1 - value / 2);
            unused.push_back(slot);
            events.push_back({slot, Event::free});
            return;
        }
        if (unused.empty()) unused.push_back(slots++);
        slot_of.push_back(unused.back());
        unused.pop_back();
        events.push_back({slot_of.back(), static_cast<std::uint32_t>(value / 2)});
    }
};

}  // namespace exo::traces
