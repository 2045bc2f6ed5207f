// libFuzzer on the guest's virtio-blk driver: a device that lies in its registers, capabilities and
// configuration, gives back buffers that it never had, moves the used index wherever it likes, writes over
// descriptors and statuses, interrupts or does not, and dies. AddressSanitizer guards the bounds;
// HostileDiskLoad that every request ends once, HostileMachine that the driver does not look for ever.
#include "guest/drivers/block/virtio_blk.h"
#include "guest/drivers/virtio/virtio_abi.h"
#include "tests/fuzz/hostile_disk_load.h"

namespace {

using namespace exo;
using fuzz::HostileMachine;
using fuzz::require;
namespace common = guest::virtio::common;

class HostileVirtioBlk final : public fuzz::HostileDevice {
  public:
    explicit HostileVirtioBlk(HostileMachine& machine) : machine_(machine) {
        add_capability(0x4c, 0x5c, guest::virtio::kind_common, common_at, common::size);
        add_capability(0x5c, 0x70, guest::virtio::kind_notify, notify_at, 0x100);
        machine_.space().set8(0x5c + 2, 20);
        machine_.space().set32(0x5c + 16, 4);
        add_capability(0x70, 0, guest::virtio::kind_device, config_at, 0x40);
        machine_.space().set8(HostileMachine::msix_capability + 1, 0x4c);
        put(config_, 0, std::uint64_t{1000});  // sectors
        put(config_, 12, std::uint32_t{8});    // segments
        put(config_, 20, std::uint32_t{512});  // block size
        put(config_, 34, std::uint16_t{2});    // queues
    }

    std::uint64_t read(std::uint64_t offset, unsigned width) override {
        std::uint64_t value = 0;
        if (offset >= config_at && offset < config_at + config_.size() - 8)
            std::memcpy(&value, config_.data() + (offset - config_at), width);
        return offset < common_at + common::size ? read_common(offset) : value;
    }

    void write(std::uint64_t offset, std::uint64_t value, unsigned) override {
        if (offset < common_at + common::size) return write_common(offset, value);
        if (offset >= notify_at && offset < notify_at + 0x100) turn();
    }

    void turn() override {
        const auto what = machine_.input.take<std::uint8_t>();
        switch (what % 8) {
            case 0:
            case 1:
                return answer(what >> 4);
            case 2: {  // nearly right
                const auto id = machine_.input.take<std::uint32_t>();
                return give_back((what & 0x80) != 0 ? id : last_head_, machine_.input.take<std::uint32_t>(),
                                 1);
            }
            case 3:
                return give_back(last_head_, 1u << 20, what >> 4);  // once more, or far too often
            case 4: {
                const auto index = machine_.input.take<std::uint16_t>();
                return put_dma(queue_[3 * (what >> 7) + 2] + 2, index);
            }
            case 5:
                return machine_.scribble();
            case 6:
                return machine_.interrupt(what >> 4);
            default:
                status_ |= what & guest::virtio::status_needs_reset;
                return;
        }
    }

  private:
    static constexpr std::uint64_t common_at = 0;
    static constexpr std::uint64_t config_at = 0x1000;
    static constexpr std::uint64_t notify_at = 0x1800;
    static constexpr unsigned queues = 2;

    void add_capability(std::uint8_t at, std::uint8_t next, std::uint8_t kind, std::uint32_t offset,
                        std::uint32_t size) {
        auto& space = machine_.space();
        space.set8(at, guest::pci_capability::vendor_specific);
        space.set8(at + 1u, next);
        space.set8(at + 2u, 16);
        space.set8(at + 3u, kind);
        space.set8(at + 4u, 0);
        space.set32(at + 8u, offset);
        space.set32(at + 12u, size);
    }
    template <std::size_t size, typename T>
    static void put(std::array<std::byte, size>& bytes, std::size_t at, T value) {
        std::memcpy(bytes.data() + at, &value, sizeof(value));
    }

    std::uint64_t read_common(std::uint64_t offset) const {
        switch (offset) {
            case common::device_feature:
                return feature_select_ == 0 ? 1u << 2 | 1u << 6 | 1u << 9 | 1u << 12 | 1u << 28 | 1u << 29
                                            : feature_select_ == 1;
            case common::queue_count:
                return queues;
            case common::status:
                return status_;
            case common::queue_size:
                return 8;
            case common::queue_vector:
                return vector_;
            case common::queue_notify_offset:
                return select_;
            default:
                return 0;
        }
    }

    void write_common(std::uint64_t offset, std::uint64_t value) {
        switch (offset) {
            case common::device_feature_select:
                feature_select_ = static_cast<std::uint32_t>(value);
                return;
            case common::status:
                if (value == 0 && machine_.ignores_reset && (status_ & guest::virtio::status_driver_ok) != 0)
                    return;
                status_ = static_cast<std::uint8_t>(value);
                if (value == 0) seen_ = {};
                if (value == 0) enabled_ = {};
                return;
            case common::queue_select:
                select_ = static_cast<std::uint16_t>(value % queues);
                return;
            case common::queue_vector:
                vector_ = static_cast<std::uint16_t>(value);
                return;
            case common::queue_enable:
                enabled_[select_] = true;
                return;
            default:
                break;
        }
        if (offset < common::queue_descriptors || offset >= common::size) return;
        std::uint64_t& area = queue_[3 * select_ + (offset - common::queue_descriptors) / 8];
        const unsigned shift = offset % 8 == 0 ? 0 : 32;
        area = (area & ~(std::uint64_t{0xffff'ffff} << shift)) | (value & 0xffff'ffff) << shift;
    }

    bool live() const { return (status_ & guest::virtio::status_driver_ok) != 0 && !machine_.dead(); }
    template <typename T>
    T get_dma(std::uint64_t physical) {
        T value{};
        if (const std::byte* const from = machine_.dma(physical, sizeof(T)))
            std::memcpy(&value, from, sizeof(T));
        return value;
    }
    template <typename T>
    void put_dma(std::uint64_t physical, T value) {
        if (std::byte* const to = live() ? machine_.dma(physical, sizeof(T)) : nullptr)
            std::memcpy(to, &value, sizeof(T));
    }

    /// Takes a chain and gives it back, as an honest device does, with any status.
    void answer(unsigned status) {
        const unsigned queue = status / 8;
        if (!live() || !enabled_[queue]) return;
        for (const std::uint64_t area : std::span(queue_).subspan(3 * queue, 3))
            static_cast<void>(machine_.dma_in_use(area, 8));
        const std::uint64_t available = queue_[3 * queue + 1];
        if (get_dma<std::uint16_t>(available + 2) == seen_[queue]) return;
        last_queue_ = queue;
        last_head_ = get_dma<std::uint16_t>(available + 4 + 2 * (seen_[queue]++ % 8u));
        auto descriptor = get_dma<guest::virtio::Descriptor>(queue_[3 * queue] + 16 * last_head_);
        std::uint64_t table = queue_[3 * queue];
        if ((descriptor.flags & guest::virtio::flag_indirect) != 0) {
            table = descriptor.address;
            descriptor = get_dma<guest::virtio::Descriptor>(table);
        }
        std::uint32_t written = 1;
        for (int i = 0; i < 40 && (descriptor.flags & guest::virtio::flag_next) != 0; ++i) {
            if ((descriptor.flags & guest::virtio::flag_write) != 0) written += descriptor.length;
            descriptor = get_dma<guest::virtio::Descriptor>(table + 16u * descriptor.next);
        }
        put_dma(descriptor.address, static_cast<std::uint8_t>(status % 8 < 5 ? 0 : status % 8 - 5));
        give_back(last_head_, written, 1);
    }

    void give_back(std::uint32_t id, std::uint32_t written, unsigned times) {
        const std::uint64_t used = queue_[3 * last_queue_ + 2];
        for (; times > 0; --times) {
            const auto index = get_dma<std::uint16_t>(used + 2);
            put_dma(used + 4 + 8 * (index % 8u), id);
            put_dma(used + 8 + 8 * (index % 8u), written);
            put_dma(used + 2, static_cast<std::uint16_t>(index + 1));
        }
        machine_.interrupt(last_queue_);
    }

    HostileMachine& machine_;
    std::array<std::byte, 0x48> config_{};
    std::array<std::uint64_t, 3 * queues> queue_{};  ///< descriptors, available, used of each
    std::array<std::uint16_t, queues> seen_{};
    std::array<bool, queues> enabled_{};
    std::uint32_t feature_select_ = 0;
    std::uint16_t select_ = 0;
    std::uint16_t vector_ = 0;
    std::uint8_t status_ = 0;
    std::uint32_t last_head_ = 0;
    unsigned last_queue_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    HostileMachine machine(input, guest::VirtioPci::vendor, guest::VirtioBlk::pci_device);
    HostileVirtioBlk device(machine);
    machine.device = &device;
    if (auto disk = guest::VirtioBlk::create(machine.function(), machine.services())) {
        fuzz::HostileDiskLoad(machine, **disk).run();
        disk->reset();
        device.turn();
    }
    require(machine.live_buffers() == 0);
    return 0;
}
