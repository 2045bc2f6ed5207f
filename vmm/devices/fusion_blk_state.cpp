#include "vmm/devices/fusion_blk.h"

namespace exo::vmm {

using block::DeviceStatus;
using block::QueueState;

/// A queue that is quiescent: its entries are idle, no barrier waits, and what the guest has submitted since
/// is in its ring.
void FusionBlkQueue::exchange_state(StateArchive& archive, const GuestMemory& memory) {
    std::uint32_t position = submissions_.position();
    archive(position);
    archive(asleep_);
    archive(waits_for_room_);
    archive(broken_);
    archive.sequence(finished_, setup_.capacity);
    archive.sequence(urgencies_, setup_.capacity,
                     [&](block::Urgency& urgency) { archive(urgency, block::Urgency::relaxed); });
    if (!archive.loading()) return;
    if (urgencies_.size() != finished_.size()) archive.refuse("a completion has no urgency");
    const auto bytes = memory.span_at(setup_.completion_ring, fusion::ring_bytes(setup_.capacity));
    const auto completion_ring = bytes ? fusion::Ring::attach(*bytes) : std::unexpected(fusion::RingError{});
    if (!completion_ring) return archive.refuse("its completion ring is no ring");
    submissions_ = fusion::Consumer::take_over(submission_ring_, position);
    completions_ = fusion::Producer::take_over(*completion_ring);
}

void FusionBlk::exchange_state(StateArchive& archive) {
    const std::lock_guard lock(mutex_);
    archive(status_, DeviceStatus::failed);
    archive(driver_features_);
    archive(queue_select_);
    for (std::uint32_t index = 0; index < queues_.size(); ++index) exchange_queue(archive, index);
    if (!archive.loading()) return;
    if (status_ == DeviceStatus::running && (driver_features_ & ~offered_features()) != 0)
        archive.refuse("its driver uses features that this device does not have");
    shared_.limits.features = driver_features_;
}

void FusionBlk::exchange_queue(StateArchive& archive, std::uint32_t index) {
    Queue& queue = queues_[index];
    QueueRegisters& registers = queue.registers;
    archive(registers.ring_capacity);
    archive(registers.submission_ring);
    archive(registers.completion_ring);
    archive(registers.vector);
    archive(registers.state, QueueState::broken);
    bool attached = queue.engine.has_value();
    archive(attached);
    if (!attached || archive.failed()) return;
    if (archive.loading()) {
        const bool has_interrupt = registers.vector != block::no_vector;
        if (has_interrupt && (registers.vector >= lines_.size() || lines_[registers.vector] == nullptr))
            return archive.refuse("a queue interrupts by a vector that it does not have");
        auto engine = attach(registers, index);
        if (!engine) return archive.refuse("a queue has rings that are none");
        queue.engine.emplace(std::move(*engine));
    }
    queue.engine->exchange_state(archive, shared_.memory);
    if (archive.loading()) doorbells_.ring(index);
}

}  // namespace exo::vmm
