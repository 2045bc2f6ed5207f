#include "vmm/machine/kvm_msix.h"

namespace exo::vmm {

Result<std::unique_ptr<KvmMsix>> KvmMsix::create(Vm& vm, MsiRoutes& routes, unsigned vectors,
                                                 std::function<void(const Error&)> broken) {
    std::vector<Vector> made;
    for (unsigned i = 0; i < vectors; ++i) {
        auto event = EventFd::create();
        if (!event) return std::unexpected(event.error());
        const std::uint32_t gsi = routes.allocate();
        if (auto done = vm.attach_interrupt(event->get(), gsi); !done) return std::unexpected(done.error());
        made.push_back({gsi, std::move(*event)});
    }
    return std::unique_ptr<KvmMsix>(new KvmMsix(routes, std::move(made), std::move(broken)));
}

void KvmMsix::route(unsigned vector, const std::optional<MsiMessage>& message) {
    // A vector without a message is never delivered, so its old route may stay.
    if (!message) return;
    if (auto done = routes_.set(vectors_[vector].gsi, {message->address, message->data}); !done)
        broken_(done.error());
}

}  // namespace exo::vmm
