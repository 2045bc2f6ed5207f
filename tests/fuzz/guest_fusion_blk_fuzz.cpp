// libFuzzer on the guest's fusion-blk driver: a device that lies in its registers and in configuration space,
// answers what it was not asked, writes into the rings wherever it likes, interrupts or does not, and dies.
// AddressSanitizer guards the bounds; HostileDiskLoad that every request ends once, HostileMachine that the
// driver does not look for ever.
#include <optional>

#include "guest/drivers/block/fusion_blk.h"
#include "shared/block/protocol.h"
#include "shared/fusion/ring.h"
#include "tests/fuzz/hostile_disk_load.h"

namespace {

using namespace exo;
using fuzz::HostileMachine;
using fuzz::require;
namespace reg = block::reg;

class HostileFusionBlk final : public fuzz::HostileDevice {
  public:
    explicit HostileFusionBlk(HostileMachine& machine) : machine_(machine) {
        set(reg::magic, block::magic);
        set(reg::version, block::version);
        set(reg::device_features, 6);
        set(reg::queue_count, 2);
        set(reg::capacity, 1000);
        set(reg::logical_block, 512);
        set(reg::physical_block, 4096);
        set(reg::max_transfer, 1 << 20);
        set(reg::max_segments, 256);
        set(reg::max_ring_capacity, 8);
        set(reg::serial, 0x3031'3233);
    }

    std::uint64_t read(std::uint64_t offset, unsigned width) override {
        if (offset > sizeof(words_) - 8) return 0;
        std::uint64_t value = 0;
        std::memcpy(&value, reinterpret_cast<const std::byte*>(words_.data()) + offset, width);
        return value;
    }

    void write(std::uint64_t offset, std::uint64_t value, unsigned width) override {
        if (offset >= block::bar::doorbells && offset < block::bar::msix_table) return turn();
        if (offset > sizeof(words_) - 8) return;
        if (offset == reg::status) return write_status(value);
        std::memcpy(reinterpret_cast<std::byte*>(words_.data()) + offset, &value, width);
        if (offset == reg::queue_state) enable();
    }

    void turn() override {
        const auto what = machine_.input.take<std::uint8_t>();
        block::Completion completion{};
        switch (what % 8) {
            case 0:
                return static_cast<void>(take());
            case 1:
            case 2:
                if (take()) return tell(answer());
                return;
            case 3:  // nearly right
                completion = answer();
                change(completion);
                return tell(completion);
            case 4:
                return tell(answer());  // once more, perhaps
            case 5:
                return machine_.scribble();
            case 6:
                return machine_.interrupt(what >> 4);
            default:  // a slot of another kind
                if (completions_)
                    static_cast<void>(
                        completions_->send(completion, what, static_cast<fusion::Kind>(what >> 4)));
                return;
        }
    }

  private:
    void set(std::uint32_t offset, std::uint32_t value) { words_.at(offset / 4) = value; }
    std::uint32_t get(std::uint32_t offset) const { return words_.at(offset / 4); }
    std::uint64_t wide(std::uint32_t offset) const {
        return get(offset) | std::uint64_t{get(offset + 4)} << 32;
    }

    void write_status(std::uint64_t value) {
        const bool is_reset = value == 0;
        if (is_reset && machine_.ignores_reset && completions_)
            return set(reg::status, static_cast<std::uint32_t>(block::DeviceStatus::resetting));
        set(reg::status, static_cast<std::uint32_t>(value));
        if (!is_reset) return;
        submissions_.reset();
        completions_.reset();
    }

    void enable() {
        const std::size_t size = fusion::ring_bytes(get(reg::ring_capacity));
        std::byte* const submission = machine_.dma_in_use(wide(reg::submission_ring), size);
        std::byte* const completion = machine_.dma_in_use(wide(reg::completion_ring), size);
        if (submission == nullptr || completion == nullptr) return;
        auto submissions = fusion::Ring::attach({submission, size});
        auto completions = fusion::Ring::attach({completion, size});
        if (!submissions || !completions) return;  // it wrote into them before
        rings_ = {wide(reg::submission_ring), wide(reg::completion_ring)};
        size_ = size;
        submission_ring_.emplace(*submissions);
        completion_ring_.emplace(*completions);
        submissions_.emplace(*submission_ring_);
        completions_.emplace(*completion_ring_);
    }

    bool reaches_rings() {
        if (!completions_ || machine_.dead()) return false;
        return std::ranges::all_of(
            rings_, [&](std::uint64_t ring) { return machine_.dma_in_use(ring, size_) != nullptr; });
    }
    bool take() { return reaches_rings() && submissions_->recv(request_).has_value(); }

    block::Completion answer() const {
        block::Completion completion{};
        completion.tag = request_.tag;
        for (std::uint32_t i = 0; i < request_.segment_count && i < block::inline_segments; ++i)
            completion.bytes += request_.segments[i].length;
        return completion;
    }
    void change(block::Completion& completion) {
        const auto where = machine_.input.take<std::uint8_t>() % (sizeof(completion) - 3);
        const auto value = machine_.input.take<std::uint32_t>();
        std::memcpy(reinterpret_cast<std::byte*>(&completion) + where, &value, sizeof(value));
    }
    void tell(const block::Completion& completion) {
        if (!reaches_rings()) return;
        static_cast<void>(completions_->send(completion));
        if (completions_->must_notify()) machine_.interrupt(0);
    }

    HostileMachine& machine_;
    std::array<std::uint32_t, 64> words_{};
    std::array<std::uint64_t, 2> rings_{};
    std::size_t size_ = 0;
    std::optional<fusion::Ring> submission_ring_;
    std::optional<fusion::Ring> completion_ring_;
    std::optional<fusion::Consumer> submissions_;
    std::optional<fusion::Producer> completions_;
    block::Request request_{};  ///< the last that was taken
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    HostileMachine machine(input, block::pci_vendor, block::pci_device);
    HostileFusionBlk device(machine);
    machine.device = &device;
    if (auto disk = guest::FusionBlk::create(machine.function(), machine.services())) {
        fuzz::HostileDiskLoad(machine, **disk).run();
        disk->reset();
        device.turn();
    }
    // Rings are left to a device that may still write to them, and to no other.
    require(machine.live_buffers() == 0 || machine.ignores_reset || machine.was_lied_to());
    return 0;
}
