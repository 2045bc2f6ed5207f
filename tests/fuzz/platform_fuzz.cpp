// libFuzzer on all of the machine but KVM: the platform's models with a fusion disk, a virtio disk and the
// entropy device behind its PCI bus, driven as a vCPU drives them, by accesses to ports and memory, and by
// what a guest writes into its RAM. AddressSanitizer guards the bounds; the checks below guard where BARs and
// interrupts go, that devices come to rest, and that whatever state the guest has brought the machine into
// can be saved, loaded, and saved again to the same bytes.
//
// An input is a list of steps, each a byte that chooses it and the bytes that it takes.
#include <array>
#include <optional>

#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/whole_machine.h"

namespace exo::vmm {
namespace {

using fuzz::Input;
using fuzz::require;

using whole::code_size;
using whole::devices;
using whole::high_start;
using whole::Machine;
using whole::variables_size;

constexpr std::size_t ram_size = 32 * 1024;

/// A vCPU that the input drives.
class Guest {
  public:
    void step(Input& input) {
        switch (input.take<std::uint8_t>() % 14) {
            case 0:
                return access_port(input, well_known[input.take<std::uint8_t>() % well_known.size()]);
            case 1:
                return access_port(input, input.take<std::uint16_t>());
            case 2:
                return access_config(input);
            case 3:
                return access_bar(input);
            case 4:
                return access_memory(input, flash_start + input.take<std::uint16_t>());
            case 5:
                return access_memory(input, input.take<std::uint64_t>());
            case 6:
                return scribble(input);
            case 7:
                return run_dma(input);
            case 8:
                return place_bar(input);
            case 9:
                return set_up_virtio(1 + input.take<std::uint8_t>() % 2);
            case 10:
                return describe(input);
            case 11:
                return machine_->settle();
            case 12:
                return from_outside(input);
            default:
                return restore();
        }
    }
    void finish() { machine_->settle(); }

  private:
    static constexpr std::uint64_t flash_start =
        layout::place_flash(variables_size, code_size).variables.start;
    static constexpr std::array<std::uint16_t, 22> well_known{0x64,
                                                              0x70,
                                                              0x71,
                                                              0x92,
                                                              0x3f8,
                                                              0x3f9,
                                                              0x3fa,
                                                              0x3fb,
                                                              0x3fc,
                                                              0x3fd,
                                                              0x402,
                                                              0x510,
                                                              0x511,
                                                              0x514,
                                                              0x518,
                                                              0xcf8,
                                                              0xcf9,
                                                              0xcfc,
                                                              layout::power_management_port,
                                                              0xaf00,
                                                              layout::exit_port,
                                                              layout::phase_port};
    static constexpr std::uint32_t rings_at = 0x4000;  ///< of virtio queues, in the second bank

    std::uint64_t in(std::uint16_t port, std::size_t size) {
        return test::read_value(machine_->ports(), port, size);
    }
    void out(std::uint16_t port, std::size_t size, std::uint64_t value) {
        test::write_value(machine_->ports(), port, size, value);
    }
    /// Gives the port at which the register is now.
    std::uint16_t select_config(unsigned slot, unsigned offset, unsigned function = 0) {
        out(0xcf8, 4, 0x8000'0000 | slot << 11 | function << 8 | (offset & 0xfc));
        return static_cast<std::uint16_t>(0xcfc + offset % 4);
    }
    void set_config(unsigned slot, unsigned offset, std::size_t size, std::uint32_t value) {
        out(select_config(slot, offset), size, value);
    }
    std::uint64_t read_config(unsigned slot, unsigned offset, std::size_t size) {
        return in(select_config(slot, offset), size);
    }

    void access_port(Input& input, std::uint16_t port) {
        const auto how = input.take<std::uint8_t>();
        const std::size_t size = std::size_t{1} << how % 4 % 3;
        (how & 4) != 0 ? static_cast<void>(in(port, size)) : out(port, size, input.take<std::uint32_t>());
    }
    /// Any configuration register of any function, whole or in part.
    void access_config(Input& input) {
        const auto slot = input.take<std::uint8_t>();
        const auto offset = input.take<std::uint8_t>();
        access_port(input, select_config(slot % 6, offset, slot / 6 % 8));
    }
    /// 1 to 8 bytes: KVM splits an access that crosses a page.
    void access_memory(Input& input, std::uint64_t address) {
        const auto how = input.take<std::uint8_t>();
        const std::size_t size = 1 + how % 8;
        if ((how & 8) != 0)
            static_cast<void>(test::read_value(machine_->memory(), address, size));
        else
            test::write_value(machine_->memory(), address, size,
                              size > 4 ? input.take<std::uint64_t>() : input.take<std::uint32_t>());
    }
    void access_bar(Input& input) {
        const auto bar = machine_->bar(input.take<std::uint8_t>() % devices);
        const auto offset = input.take<std::uint16_t>();
        if (bar) access_memory(input, bar->start + offset % (bar->size + 8));
    }
    void scribble(Input& input) {
        const auto where = input.take<std::uint16_t>();
        const auto value = input.take<std::uint64_t>();
        std::memcpy(&machine_->ram(where & 1)[where / 2 % (ram_size - 8)], &value, sizeof(value));
    }
    /// A descriptor of fw_cfg's, somewhere in RAM, and the write that starts it.
    void run_dma(Input& input) {
        struct Descriptor {
            std::uint32_t control;
            std::uint32_t length;
            std::uint64_t address;
        };
        constexpr std::array<std::uint16_t, 12> items{0,    1,    3,    8,    0x11, 0x12,
                                                      0x15, 0x19, 0x20, 0x21, 0x23, 0xffff};
        const auto what = input.take<std::uint16_t>();
        const std::uint32_t control = what % 32 | std::uint32_t{items[what / 32 % items.size()]} << 16;
        const std::uint64_t length = input.take<std::uint16_t>();
        const std::uint64_t address = (what & 0x8000) != 0 ? input.take<std::uint64_t>()
                                                           : input.take<std::uint16_t>() % (ram_size + 16);
        const Descriptor descriptor{__builtin_bswap32(control),
                                    __builtin_bswap32(static_cast<std::uint32_t>(length)),
                                    __builtin_bswap64(address)};
        const std::uint32_t at = input.take<std::uint16_t>() % (ram_size - sizeof(descriptor));
        std::memcpy(&machine_->ram(0)[at], &descriptor, sizeof(descriptor));
        out(0x514, 4, 0);
        out(0x518, 4, __builtin_bswap32(at));
    }
    void place_bar(Input& input) {
        const unsigned device = input.take<std::uint8_t>() % devices;
        const auto where = input.take<std::uint8_t>();
        const unsigned slot = layout::first_device_slot + device;
        set_config(slot, 0x10, 4,
                   static_cast<std::uint32_t>(layout::pci_memory32_window.start) + where * 0x1000u);
        set_config(slot, 0x04, 2, 6);
        const unsigned msix = static_cast<unsigned>(read_config(slot, 0x34, 1));
        set_config(slot, msix + 2, 2, 0x8000);
        for (unsigned vector = 0; vector < 3; ++vector) write_msix(device, vector, where);
    }
    void write_msix(unsigned device, unsigned vector, unsigned data) {
        const auto bar = machine_->bar(device);
        if (!bar) return;
        const std::uint64_t table = device == 0 ? block::bar::msix_table : VirtioPci::msix_table_offset;
        const std::array<std::uint32_t, 4> entry{0xfee0'0000, 0, data, 0};
        for (unsigned word = 0; word < 4; ++word)
            test::write_value(machine_->memory(), bar->start + table + vector * 16 + word * 4, 4,
                              entry[word]);
    }

    template <typename T>
    void set_common(std::uint64_t bar, std::uint64_t offset, T value) {
        test::write_value(machine_->memory(), bar + offset, sizeof(T), value);
    }
    void set_up_virtio(unsigned device) {
        using Common = virtio::CommonConfig;
        const auto bar = machine_->bar(device);
        if (!bar) return;
        const std::uint64_t at = bar->start;
        set_common(at, offsetof(Common, status), std::uint8_t{0});
        set_common(at, offsetof(Common, status), std::uint8_t{3});
        set_common(at, offsetof(Common, driver_feature_select), std::uint32_t{1});
        set_common(at, offsetof(Common, driver_feature), std::uint32_t{1});
        set_common(at, offsetof(Common, status), std::uint8_t{11});
        for (std::uint16_t queue = 0; queue < 2; ++queue) {
            const std::uint64_t rings = high_start + rings_at + (device * 2 + queue) * 0x400u;
            set_common(at, offsetof(Common, queue_select), queue);
            set_common(at, offsetof(Common, queue_size), std::uint16_t{8});
            set_common(at, offsetof(Common, queue_vector), queue);
            set_common(at, offsetof(Common, queue_descriptors), static_cast<std::uint32_t>(rings));
            set_common(at, offsetof(Common, queue_driver), static_cast<std::uint32_t>(rings + 0x100));
            set_common(at, offsetof(Common, queue_device), static_cast<std::uint32_t>(rings + 0x200));
            set_common(at, offsetof(Common, queue_enable), std::uint16_t{1});
        }
        set_common(at, offsetof(Common, status), std::uint8_t{15});
    }
    /// A descriptor of a queue, which also becomes available when the input says so.
    void describe(Input& input) {
        const auto which = input.take<std::uint8_t>();
        const auto flags = input.take<std::uint8_t>();
        std::byte* const rings = &machine_->ram(1)[rings_at + (2 + which % 4) * 0x400u];
        const std::uint16_t index = which / 4 % 8;
        const virtio::Descriptor descriptor{high_start + input.take<std::uint16_t>() % 0x4000u,
                                            input.take<std::uint8_t>() * ((flags & 0x40) != 0 ? 1u : 16u),
                                            static_cast<std::uint16_t>(flags % 8),
                                            static_cast<std::uint16_t>(flags / 8 % 8)};
        std::memcpy(rings + 16 * index, &descriptor, sizeof(descriptor));
        if ((flags & 0x80) == 0) return;
        std::uint16_t available = 0;
        std::memcpy(&available, rings + 0x102, sizeof(available));
        std::memcpy(rings + 0x104 + 2 * (available % 8), &index, sizeof(index));
        ++available;
        std::memcpy(rings + 0x102, &available, sizeof(available));
    }

    /// Time, keys, and a terminal that takes output or does not.
    void from_outside(Input& input) {
        const auto what = input.take<std::uint8_t>();
        if (what < 0x80) return machine_->pass(std::chrono::microseconds(std::int64_t{1} << what % 40));
        if (what < 0xc0) return machine_->output_room(what % 64u);
        const auto bytes = input.take_bytes(what - 0xc0u);
        require(machine_->receive(bytes) <= bytes.size());
    }
    void restore() {
        machine_->settle();
        const std::vector<std::byte> state = machine_->save();
        auto next = std::make_unique<Machine>(ram_size, ram_size);
        next->load(*machine_, state);
        require(next->save() == state);
        machine_ = std::move(next);
    }

    std::unique_ptr<Machine> machine_ = std::make_unique<Machine>(ram_size, ram_size);
};

}  // namespace
}  // namespace exo::vmm

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    exo::fuzz::Input input(data, size);
    exo::vmm::Guest guest;
    while (!input.empty()) guest.step(input);
    guest.finish();
    return 0;
}
