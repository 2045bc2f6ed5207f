#include "vmm/machine/kvm_flash_mapping.h"

namespace exo::vmm {

void KvmFlashMapping::show_array(bool visible) {
    const auto done = visible ? vm_.map(slot_) : vm_.unmap(slot_.slot);
    if (!done) failed_(done.error());
}

}  // namespace exo::vmm
