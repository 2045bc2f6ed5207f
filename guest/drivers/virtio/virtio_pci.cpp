#include "guest/drivers/virtio/virtio_pci.h"

#include <algorithm>

#include "guest/drivers/virtio/virtio_abi.h"

namespace exo::guest {
namespace {

using namespace virtio;

/// The layout of the capability that names a structure (4.1.4).
namespace cap {
constexpr std::uint8_t length = 2;
constexpr std::uint8_t kind = 3;
constexpr std::uint8_t bar = 4;
constexpr std::uint8_t offset = 8;
constexpr std::uint8_t size = 12;
constexpr std::uint8_t notify_multiplier = 16;
constexpr std::uint8_t least_size = 16;
}  // namespace cap

constexpr std::uint64_t reset_timeout_ns = 1 * ns_per_s;
/// More than any device's notification area that one queue needs, and less than a hostile one could claim.
constexpr std::uint32_t max_mapped = 64 * 1024;

constexpr std::string_view what = "cannot use a virtio device";

void write_address(Registers& registers, std::uint64_t offset, std::uint64_t address) {
    // 64-bit fields are to be written as two 32-bit ones (4.1.3.1).
    registers.write32(offset, static_cast<std::uint32_t>(address));
    registers.write32(offset + 4, static_cast<std::uint32_t>(address >> 32));
}

}  // namespace

Result<VirtioPci> VirtioPci::create(PciFunction function, RegisterSpace& space) {
    VirtioPci device(function);
    std::uint8_t where = 0;
    auto common_registers = device.map(space, kind_common, common::size, common::size, nullptr);
    if (!common_registers) return std::unexpected(common_registers.error());
    auto notify_registers = device.map(space, kind_notify, 2, max_mapped, &where);
    if (!notify_registers) return std::unexpected(notify_registers.error());
    auto configuration = device.map(space, kind_device, 8, 4096, nullptr);
    if (!configuration) return std::unexpected(configuration.error());
    device.common_ = std::move(*common_registers);
    device.notify_ = std::move(*notify_registers);
    device.configuration_ = std::move(*configuration);
    device.notify_multiplier_ = function.read32(static_cast<std::uint8_t>(where + cap::notify_multiplier));
    return device;
}

Result<std::unique_ptr<Registers>> VirtioPci::map(RegisterSpace& space, std::uint8_t kind,
                                                  std::uint32_t least, std::uint32_t most,
                                                  std::uint8_t* where) {
    std::uint8_t at = 0;
    // Several capabilities may offer one structure; the first that this driver can reach is the one to use.
    while (const auto next = function_.find_capability(pci_capability::vendor_specific, at)) {
        at = *next;
        const std::uint8_t needed = where != nullptr ? cap::notify_multiplier + 4 : cap::least_size;
        if (at > 0x100 - needed || function_.read8(static_cast<std::uint8_t>(at + cap::length)) < needed)
            continue;
        if (function_.read8(static_cast<std::uint8_t>(at + cap::kind)) != kind) continue;
        const std::uint32_t size = function_.read32(static_cast<std::uint8_t>(at + cap::size));
        const std::uint32_t offset = function_.read32(static_cast<std::uint8_t>(at + cap::offset));
        if (size < least || offset % 4 != 0) continue;
        auto mapped = function_.map_bar(space, function_.read8(static_cast<std::uint8_t>(at + cap::bar)),
                                        offset, std::min(size, most));
        if (!mapped) continue;
        if (where != nullptr) *where = at;
        return mapped;
    }
    return fail(what, "it has no modern interface that the driver can reach",
                "on QEMU, give the device the option disable-modern=off");
}

Result<void> VirtioPci::reset(TimeSource& time) {
    common_->write8(common::status, 0);
    const std::uint64_t deadline = time.now_ns() + reset_timeout_ns;
    while (common_->read8(common::status) != 0) {
        if (time.now_ns() >= deadline) return fail(what, "it did not come out of a reset within a second");
        time.relax();
    }
    return {};
}

Result<std::uint64_t> VirtioPci::negotiate(std::uint64_t wanted) {
    add_status(status_acknowledge);
    add_status(status_driver);
    std::uint64_t offered = 0;
    for (std::uint32_t half = 0; half < 2; ++half) {
        common_->write32(common::device_feature_select, half);
        offered |= std::uint64_t{common_->read32(common::device_feature)} << (32 * half);
    }
    if ((offered & virtio_feature::version_1) == 0)
        return fail(what, "it does not offer version 1 of the standard");
    const std::uint64_t accepted = offered & (wanted | virtio_feature::version_1);
    for (std::uint32_t half = 0; half < 2; ++half) {
        common_->write32(common::driver_feature_select, half);
        common_->write32(common::driver_feature, static_cast<std::uint32_t>(accepted >> (32 * half)));
    }
    add_status(status_features_ok);
    if ((common_->read8(common::status) & status_features_ok) == 0)
        return fail(what, "it needs a feature that the driver does not have");
    common_->write16(common::config_vector, no_vector);
    return accepted;
}

unsigned VirtioPci::queue_count() {
    return common_->read16(common::queue_count);
}

std::uint16_t VirtioPci::max_queue_size(std::uint16_t index) {
    common_->write16(common::queue_select, index);
    return common_->read16(common::queue_size);
}

Result<std::uint64_t> VirtioPci::start_queue(std::uint16_t index, const Virtqueue& queue,
                                             std::uint16_t vector) {
    common_->write16(common::queue_select, index);
    common_->write16(common::queue_size, queue.size());
    common_->write16(common::queue_vector, vector);
    if (common_->read16(common::queue_vector) != vector)
        return fail(what, "it has no interrupt vector left for its queue");
    write_address(*common_, common::queue_descriptors, queue.descriptor_area());
    write_address(*common_, common::queue_driver, queue.driver_area());
    write_address(*common_, common::queue_device, queue.device_area());
    const std::uint64_t doorbell =
        std::uint64_t{common_->read16(common::queue_notify_offset)} * notify_multiplier_;
    if (doorbell > notify_->size() - 2)
        return fail(what, "its queue's doorbell lies outside of the doorbell area");
    common_->write16(common::queue_enable, 1);
    return doorbell;
}

void VirtioPci::start() {
    add_status(status_driver_ok);
}

void VirtioPci::cut_off() {
    common_->write8(common::status, 0);
    function_.change_command(0, pci_command::bus_master);
}

bool VirtioPci::needs_reset() {
    return (common_->read8(common::status) & status_needs_reset) != 0;
}

std::uint8_t VirtioPci::configuration_generation() {
    return common_->read8(common::generation);
}

void VirtioPci::add_status(std::uint8_t bits) {
    common_->write8(common::status, common_->read8(common::status) | bits);
}

}  // namespace exo::guest
