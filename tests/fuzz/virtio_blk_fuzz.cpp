// libFuzzer on the virtio-blk device: everything that a guest can write into registers, rings and
// descriptors, in any order, with a disk that ends its requests when the input says so. AddressSanitizer
// guards the bounds; the checks below guard what the disk is asked for, that the device comes to rest, and
// that a device which says it is reset leaves memory alone.
//
// An input is a list of steps, each a byte that chooses it and the bytes that it takes.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <vector>

#include "tests/fuzz/fuzz_input.h"
#include "vmm/base/event_fd.h"
#include "vmm/devices/virtio_blk.h"
#include "vmm/devices/virtio_pci.h"

namespace {

using namespace exo;
using exo::fuzz::Input;
using exo::fuzz::require;
using Common = vmm::virtio::CommonConfig;
namespace blk = vmm::virtio::blk;

constexpr std::uint64_t ram_start = 0x10'0000;
constexpr std::size_t ram_size = 32 * 1024;
constexpr std::uint16_t queue_size = 8;
constexpr std::uint64_t descriptors_at = 0;
constexpr std::uint64_t driver_at = 1024;
constexpr std::uint64_t device_at = 2048;
constexpr std::uint64_t table_at = 4096;
constexpr std::uint64_t header_at = 8192;
constexpr std::uint64_t data_at = 16384;
constexpr std::size_t disk_size = 64 * 512;

/// Holds requests until it is told to end them, and checks each one.
class CheckingDisk final : public vmm::Disk {
  public:
    explicit CheckingDisk(std::span<const std::byte> ram) : ram_(ram) {}

    const vmm::DiskGeometry& geometry() const override { return geometry_; }
    std::string description() const override { return "checking"; }
    std::size_t depth() const override { return 3; }
    int completion_fd() const override { return -1; }

    void submit(std::span<const vmm::DiskRequest> requests) override {
        for (const vmm::DiskRequest& request : requests) {
            held_.push_back({request, {request.segments.begin(), request.segments.end()}, check(request)});
        }
        require(held_.size() <= depth());
    }
    std::size_t reap(std::span<vmm::DiskCompletion> completions) override {
        std::size_t count = 0;
        for (; count < completions.size() && !done_.empty(); done_.pop_front())
            completions[count++] = done_.front();
        return count;
    }

    void end_one(std::uint8_t how) {
        if (held_.empty()) return;
        const std::size_t index = how % held_.size();
        const Held held = std::move(held_[index]);
        held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(index));
        if (held.request.operation == vmm::DiskOperation::read)
            for (const iovec& segment : held.segments) std::memset(segment.iov_base, how, segment.iov_len);
        const std::uint64_t bytes = how >= 0xf0 && held.bytes > 0 ? held.bytes - 1 : held.bytes;
        done_.push_back({held.request.cookie, how >= 0xe0 && how < 0xf0 ? how - 0xe0 : 0, bytes});
    }
    std::size_t held() const { return held_.size(); }

  private:
    struct Held {
        vmm::DiskRequest request;
        std::vector<iovec> segments;
        std::uint64_t bytes;
    };

    std::uint64_t check(const vmm::DiskRequest& request) const {
        using enum vmm::DiskOperation;
        std::uint64_t bytes = request.length;
        for (const iovec& segment : request.segments) {
            const auto* start = static_cast<const std::byte*>(segment.iov_base);
            require(segment.iov_len > 0);
            require(start >= ram_.data() && start + segment.iov_len <= ram_.data() + ram_.size());
            bytes += segment.iov_len;
        }
        const bool moves = request.operation == read || request.operation == write;
        require(moves == !request.segments.empty());
        require((request.length > 0) == (request.operation == discard || request.operation == write_zeroes));
        require(request.offset % 512 == 0 && bytes % 512 == 0);
        require(request.offset <= disk_size && bytes <= disk_size - request.offset);
        return bytes;
    }

    std::span<const std::byte> ram_;
    vmm::DiskGeometry geometry_{.size = disk_size};
    std::vector<Held> held_;
    std::deque<vmm::DiskCompletion> done_;
};

class NoLine final : public vmm::InterruptLine {
  public:
    void raise() override {}
};

class Machine {
  public:
    Machine()
        : ram_(ram_size),
          memory_({{{ram_start}, {ram_.get(), ram_size}}}),
          disk_({ram_.get(), ram_size}),
          model_(disk_, {.serial = "fuzz", .queue_count = 2}),
          device_(std::move(*vmm::VirtioPci::create(memory_, model_))) {
        for (unsigned vector = 0; vector < device_->vector_count(); ++vector)
            device_->connect_interrupt(vector, line_);
    }

    void step(Input& input) {
        switch (input.take<std::uint8_t>() % 12) {
            case 0:
                return write_register<std::uint8_t>(input);
            case 1:
                return write_register<std::uint16_t>(input);
            case 2:
                return write_register<std::uint32_t>(input);
            case 3:
                return read_register(input);
            case 4:
                return scribble(input);
            case 5:
                return set_up_properly(input.take<std::uint32_t>());
            case 6:
                return submit(input);
            case 7:
                return describe(input, descriptors_at + 16u * (input.take<std::uint8_t>() % queue_size));
            case 8:
                return describe(input, table_at + 16u * (input.take<std::uint8_t>() % 256));
            case 9:
                return disk_.end_one(input.take<std::uint8_t>());
            case 10:
                return reset();
            default:
                return settle();
        }
    }

    /// The end of every input: whatever the guest has done, the device comes out of a reset.
    void finish() {
        reset();
        while (disk_.held() > 0) disk_.end_one(0);
        settle();
        require(device_->quiescent());
        require(status() == 0);
        set_up_properly(0);
        require((status() & vmm::virtio::status::needs_reset) == 0);
        settle();
    }

  private:
    std::uint8_t status() {
        std::uint8_t value = 0;
        device_->read(offsetof(Common, status), std::as_writable_bytes(std::span(&value, 1)));
        return value;
    }
    template <typename T>
    void write(std::uint64_t offset, T value) {
        device_->write(offset, std::as_bytes(std::span(&value, 1)));
    }
    template <typename T>
    void write_register(Input& input) {
        const auto where = input.take<std::uint8_t>();
        const std::uint64_t offset =
            where >= 0xf0 ? vmm::VirtioPci::notify_offset + (where - 0xf0u) : where % 0x50;
        write(offset, input.take<T>());
    }
    void read_register(Input& input) {
        std::array<std::byte, 8> data{};
        const auto where = input.take<std::uint16_t>();
        device_->read(where, std::span(data).first(std::size_t{1} << where % 4));
    }

    template <typename T>
    void put(std::uint64_t at, const T& value) {
        std::memcpy(ram_.get() + at, &value, sizeof(value));
    }
    void scribble(Input& input) {
        const std::size_t at = input.take<std::uint16_t>() % (ram_size - 8);
        put(at, input.take<std::uint64_t>());
    }
    void describe(Input& input, std::uint64_t at) {
        const auto flags = input.take<std::uint8_t>();
        put(at, vmm::virtio::Descriptor{ram_start + input.take<std::uint16_t>(),
                                        input.take<std::uint8_t>() * (flags >= 0x80 ? 16u : 128u),
                                        static_cast<std::uint16_t>(flags % 8), input.take<std::uint8_t>()});
    }

    void set_queue(std::uint16_t index) {
        write(offsetof(Common, queue_select), index);
        write(offsetof(Common, queue_size), queue_size);
        write(offsetof(Common, queue_vector), index);
        const std::uint64_t base = ram_start + 512u * index;
        write(offsetof(Common, queue_descriptors), static_cast<std::uint32_t>(base + descriptors_at));
        write(offsetof(Common, queue_driver), static_cast<std::uint32_t>(base + driver_at));
        write(offsetof(Common, queue_device), static_cast<std::uint32_t>(base + device_at));
        write(offsetof(Common, queue_enable), std::uint16_t{1});
    }
    void set_up_properly(std::uint32_t but_features) {
        using namespace vmm::virtio;
        if (status() != 0) return;
        available_ = 0;
        std::memset(ram_.get(), 0, table_at);
        write(offsetof(Common, status), std::uint8_t{3});
        for (std::uint32_t half = 0; half < 2; ++half) {
            std::uint32_t offered = 0;
            write(offsetof(Common, device_feature_select), half);
            device_->read(offsetof(Common, device_feature), std::as_writable_bytes(std::span(&offered, 1)));
            write(offsetof(Common, driver_feature_select), half);
            write(offsetof(Common, driver_feature), half == 0 ? offered & ~but_features : offered);
        }
        write(offsetof(Common, status), std::uint8_t{3 | vmm::virtio::status::features_ok});
        for (std::uint16_t i = 0; i < 2; ++i) set_queue(i);
        write(offsetof(Common, status),
              std::uint8_t{3 | vmm::virtio::status::features_ok | vmm::virtio::status::driver_ok});
    }

    /// A chain that is nearly a good request: bytes of the input change it here and there.
    void submit(Input& input) {
        using namespace vmm::virtio;
        constexpr std::array<std::uint32_t, 8> types{
            blk::type_in,      blk::type_out,          blk::type_flush, blk::type_get_id,
            blk::type_discard, blk::type_write_zeroes, blk::type_in,    2};
        const auto choice = input.take<std::uint8_t>();
        const auto sector = input.take<std::uint8_t>();
        const auto more = input.take<std::uint8_t>();
        const std::uint32_t type = types[choice % 8];
        put(header_at, blk::Header{type, 0, sector});
        std::uint32_t length = 512u * (1 + more % 4);
        if (type == blk::type_discard || type == blk::type_write_zeroes) {
            put(data_at, blk::Range{sector, more, more >= 0x80 ? 1u : 0u});
            length = sizeof(blk::Range);
        }
        const bool writes = type == blk::type_in || type == blk::type_get_id;
        const std::uint64_t at = choice >= 0x80 ? table_at : descriptors_at;
        const std::uint16_t direction = writes ? descriptor_write : std::uint16_t{0};
        put(at, Descriptor{ram_start + header_at, 16, descriptor_next, 1});
        put(at + 16, Descriptor{ram_start + data_at, length,
                                static_cast<std::uint16_t>(descriptor_next | direction), 2});
        put(at + 32, Descriptor{ram_start + header_at + 16, 1, descriptor_write, 0});
        if (choice >= 0x80) put(descriptors_at, Descriptor{ram_start + table_at, 48, descriptor_indirect, 0});
        if (const auto change = input.take<std::uint8_t>(); change >= 0x80)
            put(at + change % 48, input.take<std::uint8_t>());
        put(driver_at + 4 + 2u * (available_ % queue_size), std::uint16_t{0});
        put(driver_at + 2, ++available_);
    }

    void settle() {
        for (int passes = 0; device_->service(); ++passes) require(passes < 1000);
    }

    void reset() {
        write(offsetof(Common, status), std::uint8_t{0});
        if (status() != 0) return;
        require(device_->quiescent());
        const std::vector<std::byte> before(ram_.get(), ram_.get() + ram_size);
        settle();
        require(std::memcmp(before.data(), ram_.get(), ram_size) == 0);
    }

    fuzz::Pages ram_;
    vmm::GuestMemory memory_;
    NoLine line_;
    CheckingDisk disk_;
    vmm::VirtioBlk model_;
    std::unique_ptr<vmm::VirtioPci> device_;
    std::uint16_t available_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Machine machine;
    Input input(data, size);
    while (!input.empty()) machine.step(input);
    machine.finish();
    return 0;
}
