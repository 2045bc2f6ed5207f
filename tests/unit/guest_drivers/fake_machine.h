#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "guest/drivers/driver_services.h"

namespace exo::guest::test {

/// What stands behind a range of registers in a test.
class RegisterModel {
  public:
    virtual ~RegisterModel() = default;
    virtual std::uint64_t read(std::uint64_t offset, unsigned width) = 0;
    virtual void write(std::uint64_t offset, std::uint64_t value, unsigned width) = 0;
    virtual void read_repeated(std::uint64_t offset, std::span<std::byte> data) {
        for (std::size_t i = 0; i + 1 < data.size(); i += 2) {
            const auto word = static_cast<std::uint16_t>(read(offset, 2));
            std::memcpy(&data[i], &word, 2);
        }
    }
    virtual void write_repeated(std::uint64_t offset, std::span<const std::byte> data) {
        for (std::size_t i = 0; i + 1 < data.size(); i += 2) {
            std::uint16_t word;
            std::memcpy(&word, &data[i], 2);
            write(offset, word, 2);
        }
    }
};

/// Everything a driver gets from outside, in virtual time: the clock moves when the driver waits, and then
/// the device under test gets its turn. An access outside of what the driver mapped fails the test.
class FakeMachine final : public TimeSource, public DmaMemory, public InterruptSupply, public RegisterSpace {
  public:
    FakeMachine() = default;
    FakeMachine(const FakeMachine&) = delete;
    FakeMachine& operator=(const FakeMachine&) = delete;
    ~FakeMachine() override {
        EXPECT_EQ(0u, live_buffers()) << "memory for devices was not given back";
        for (auto& [physical, memory] : memory_) std::free(memory.data);
    }

    DriverServices services() { return {*this, *this, *this, *this, true}; }

    /// The device's turn; says whether it did something.
    std::function<bool()> on_idle;
    bool has_msi = true;
    std::size_t dma_left = ~std::size_t{0};  ///< allocations that still succeed

    // TimeSource
    std::uint64_t now_ns() const override { return now_ns_; }
    void relax() override {
        now_ns_ += 1000;
        if (on_idle) on_idle();
    }
    void advance(std::uint64_t ns) { now_ns_ += ns; }

    // DmaMemory
    Result<DmaSpan> allocate(std::size_t size) override {
        if (dma_left == 0) return fail("cannot allocate", "the test says so");
        --dma_left;
        const std::size_t rounded = (size + 4095) / 4096 * 4096;
        auto* data = static_cast<std::byte*>(std::aligned_alloc(4096, rounded));
        std::memset(data, 0, rounded);
        const std::uint64_t physical = next_physical_;
        next_physical_ += rounded + 4096;
        memory_[physical] = {data, physical, rounded};
        return DmaSpan{data, physical, rounded};
    }
    void release(const DmaSpan& span) override {
        const auto found = memory_.find(span.physical);
        ASSERT_NE(memory_.end(), found) << "memory was given back that was never handed out";
        std::free(found->second.data);
        memory_.erase(found);
    }
    std::size_t live_buffers() const { return memory_.size(); }

    /// What a device sees at a physical address; null, and a failed test, when that memory is not the
    /// driver's (any more).
    std::byte* host(std::uint64_t physical, std::size_t size) {
        auto above = memory_.upper_bound(physical);
        if (above != memory_.begin()) {
            const DmaSpan& span = std::prev(above)->second;
            if (physical - span.physical <= span.size && size <= span.size - (physical - span.physical))
                return span.data + (physical - span.physical);
        }
        ADD_FAILURE() << "the device was given an address outside of the driver's memory: " << physical;
        return nullptr;
    }

    // InterruptSupply
    Result<MsiInterrupt> allocate_msi(unsigned) override {
        if (!has_msi) return fail("cannot allocate a vector", "the test says so");
        const auto index = static_cast<std::uint32_t>(lines_.size());
        lines_.push_back(std::make_unique<Line>(*this));
        return MsiInterrupt{lines_.back().get(), {msi_address, index}};
    }
    Result<Interrupt*> legacy_irq(unsigned line) override {
        auto& found = legacy_[line];
        if (!found) found = std::make_unique<Line>(*this);
        return found.get();
    }
    void deliver_msi(std::uint64_t address, std::uint32_t data) {
        ASSERT_EQ(msi_address, address);
        ASSERT_LT(data, lines_.size());
        lines_[data]->raise();
    }
    void raise_legacy(unsigned line) {
        if (legacy_[line]) legacy_[line]->raise();
    }
    /// Interrupts are counted by no one from here on: a line that is routed wrong.
    bool lose_interrupts = false;

    // RegisterSpace
    void place_memory(std::uint64_t physical, std::uint64_t size, RegisterModel& model) {
        ranges_.push_back({false, physical, size, &model});
    }
    void place_ports(std::uint16_t port, std::uint16_t count, RegisterModel& model) {
        ranges_.push_back({true, port, count, &model});
    }
    Result<std::unique_ptr<Registers>> map_memory(std::uint64_t physical, std::uint64_t size) override {
        return map(false, physical, size);
    }
    Result<std::unique_ptr<Registers>> map_ports(std::uint16_t port, std::uint16_t count) override {
        return map(true, port, count);
    }

    static constexpr std::uint64_t msi_address = 0xfee0'0000;

  private:
    class Line final : public Interrupt {
      public:
        explicit Line(FakeMachine& machine) : machine_(machine) {}
        std::uint64_t count() const override { return count_; }
        bool wait(std::uint64_t seen, std::uint64_t deadline_ns) override {
            while (count_ == seen && machine_.now_ns_ < deadline_ns) {
                const bool busy = machine_.on_idle && machine_.on_idle();
                machine_.now_ns_ = busy ? machine_.now_ns_ + 1000 : deadline_ns;
            }
            return count_ != seen;
        }
        void raise() {
            if (!machine_.lose_interrupts) ++count_;
        }

      private:
        FakeMachine& machine_;
        std::uint64_t count_ = 0;
    };

    struct Range {
        bool ports;
        std::uint64_t start;
        std::uint64_t size;
        RegisterModel* model;
    };

    class View final : public RegistersOfAnyWidth<View> {
      public:
        View(RegisterModel* model, std::uint64_t base, std::uint64_t size)
            : model_(model), base_(base), size_(size) {}
        std::uint64_t size() const override { return size_; }
        void read16_repeated(std::uint64_t offset, std::span<std::byte> data) override {
            if (inside(offset, 2) && model_ != nullptr)
                model_->read_repeated(base_ + offset, data);
            else
                std::memset(data.data(), 0xff, data.size());
        }
        void write16_repeated(std::uint64_t offset, std::span<const std::byte> data) override {
            if (inside(offset, 2) && model_ != nullptr) model_->write_repeated(base_ + offset, data);
        }

      private:
        friend RegistersOfAnyWidth;

        bool inside(std::uint64_t offset, unsigned width) const {
            EXPECT_LE(offset + width, size_) << "an access outside of what was mapped";
            EXPECT_EQ(0u, offset % width) << "a misaligned access";
            return offset + width <= size_;
        }
        template <typename T>
        T read(std::uint64_t offset) {
            const bool answered = inside(offset, sizeof(T)) && model_ != nullptr;
            return static_cast<T>(answered ? model_->read(base_ + offset, sizeof(T)) : ~std::uint64_t{0});
        }
        template <typename T>
        void write(std::uint64_t offset, T value) {
            if (inside(offset, sizeof(T)) && model_ != nullptr)
                model_->write(base_ + offset, value, sizeof(T));
        }

        RegisterModel* model_;
        std::uint64_t base_;
        std::uint64_t size_;
    };

    Result<std::unique_ptr<Registers>> map(bool ports, std::uint64_t start, std::uint64_t size) {
        for (const Range& range : ranges_)
            if (range.ports == ports && start >= range.start && start + size <= range.start + range.size)
                return std::make_unique<View>(range.model, start - range.start, size);
        // Nothing answers there: on a machine that reads as all ones.
        return std::make_unique<View>(nullptr, 0, size);
    }

    std::uint64_t now_ns_ = 1'000'000;
    std::uint64_t next_physical_ = 0x1'2345'6000;
    std::map<std::uint64_t, DmaSpan> memory_;
    std::vector<std::unique_ptr<Line>> lines_;
    std::map<unsigned, std::unique_ptr<Line>> legacy_;
    std::vector<Range> ranges_;
};

}  // namespace exo::guest::test
