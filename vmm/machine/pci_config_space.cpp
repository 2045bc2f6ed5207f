#include "vmm/machine/pci_config_space.h"

namespace exo::vmm {

std::uint32_t PciConfigSpace::read(unsigned offset, unsigned size) const {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < size; ++i) {
        const std::uint32_t byte = offset + i < bytes_.size() ? bytes_[offset + i] : 0xffu;
        value |= byte << (8 * i);
    }
    return value;
}

void PciConfigSpace::write(unsigned offset, unsigned size, std::uint32_t value) {
    for (unsigned i = 0; i < size && offset + i < bytes_.size(); ++i) {
        const std::uint8_t mask = writable_[offset + i];
        const auto byte = static_cast<std::uint8_t>(value >> (8 * i));
        bytes_[offset + i] = static_cast<std::uint8_t>((bytes_[offset + i] & ~mask) | (byte & mask));
    }
}

void PciConfigSpace::set(unsigned offset, unsigned size, std::uint32_t value) {
    for (unsigned i = 0; i < size; ++i) bytes_.at(offset + i) = static_cast<std::uint8_t>(value >> (8 * i));
}

void PciConfigSpace::allow(unsigned offset, unsigned size, std::uint32_t mask) {
    for (unsigned i = 0; i < size; ++i) writable_.at(offset + i) = static_cast<std::uint8_t>(mask >> (8 * i));
}

}  // namespace exo::vmm
