#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "tests/unit/devices/guest_ram.h"
#include "vmm/devices/virtio_abi.h"
#include "vmm/devices/virtqueue.h"

namespace exo::test {

/// A driver's side of a split virtqueue without a driver: every word can be written by hand.
class RawQueue {
  public:
    RawQueue(GuestRam& ram, std::uint16_t size) : ram_(&ram), setup_{.size = size} {
        setup_.descriptors = {ram.allocate(16u * size)};
        setup_.driver_area = {ram.allocate(6u + 2u * size)};
        setup_.device_area = {ram.allocate(6u + 8u * size)};
    }

    const vmm::VirtqueueSetup& setup() const { return setup_; }

    void describe(std::uint16_t index, std::uint64_t address, std::uint32_t length, std::uint16_t flags = 0,
                  std::uint16_t next = 0) {
        put(setup_.descriptors + 16u * index, vmm::virtio::Descriptor{address, length, flags, next});
    }
    /// The same in a table of its own.
    void describe_at(std::uint64_t table, std::uint16_t index, std::uint64_t address, std::uint32_t length,
                     std::uint16_t flags = 0, std::uint16_t next = 0) {
        put({table + 16u * index}, vmm::virtio::Descriptor{address, length, flags, next});
    }
    void offer(std::uint16_t head) {
        put(setup_.driver_area + 4 + 2u * (available_ % setup_.size), head);
        set_available(static_cast<std::uint16_t>(available_ + 1));
    }
    void set_available(std::uint16_t index) {
        available_ = index;
        put(setup_.driver_area + 2, index);
    }
    void set_flags(std::uint16_t flags) { put(setup_.driver_area, flags); }
    void set_used_event(std::uint16_t event) { put(setup_.driver_area + 4 + 2u * setup_.size, event); }

    std::uint16_t used() const { return get<std::uint16_t>(setup_.device_area + 2); }
    std::uint16_t used_flags() const { return get<std::uint16_t>(setup_.device_area); }
    std::uint16_t available_event() const {
        return get<std::uint16_t>(setup_.device_area + 4 + 8u * setup_.size);
    }
    vmm::virtio::UsedElement used_element(std::uint16_t index) const {
        return get<vmm::virtio::UsedElement>(setup_.device_area + 4 + 8u * (index % setup_.size));
    }

    template <typename T>
    void put(vmm::GuestAddress address, const T& value) {
        std::memcpy(ram_->at(address.value), &value, sizeof(value));
    }
    template <typename T>
    T get(vmm::GuestAddress address) const {
        T value;
        std::memcpy(&value, ram_->at(address.value), sizeof(value));
        return value;
    }

  private:
    GuestRam* ram_;
    vmm::VirtqueueSetup setup_;
    std::uint16_t available_ = 0;
};

}  // namespace exo::test
