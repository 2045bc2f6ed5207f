#include "guest/boot/firmware_memory_map.h"

#include "guest/boot/memory_map.h"

namespace exo::guest::uefi {
namespace {
constexpr const char* what = "memory map";
}

Status FirmwareMemoryMap::allocate(const Firmware& firmware) {
    constexpr size_t slack = 64;  // descriptors
    if (fetch(firmware) != Status::buffer_too_small)
        return report(firmware, Status::load_error, what, "the firmware does not say how large it is");
    const size_t count = size_ / descriptor_size_ + slack;
    auto* const descriptors = static_cast<uint8_t*>(uefi::allocate(firmware, count * descriptor_size_));
    ranges_ = static_cast<boot::MemoryRange*>(uefi::allocate(firmware, count * sizeof(boot::MemoryRange)));
    if (descriptors == nullptr || ranges_ == nullptr)
        return report(firmware, Status::out_of_resources, what, "give the machine more memory");
    descriptors_ = descriptors;
    capacity_ = count * descriptor_size_;
    return Status::success;
}

Status FirmwareMemoryMap::fetch(const Firmware& firmware) {
    uint32_t version = 0;
    size_ = capacity_;
    return firmware.services().get_memory_map(&size_, reinterpret_cast<MemoryDescriptor*>(descriptors_),
                                              &key_, &descriptor_size_, &version);
}

void FirmwareMemoryMap::convert() {
    range_count_ = convert_memory_map(descriptors_, size_, descriptor_size_, ranges_);
}

}  // namespace exo::guest::uefi
