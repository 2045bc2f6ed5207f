#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>

#include "shared/block/protocol.h"
#include "shared/fusion/ring.h"
#include "tests/unit/devices/guest_ram.h"
#include "vmm/devices/fusion_blk.h"

namespace exo::test {

/// A clock that a test moves.
class ManualClock final : public vmm::Clock {
  public:
    std::chrono::nanoseconds now() const override { return now_ += step; }
    std::chrono::system_clock::time_point wall() const override { return {}; }
    void advance(std::chrono::nanoseconds time) { now_ += time; }
    std::chrono::nanoseconds step{0};  ///< that passes with each look

  private:
    mutable std::chrono::nanoseconds now_{1000};
};

class CountingLine final : public vmm::InterruptLine {
  public:
    void raise() override { ++count; }
    int count = 0;
};

/// The guest's side without a driver: registers by hand and rings at bare addresses, so that a test can write
/// anything into them.
class RawDriver {
  public:
    RawDriver(GuestRam& ram, vmm::FusionBlk& device) : ram_(&ram), device_(&device) {}

    std::uint32_t read32(std::uint64_t offset) {
        std::uint32_t value = 0;
        device_->read(offset, std::as_writable_bytes(std::span(&value, 1)));
        return value;
    }
    std::uint64_t read64(std::uint64_t offset) {
        std::uint64_t value = 0;
        device_->read(offset, std::as_writable_bytes(std::span(&value, 1)));
        return value;
    }
    void write32(std::uint64_t offset, std::uint32_t value) {
        device_->write(offset, std::as_bytes(std::span(&value, 1)));
    }
    void write64(std::uint64_t offset, std::uint64_t value) {
        device_->write(offset, std::as_bytes(std::span(&value, 1)));
    }

    block::DeviceStatus status() { return static_cast<block::DeviceStatus>(read32(block::reg::status)); }
    block::QueueState queue_state() {
        return static_cast<block::QueueState>(read32(block::reg::queue_state));
    }
    void write_status(block::DeviceStatus status) {
        write32(block::reg::status, static_cast<std::uint32_t>(status));
    }

    /// From a reset to running with all features.
    void run() {
        write_status(block::DeviceStatus::reset);
        write64(block::reg::driver_features, read64(block::reg::device_features));
        write_status(block::DeviceStatus::running);
        ASSERT_EQ(status(), block::DeviceStatus::running);
    }

    void enable(std::uint32_t capacity, std::uint32_t vector = 0, std::uint32_t queue = 0,
                std::uint32_t first_position = 0) {
        const std::size_t size = fusion::ring_bytes(capacity);
        submission_address = ram_->allocate(size);
        completion_address = ram_->allocate(size);
        submission_ring.emplace(
            *fusion::Ring::format(ram_->bytes(submission_address, size), capacity, first_position));
        completion_ring.emplace(
            *fusion::Ring::format(ram_->bytes(completion_address, size), capacity, first_position));
        submissions.emplace(*submission_ring);
        completions.emplace(*completion_ring);
        queue_ = queue;
        write32(block::reg::queue_select, queue);
        write32(block::reg::ring_capacity, capacity);
        write64(block::reg::submission_ring, submission_address);
        write64(block::reg::completion_ring, completion_address);
        write32(block::reg::queue_vector, vector);
        write32(block::reg::queue_state, static_cast<std::uint32_t>(block::QueueState::enabled));
    }
    void set_up(std::uint32_t capacity = 16, std::uint32_t vector = 0) {
        run();
        enable(capacity, vector);
        ASSERT_EQ(queue_state(), block::QueueState::enabled);
    }

    void doorbell() { write32(block::bar::doorbell(queue_), 1); }
    /// True when the device asked for the doorbell.
    bool submit(const block::Request& request) {
        EXPECT_TRUE(submissions->send(request));
        return submissions->must_notify();
    }
    std::optional<block::Completion> reap() {
        block::Completion completion;
        if (!completions->recv(completion)) return std::nullopt;
        return completion;
    }

    static block::Request transfer(block::Operation operation, std::uint32_t tag, std::uint64_t sector,
                                   std::uint64_t address, std::uint32_t length = 512) {
        block::Request request{};
        request.tag = tag;
        request.operation = operation;
        request.sector = sector;
        request.segment_count = 1;
        request.segments[0] = {address, length, 0};
        return request;
    }
    static block::Request flush(std::uint32_t tag) {
        block::Request request{};
        request.tag = tag;
        request.operation = block::Operation::flush;
        return request;
    }

    std::uint64_t submission_address = 0;
    std::uint64_t completion_address = 0;
    std::optional<fusion::Ring> submission_ring;
    std::optional<fusion::Ring> completion_ring;
    std::optional<fusion::Producer> submissions;
    std::optional<fusion::Consumer> completions;

  private:
    GuestRam* ram_;
    vmm::FusionBlk* device_;
    std::uint32_t queue_ = 0;
};

}  // namespace exo::test
