#include <cstring>

#include "guest/apps/attack/attacker.h"
#include "guest/arch/arch.h"
#include "guest/drivers/virtio/virtio_abi.h"

namespace exo::guest::attack {
namespace {

using namespace virtio;

constexpr std::uint16_t vendor = 0x1af4;
constexpr std::uint16_t first_device = 0x1040;
constexpr std::uint16_t last_device = 0x107f;
constexpr std::uint32_t block_requests[] = {0, 0, 0,  1, 1,
                                            4, 8, 11, 13};  ///< read, write, flush, id, discard, zeroes
constexpr std::size_t chains = 5;                           ///< of three descriptors each
constexpr unsigned flood = 64;
constexpr unsigned reset_polls = 10'000;

struct BlockHeader {
    std::uint32_t type;
    std::uint32_t reserved;
    std::uint64_t sector;
};

/// Tables and rings of this size, or of any other.
constexpr std::uint16_t queue_size = 16;
constexpr std::size_t queue_room = 0x400;
constexpr std::size_t queues = 4;

bool is_virtio(const PciFunction& function) {
    return function.vendor() == vendor && function.device() > first_device &&
           function.device() <= last_device;
}

void set_address(Attacker& attacker, std::uint64_t field, std::uint64_t address) {
    attacker.window().write32(field, static_cast<std::uint32_t>(address));
    attacker.window().write32(field + 4, static_cast<std::uint32_t>(address >> 32));
}

/// Mostly where its own area is, for otherwise the device takes nothing from it.
std::uint64_t place(Attacker& attacker, Area area, std::size_t offset) {
    if (!attacker.lies()) return attacker.physical(area, offset);
    return area.offset == area::tables.offset ? attacker.table_address() : attacker.address(area);
}

void set_up_queue(Attacker& attacker, std::uint64_t bar, std::uint16_t index) {
    Random& random = attacker.random();
    Registers& window = attacker.window();
    const std::size_t offset = index % queues * queue_room;
    window.write16(bar + common::queue_select, index);
    window.write16(bar + common::queue_size,
                   attacker.lies() ? static_cast<std::uint16_t>(random.next()) : queue_size);
    window.write16(bar + common::queue_vector, static_cast<std::uint16_t>(random.below(4)));
    set_address(attacker, bar + common::queue_descriptors, place(attacker, area::tables, offset));
    set_address(attacker, bar + common::queue_driver, place(attacker, area::rings, offset));
    set_address(attacker, bar + common::queue_device, place(attacker, area::rings, offset + queue_room / 2));
    window.write16(bar + common::queue_enable, 1);
}

Descriptor lie(Attacker& attacker) {
    Random& random = attacker.random();
    const auto flags = static_cast<std::uint16_t>(attacker.lies() ? random.next() : random.below(8));
    const bool indirect = (flags & flag_indirect) != 0;
    return {indirect ? attacker.table_address() : attacker.address(area::data), attacker.length(area::data),
            flags, static_cast<std::uint16_t>(random.one_in(8) ? random.next() : random.below(queue_size))};
}

/// Header, data and status of a block request, any of which may lie.
void write_request(Attacker& attacker, std::size_t table, std::size_t first) {
    Random& random = attacker.random();
    const BlockHeader header{attacker.lies() ? static_cast<std::uint32_t>(random.next())
                                             : random.pick(std::span<const std::uint32_t>(block_requests)),
                             0, attacker.lies() ? random.next() : random.below(32)};
    std::memcpy(attacker.at(area::data, 0x100), &header, sizeof(header));
    const std::uint16_t middle = random.one_in(2) ? 1 : 3;
    Descriptor chain[] = {{attacker.physical(area::data, 0x100), sizeof(header), 1, 0},
                          {attacker.address(area::data), attacker.length(area::data), middle, 0},
                          {attacker.physical(area::data, 0x200), 1, 2, 0}};
    if (attacker.lies()) chain[random.below(3)] = lie(attacker);
    for (std::size_t i = 0; i < 3; ++i) {
        const std::size_t at = (first + i) % queue_size;
        if (!attacker.lies()) chain[i].next = static_cast<std::uint16_t>((at + 1) % queue_size);
        std::memcpy(attacker.at(area::tables, table + at * sizeof(Descriptor)), &chain[i],
                    sizeof(Descriptor));
    }
}

void make_available(Attacker& attacker, std::size_t ring, std::uint16_t head) {
    auto* const words = reinterpret_cast<std::uint16_t*>(attacker.at(area::rings, ring));
    const std::uint16_t index = __atomic_load_n(&words[1], __ATOMIC_RELAXED);
    __atomic_store_n(&words[2 + index % queue_size], head, __ATOMIC_RELAXED);
    __atomic_store_n(&words[1], static_cast<std::uint16_t>(index + 1), __ATOMIC_RELEASE);
}

void submit_and_ring(Attacker& attacker, std::uint64_t doorbells, std::uint16_t queue) {
    Random& random = attacker.random();
    const std::size_t offset = queue % queues * queue_room;
    for (std::size_t i = 0; i < chains; ++i) {
        const std::uint64_t first = attacker.lies() ? random.below(queue_size) : 3 * i;
        write_request(attacker, offset, first);
        make_available(attacker, offset, static_cast<std::uint16_t>(attacker.lies() ? random.next() : first));
        if (random.one_in(4)) attacker.window().write16(doorbells + 4u * queue, queue);
    }
    if (random.one_in(8))
        for (unsigned i = 0; i < flood; ++i)
            attacker.window().write16(doorbells + 4 * random.below(8),
                                      static_cast<std::uint16_t>(random.below(8)));
    attacker.window().write16(doorbells + 4u * queue, queue);
    const auto* const used =
        reinterpret_cast<const std::uint16_t*>(attacker.at(area::rings, offset + queue_room / 2));
    if (random.one_in(2)) Attacker::await(used[1]);
}

/// Before the rings are laid out anew, so that what lies there belongs to nobody; sometimes it does.
void reset(Attacker& attacker, std::uint64_t bar) {
    attacker.window().write8(bar + common::status, 0);
    if (attacker.random().one_in(8)) return;
    for (unsigned polls = 0; attacker.window().read8(bar + common::status) != 0; ++polls) {
        if (polls == reset_polls) return attacker.object("a virtio device does not come out of a reset");
        arch::pause();
    }
    std::memset(attacker.at(area::rings, 0), 0, queues * queue_room);
}

void negotiate(Attacker& attacker, std::uint64_t bar) {
    Random& random = attacker.random();
    Registers& window = attacker.window();
    window.write8(bar + common::status, status_acknowledge | status_driver);
    window.write32(bar + common::driver_feature_select, 1);
    window.write32(bar + common::driver_feature, attacker.lies() ? 0 : 1);
    window.write32(bar + common::driver_feature_select, 0);
    window.write32(bar + common::driver_feature,
                   static_cast<std::uint32_t>(random.next() & random.next()) & 3u << 28);
    window.write8(bar + common::status, status_acknowledge | status_driver | status_features_ok);
}

/// The offset of a structure in the BAR, as its capability tells it; nothing when there is none.
std::optional<std::uint32_t> structure(const PciFunction& function, std::uint8_t kind) {
    std::uint8_t previous = 0;
    while (const auto found = function.find_capability(pci_capability::vendor_specific, previous)) {
        if (function.read8(static_cast<std::uint8_t>(*found + 3)) == kind)
            return function.read32(static_cast<std::uint8_t>(*found + 8)) & 0x7fff;
        previous = *found;
    }
    return std::nullopt;
}

}  // namespace

void attack_virtio(Attacker& attacker) {
    Random& random = attacker.random();
    for (std::size_t index = 0; index < attacker.functions().size(); ++index) {
        const PciFunction function(attacker.config(), attacker.functions()[index]);
        if (!is_virtio(function)) continue;
        const std::uint64_t bar = attacker.place_in_window(index);
        const auto notify = structure(function, kind_notify);
        if (!notify) continue;
        attacker.choose_honesty();
        reset(attacker, bar);
        negotiate(attacker, bar);
        const std::uint16_t count = attacker.window().read16(bar + common::queue_count);
        for (std::uint16_t queue = 0; queue <= count % queues; ++queue) set_up_queue(attacker, bar, queue);
        attacker.window().write8(bar + common::status,
                                 status_acknowledge | status_driver | status_features_ok | status_driver_ok);
        for (std::uint16_t queue = 0; queue <= count % queues; ++queue)
            submit_and_ring(attacker, bar + *notify, queue);
        if (random.one_in(4))
            attacker.window().write32(bar + random.below(common::size) / 4 * 4,
                                      static_cast<std::uint32_t>(random.next()) & 0xffff);
    }
}

/// Whole words at a time, each of them one that an attack might have written.
void change_rings(Attacker& attacker) {
    Random& random = attacker.random();
    const std::size_t slot = random.below(queues * queue_room / sizeof(Descriptor)) * sizeof(Descriptor);
    switch (random.below(4)) {
        case 0: {
            const Descriptor lying = lie(attacker);
            auto* const words = reinterpret_cast<std::uint64_t*>(attacker.at(area::tables, slot));
            __atomic_store_n(&words[0], lying.address, __ATOMIC_RELAXED);
            break;
        }
        case 1: {
            const Descriptor lying = lie(attacker);
            std::uint64_t rest = 0;
            std::memcpy(&rest, &lying.length, sizeof(rest));
            auto* const words = reinterpret_cast<std::uint64_t*>(attacker.at(area::tables, slot));
            __atomic_store_n(&words[1], rest, __ATOMIC_RELAXED);
            break;
        }
        case 2: {
            auto* const word =
                reinterpret_cast<std::uint16_t*>(attacker.at(area::rings, slot)) + random.below(8);
            __atomic_store_n(word, static_cast<std::uint16_t>(random.below(64)), __ATOMIC_RELAXED);
            break;
        }
        default:
            change_fusion_rings(attacker);
    }
}

}  // namespace exo::guest::attack
