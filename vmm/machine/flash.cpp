#include "vmm/machine/flash.h"

#include <algorithm>

#include "vmm/machine/io_value.h"

namespace exo::vmm {

void ReadOnlyFlash::read(std::uint64_t offset, std::span<std::byte> data) {
    put_ones(data);
    if (offset >= image_.size()) return;
    const auto bytes = image_.subspan(offset, std::min<std::uint64_t>(data.size(), image_.size() - offset));
    std::ranges::copy(bytes, data.begin());
}

}  // namespace exo::vmm
