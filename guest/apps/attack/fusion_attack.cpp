#include <algorithm>
#include <cstring>

#include "guest/apps/attack/attacker.h"
#include "guest/arch/arch.h"
#include "shared/block/protocol.h"
#include "shared/fusion/ring.h"

namespace exo::guest::attack {
namespace {

namespace reg = block::reg;

constexpr std::uint32_t capacity = 32;
constexpr std::size_t ring_room = 0x2000;
constexpr std::size_t rings = 8;  ///< of four queues
static_assert(sizeof(fusion::RingHeader) + capacity * fusion::slot_size <= ring_room);
static_assert(rings * ring_room <= area::fusion.size);
constexpr unsigned flood = 64;
constexpr unsigned reset_polls = 10'000;

std::size_t slot_offset(std::size_t ring, std::size_t slot) {
    return ring * ring_room + sizeof(fusion::RingHeader) + slot % capacity * fusion::slot_size;
}

fusion::RingHeader& header(Attacker& attacker, std::size_t ring) {
    return *reinterpret_cast<fusion::RingHeader*>(attacker.at(area::fusion, ring * ring_room));
}

void reset(Attacker& attacker, std::uint64_t bar) {
    attacker.window().write32(bar + reg::status, static_cast<std::uint32_t>(block::DeviceStatus::reset));
    if (attacker.random().one_in(8)) return;
    for (unsigned polls = 0; attacker.window().read32(bar + reg::status) != 0; ++polls) {
        if (polls == reset_polls) return attacker.object("a fusion disk does not come out of a reset");
        arch::pause();
    }
}

void format_ring(Attacker& attacker, std::size_t ring) {
    Random& random = attacker.random();
    const std::span memory(attacker.at(area::fusion, ring * ring_room), ring_room);
    static_cast<void>(fusion::Ring::format(memory, capacity));
    if (!attacker.lies()) return;
    fusion::RingIdentity& identity = header(attacker, ring).identity;
    auto* const words = reinterpret_cast<std::uint32_t*>(&identity);
    words[random.below(sizeof(identity) / sizeof(*words))] = static_cast<std::uint32_t>(random.next());
}

std::uint64_t place(Attacker& attacker, std::size_t ring) {
    if (!attacker.lies()) return attacker.physical(area::fusion, ring * ring_room);
    // A completion that lies where a request is read makes addresses of its own.
    return attacker.wild() ? attacker.address(area::fusion) : attacker.outside();
}

void set_up_queue(Attacker& attacker, std::uint64_t bar, std::uint32_t queue) {
    Random& random = attacker.random();
    Registers& window = attacker.window();
    format_ring(attacker, 2 * queue);
    format_ring(attacker, 2 * queue + 1);
    window.write32(bar + reg::queue_select, queue);
    window.write32(bar + reg::ring_capacity,
                   attacker.lies() ? static_cast<std::uint32_t>(random.next()) : capacity);
    window.write64(bar + reg::submission_ring, place(attacker, 2 * queue));
    window.write64(bar + reg::completion_ring, place(attacker, 2 * queue + 1));
    window.write32(bar + reg::queue_vector, attacker.lies() ? static_cast<std::uint32_t>(random.next()) : 0);
    window.write32(bar + reg::queue_state, 1);
}

block::Segment segment(Attacker& attacker) {
    Random& random = attacker.random();
    return {attacker.address(area::data), attacker.length(area::data),
            attacker.lies() ? static_cast<std::uint32_t>(random.next()) : 0};
}

block::Request request(Attacker& attacker) {
    Random& random = attacker.random();
    block::Request made{};
    made.tag = static_cast<std::uint32_t>(random.next());
    made.operation = static_cast<block::Operation>(attacker.lies() ? random.next() : random.below(2));
    made.flags = static_cast<std::uint8_t>(attacker.lies() ? random.next() : random.below(3));
    made.segment_count = static_cast<std::uint16_t>(attacker.lies() ? random.next() : 1 + random.below(2));
    made.sector = attacker.lies() ? random.next() : random.below(32);
    made.segments[0] = segment(attacker);
    made.segments[1] = segment(attacker);
    // An indirect table is named like a segment, and must not be what a disk has left somewhere.
    if ((made.flags & block::flag::indirect) != 0) made.segments[0].address = attacker.table_address();
    made.submit_tsc = random.below(2);
    return made;
}

void publish(Attacker& attacker, std::size_t ring, std::uint32_t position) {
    Random& random = attacker.random();
    std::byte* const slot = attacker.at(area::fusion, slot_offset(ring, position));
    const block::Request made = request(attacker);
    std::memcpy(slot + sizeof(std::uint64_t), &made, sizeof(made));
    fusion::SlotHeader shown{position + 1, fusion::Kind::inline_data, 0, sizeof(made)};
    if (attacker.lies()) shown = fusion::SlotHeader::from_word(random.next());
    __atomic_store_n(reinterpret_cast<std::uint64_t*>(slot), shown.to_word(), __ATOMIC_RELEASE);
}

void ring_doorbells(Attacker& attacker, std::uint64_t bar, std::uint32_t queue) {
    Random& random = attacker.random();
    Registers& window = attacker.window();
    if (random.one_in(8))
        for (unsigned i = 0; i < flood; ++i)
            window.write32(bar + block::bar::doorbell(static_cast<std::uint32_t>(random.below(8))), 0);
    window.write32(bar + block::bar::doorbell(queue), 0);
    // The kind of the first completion's slot.
    const std::byte* const slot = attacker.at(area::fusion, slot_offset(2 * queue + 1, 0));
    if (random.one_in(2)) Attacker::await(reinterpret_cast<const std::uint16_t*>(slot)[2]);
}

}  // namespace

void attack_fusion(Attacker& attacker) {
    Random& random = attacker.random();
    for (std::size_t index = 0; index < attacker.functions().size(); ++index) {
        const PciFunction function(attacker.config(), attacker.functions()[index]);
        if (function.vendor() != block::pci_vendor || function.device() != block::pci_device) continue;
        const std::uint64_t bar = attacker.place_in_window(index);
        Registers& window = attacker.window();
        attacker.choose_honesty();
        reset(attacker, bar);
        const std::uint64_t offered = window.read64(bar + reg::device_features);
        window.write64(bar + reg::driver_features, attacker.lies() ? random.next() : random.next() & offered);
        window.write32(bar + reg::status, 1);
        const std::uint32_t count = std::min<std::uint32_t>(window.read32(bar + reg::queue_count), rings / 2);
        for (std::uint32_t queue = 0; queue < count; ++queue) set_up_queue(attacker, bar, queue);
        for (std::uint32_t queue = 0; queue < count; ++queue) {
            for (std::uint32_t position = 0; position < capacity / 2; ++position)
                publish(attacker, 2 * queue, position);
            ring_doorbells(attacker, bar, queue);
        }
        if (random.one_in(4))
            window.write32(bar + random.below(0x100) / 4 * 4, static_cast<std::uint32_t>(random.next()));
    }
}

void change_fusion_rings(Attacker& attacker) {
    Random& random = attacker.random();
    const std::size_t ring = random.below(rings);
    const block::Request made = request(attacker);
    std::uint64_t words[sizeof(made) / sizeof(std::uint64_t)];
    std::memcpy(words, &made, sizeof(made));
    auto* const slot = reinterpret_cast<std::uint64_t*>(
        attacker.at(area::fusion, slot_offset(ring, random.below(capacity))));
    if (random.one_in(4)) {
        const auto position = static_cast<std::uint32_t>(random.below(2 * capacity));
        const fusion::SlotHeader shown{position, fusion::Kind::inline_data, 0, sizeof(made)};
        return __atomic_store_n(slot, shown.to_word(), __ATOMIC_RELAXED);
    }
    if (random.one_in(8))
        return __atomic_store_n(&header(attacker, ring).consumer_wake.word, random.next(), __ATOMIC_RELAXED);
    const std::size_t word = random.below(std::size(words));
    __atomic_store_n(slot + 1 + word, words[word], __ATOMIC_RELAXED);
}

}  // namespace exo::guest::attack
