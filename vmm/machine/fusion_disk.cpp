#include "vmm/machine/fusion_disk.h"

namespace exo::vmm {

Result<std::unique_ptr<FusionDisk>> FusionDisk::create(const Host& host, Disk& disk, const std::string& name,
                                                       unsigned index, unsigned queues) {
    std::unique_ptr<FusionDisk> made(new FusionDisk);
    made->name_ = name;
    const std::string label = fmt::format("disk {}", index);
    auto device = FusionBlk::create(host.memory, disk, host.clock,
                                    {.serial = fmt::format("fusion-{}", index), .queue_count = queues});
    if (!device) return std::unexpected(device.error());
    made->device_ = std::move(*device);
    made->function_ = std::make_unique<PciDevice>(fusion_blk_spec(label, *made->device_, queues));

    auto msix = KvmMsix::create(host.vm, host.routes, queues, host.broken);
    if (!msix) return std::unexpected(msix.error());
    made->msix_ = std::move(*msix);
    made->function_->msix()->set_backend(made->msix_.get());
    std::vector<int> doorbells;
    for (unsigned queue = 0; queue < queues; ++queue) {
        made->device_->connect_interrupt(queue, made->function_->interrupt(queue));
        doorbells.push_back(made->device_->doorbell_fd(queue));
    }
    made->doorbells_ =
        std::make_unique<KvmDoorbells>(host.vm, 0, block::bar::doorbells, std::move(doorbells), host.broken);
    made->function_->set_bar_listener(made->doorbells_.get());

    auto thread = DiskThread::create(*made->device_, label);
    if (!thread) return std::unexpected(thread.error());
    made->thread_ = std::move(*thread);
    return made;
}

DiskReport FusionDisk::report() const {
    return {.name = name_, .counters = device_->counters(), .interrupts = function_->msix()->counts()};
}

}  // namespace exo::vmm
