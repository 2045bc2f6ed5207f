#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/drivers/block/block_device.h"
#include "guest/drivers/block/ide_channel.h"
#include "guest/drivers/block/ide_identity.h"
#include "guest/drivers/driver_services.h"
#include "guest/drivers/pci/pci_function.h"

namespace exo::guest {

/// A drive on an IDE channel: one request at a time, which the other drive of the channel may hold up.
class IdeDisk final : public BlockDevice, private BlockQueue {
  public:
    static Result<std::unique_ptr<IdeDisk>> create(const IdeChannelUse& channel, unsigned drive,
                                                   const IdeIdentity& identity,
                                                   const DriverServices& services);

    const DiskInfo& info() const override { return info_; }
    unsigned queue_count() const override { return 1; }
    BlockQueue& queue(unsigned) override { return *this; }

  private:
    IdeDisk(const IdeChannelUse& channel, unsigned drive, const IdeIdentity& identity);

    std::size_t depth() const override { return 1; }
    std::size_t submit(std::span<BlockRequest* const> requests) override;
    std::size_t poll() override;
    bool prepare_sleep(std::uint32_t) override { return channel_->prepare_sleep(); }
    void finish_sleep() override { channel_->finish_sleep(); }
    InterruptWatch& watch() override { return channel_->watch(); }
    Mutex& lock() override { return channel_->lock(); }
    bool has_interrupt() const override { return channel_->has_interrupt(); }
    void recover() override;
    const BlockQueueCounters& counters() const override { return counters_; }

    bool start(BlockRequest& request);
    IdeChannel::Command command_for(const BlockRequest& request) const;

    IdeChannelUse channel_;
    unsigned drive_;
    IdeIdentity identity_;
    DiskInfo info_;
    BlockQueueCounters counters_;
};

}  // namespace exo::guest
