#include "vmm/machine/attached_device.h"

namespace exo::vmm {

Result<std::unique_ptr<AttachedDevice>> AttachedDevice::create(
    const Host& host, QueueDevice& device, const PciDeviceSpec& spec, const DoorbellPlacement& doorbells,
    std::optional<std::chrono::nanoseconds> poll_cap) {
    std::unique_ptr<AttachedDevice> made(new AttachedDevice);
    made->device_ = &device;
    made->function_ = std::make_unique<PciDevice>(spec);
    const unsigned vectors = made->function_->msix()->vectors();
    auto msix = KvmMsix::create(host.vm, host.routes, vectors, host.broken);
    if (!msix) return std::unexpected(msix.error());
    made->msix_ = std::move(*msix);
    made->function_->msix()->set_backend(made->msix_.get());
    for (unsigned vector = 0; vector < vectors; ++vector)
        device.connect_interrupt(vector, made->function_->interrupt(vector));

    std::vector<int> events;
    for (unsigned queue = 0; queue < device.queue_count(); ++queue)
        events.push_back(device.doorbell_fd(queue));
    made->doorbells_ = std::make_unique<KvmDoorbells>(host.vm, doorbells, std::move(events), host.broken);
    made->function_->set_bar_listener(made->doorbells_.get());

    auto thread = DeviceThread::create(device, host.clock, spec.name, host.pollers, poll_cap);
    if (!thread) return std::unexpected(thread.error());
    made->thread_ = std::move(*thread);
    return made;
}

}  // namespace exo::vmm
