#include "vmm/machine/kvm_doorbells.h"

namespace exo::vmm {

void KvmDoorbells::bar_mapped(unsigned bar, AddressRange where) {
    if (bar != placement_.bar) return;
    for (std::size_t queue = 0; queue < events_.size(); ++queue)
        if (auto done = vm_.attach_doorbell(doorbell(queue, where)); !done) return broken_(done.error());
}

void KvmDoorbells::bar_unmapped(unsigned bar, AddressRange where) {
    if (bar != placement_.bar) return;
    for (std::size_t queue = 0; queue < events_.size(); ++queue)
        if (auto done = vm_.detach_doorbell(doorbell(queue, where)); !done) return broken_(done.error());
}

Doorbell KvmDoorbells::doorbell(std::size_t queue, AddressRange where) const {
    return {.address = where.start + placement_.offset + 4 * queue,
            .size = placement_.size,
            .port = false,
            .event = events_[queue]};
}

}  // namespace exo::vmm
