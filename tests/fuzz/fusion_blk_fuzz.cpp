// libFuzzer on the fusion-blk device: everything that a guest can write into registers and memory, in any
// order, with a disk that ends its requests when the input says so. AddressSanitizer guards the bounds; the
// checks below guard what the disk is asked for, that the device comes to rest, and that a device which says
// it is reset leaves memory alone.
//
// An input is a list of steps, each a byte that chooses it and the bytes that it takes.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <vector>

#include "shared/block/protocol.h"
#include "shared/fusion/ring.h"
#include "tests/fuzz/fuzz_input.h"
#include "vmm/base/event_fd.h"
#include "vmm/devices/fusion_blk.h"

namespace {

using namespace exo;
using exo::fuzz::Input;
using exo::fuzz::require;

constexpr std::uint64_t ram_start = 0x10'0000;
constexpr std::size_t ram_size = 32 * 1024;
constexpr std::uint32_t capacity = 4;
constexpr std::uint64_t submission_at = 0;
constexpr std::uint64_t completion_at = 8192;
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
            check(request);
            held_.push_back({request, {request.segments.begin(), request.segments.end()}});
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
        Held held = std::move(held_[index]);
        held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(index));
        std::uint64_t bytes = 0;
        for (const iovec& segment : held.segments) {
            if (held.request.operation == vmm::DiskOperation::read)
                std::memset(segment.iov_base, how, segment.iov_len);
            bytes += segment.iov_len;
        }
        if (how >= 0xf0) --bytes;
        done_.push_back({held.request.cookie, how >= 0xe0 && how < 0xf0 ? how - 0xe0 : 0, bytes});
    }
    std::size_t held() const { return held_.size(); }

  private:
    struct Held {
        vmm::DiskRequest request;
        std::vector<iovec> segments;
    };

    void check(const vmm::DiskRequest& request) const {
        std::uint64_t bytes = 0;
        for (const iovec& segment : request.segments) {
            const auto* start = static_cast<const std::byte*>(segment.iov_base);
            require(segment.iov_len > 0 && segment.iov_len % 512 == 0);
            require(start >= ram_.data() && start + segment.iov_len <= ram_.data() + ram_.size());
            bytes += segment.iov_len;
        }
        require(request.offset % 512 == 0 && request.offset <= disk_size &&
                bytes <= disk_size - request.offset);
        require((request.operation == vmm::DiskOperation::flush) == request.segments.empty());
    }

    std::span<const std::byte> ram_;
    vmm::DiskGeometry geometry_{.size = disk_size};
    std::vector<Held> held_;
    std::deque<vmm::DiskCompletion> done_;
};

class StoppedClock final : public vmm::Clock {
  public:
    std::chrono::nanoseconds now() const override { return {}; }
    std::chrono::system_clock::time_point wall() const override { return {}; }
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
          device_(std::move(*vmm::FusionBlk::create(
              memory_, disk_, clock_,
              {.serial = "fuzz", .queue_count = 2, .tsc = [] { return std::uint64_t{1}; }}))) {
        device_->connect_interrupt(0, line_);
    }

    void step(Input& input) {
        switch (input.take<std::uint8_t>() % 12) {
            case 0:
                return write_register<std::uint32_t>(input);
            case 1:
                return write_register<std::uint64_t>(input);
            case 2:
                return read_register(input);
            case 3:
                return scribble(input);
            case 4:
                return set_up(input);
            case 5:
                return set_up_properly();
            case 6:
                return submit(input);
            case 7:
                return point_into_memory(input);
            case 8:
                return reap();
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
        require(read32(block::reg::status) == 0);
        set_up_properly();
        require(read32(block::reg::queue_state) == static_cast<std::uint32_t>(block::QueueState::enabled));
    }

  private:
    std::uint32_t read32(std::uint64_t offset) {
        std::uint32_t value = 0;
        device_->read(offset, std::as_writable_bytes(std::span(&value, 1)));
        return value;
    }
    template <typename T>
    void write(std::uint64_t offset, T value) {
        device_->write(offset, std::as_bytes(std::span(&value, 1)));
    }

    template <typename T>
    void write_register(Input& input) {
        const auto where = input.take<std::uint8_t>();
        write(where >= 0xf0 ? block::bar::doorbell(where - 0xf0u) : where, input.take<T>());
    }
    void read_register(Input& input) {
        std::array<std::byte, 8> data{};
        const auto where = input.take<std::uint16_t>();
        device_->read(where, std::span(data).first(std::size_t{1} << where % 4));
    }

    void scribble(Input& input) {
        const std::size_t at = input.take<std::uint16_t>() % (ram_size - 8);
        const auto value = input.take<std::uint64_t>();
        std::memcpy(ram_.get() + at, &value, sizeof(value));
    }

    std::span<std::byte> ring_at(std::uint64_t offset) {
        return {ram_.get() + offset, fusion::ring_bytes(capacity)};
    }
    void enable(std::uint64_t submission, std::uint64_t completion, std::uint32_t slots,
                std::uint32_t vector) {
        write(block::reg::ring_capacity, slots);
        write(block::reg::submission_ring, ram_start + submission);
        write(block::reg::completion_ring, ram_start + completion);
        write(block::reg::queue_vector, vector);
        write(block::reg::queue_state, std::uint32_t{1});
    }
    void set_up(Input& input) {
        write(block::reg::status, std::uint32_t{1});
        const auto slots = input.take<std::uint8_t>();
        const auto where = input.take<std::uint8_t>();
        enable((where % 16) * 2048u, (where / 16) * 2048u, slots, slots % 2);
    }
    void set_up_properly() {
        write(block::reg::driver_features, std::uint64_t{6});
        write(block::reg::status, std::uint32_t{1});
        write(block::reg::queue_select, std::uint32_t{0});
        if (read32(block::reg::queue_state) == 1) return;
        producer_.emplace(*fusion::Ring::format(ring_at(submission_at), capacity));
        consumer_.emplace(*fusion::Ring::format(ring_at(completion_at), capacity));
        enable(submission_at, completion_at, capacity, 0);
    }

    /// A request that is nearly a good one: bytes of the input change it here and there.
    void submit(Input& input) {
        if (!producer_) return;
        block::Request request{};
        request.tag = input.take<std::uint8_t>();
        request.operation = static_cast<block::Operation>(input.take<std::uint8_t>() % 4);
        request.flags = input.take<std::uint8_t>();
        const auto count = input.take<std::uint8_t>();
        request.segment_count = static_cast<std::uint16_t>(count < 0x80 ? count % 4 : (count - 0x80) * 4);
        request.sector = input.take<std::uint8_t>();
        request.segments[0] = {ram_start + data_at, 512, 0};
        request.segments[1] = {ram_start + data_at + 512, 1024, 0};
        if ((request.flags & block::flag::indirect) != 0)
            request.segments[0].length = request.segment_count * std::uint32_t{sizeof(block::Segment)};
        if (const auto change = input.take<std::uint8_t>(); change >= 0x80) {
            const auto value = input.take<std::uint32_t>();
            std::memcpy(reinterpret_cast<std::byte*>(&request) + change % 53, &value, sizeof(value));
        }
        static_cast<void>(producer_->send(request));
        if (producer_->must_notify()) settle();
    }

    /// A segment for an indirect table.
    void point_into_memory(Input& input) {
        const block::Segment segment{ram_start + input.take<std::uint16_t>(),
                                     input.take<std::uint8_t>() * 512u, 0};
        std::memcpy(ram_.get() + data_at + 16u * (input.take<std::uint8_t>() % 64), &segment,
                    sizeof(segment));
    }

    void reap() {
        block::Completion completion;
        if (!consumer_ || !consumer_->recv(completion)) return;
        if (consumer_->must_notify()) settle();
        if (completion.tag % 4 == 0 && consumer_->prepare_sleep(1 + completion.tag % 3)) settle();
    }

    void settle() {
        for (int passes = 0; device_->service(); ++passes) require(passes < 1000);
    }

    void reset() {
        write(block::reg::status, std::uint32_t{0});
        if (read32(block::reg::status) != 0) return;
        require(device_->quiescent());
        const std::vector<std::byte> before(ram_.get(), ram_.get() + ram_size);
        settle();
        require(std::memcmp(before.data(), ram_.get(), ram_size) == 0);
    }

    fuzz::Pages ram_;
    vmm::GuestMemory memory_;
    StoppedClock clock_;
    NoLine line_;
    CheckingDisk disk_;
    std::unique_ptr<vmm::FusionBlk> device_;
    std::optional<fusion::Producer> producer_;
    std::optional<fusion::Consumer> consumer_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Machine machine;
    Input input(data, size);
    while (!input.empty()) machine.step(input);
    machine.finish();
    return 0;
}
