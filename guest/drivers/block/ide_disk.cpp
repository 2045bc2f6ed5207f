#include "guest/drivers/block/ide_disk.h"

#include <algorithm>
#include <new>

namespace exo::guest {
namespace {

constexpr std::uint64_t lba28_end = std::uint64_t{1} << 28;

/// One operation in its four forms.
struct Opcodes {
    std::uint8_t single28, multiple28, single48, multiple48;

    std::uint8_t pick(bool multiple, bool lba48) const {
        if (lba48) return multiple ? multiple48 : single48;
        return multiple ? multiple28 : single28;
    }
};
constexpr Opcodes read_opcodes{0x20, 0xc4, 0x24, 0x29};
constexpr Opcodes write_opcodes{0x30, 0xc5, 0x34, 0x39};
constexpr std::uint8_t opcode_flush = 0xe7;
constexpr std::uint8_t opcode_flush48 = 0xea;

}  // namespace

Result<std::unique_ptr<IdeDisk>> IdeDisk::create(const IdeChannelUse& channel, unsigned drive,
                                                 const IdeIdentity& identity,
                                                 const DriverServices& services) {
    std::unique_ptr<IdeDisk> disk(new (std::nothrow) IdeDisk(channel, drive, identity));
    if (disk == nullptr) return out_of_memory("cannot use an IDE disk");
    if (const auto done = disk->start_queues(services); !done) return std::unexpected(done.error());
    return disk;
}

IdeDisk::IdeDisk(const IdeChannelUse& channel, unsigned drive, const IdeIdentity& identity)
    : channel_(channel), drive_(drive), identity_(identity) {
    info_.driver = "ide";
    info_.model = identity_.model();
    info_.serial = identity_.serial();
    info_.sectors = identity_.sectors;
    info_.physical_block = identity_.physical_block;
    info_.max_transfer = IdeChannel::max_sectors * sector_size;
    info_.max_segments = 32;
    info_.has_flush = identity_.has_flush;
    info_.has_barrier = true;  // requests run one after the other
    info_.modes = {IoMode::interrupt, IoMode::polling};
}

std::size_t IdeDisk::submit(std::span<BlockRequest* const> requests) {
    std::size_t taken = 0;
    for (BlockRequest* request : requests) {
        if (!start(*request)) break;
        ++counters_.submitted;
        ++taken;
    }
    return taken;
}

bool IdeDisk::start(BlockRequest& request) {
    if (const auto status = end_before_device(info_, request, channel_->dead())) {
        counters_.end(request, *status);
        return true;
    }
    if (channel_->busy()) return false;
    channel_->start(drive_, command_for(request), request, counters_);
    return true;
}

IdeChannel::Command IdeDisk::command_for(const BlockRequest& request) const {
    IdeChannel::Command command;
    if (request.operation == BlockOperation::flush) {
        command.opcode = identity_.lba48 ? opcode_flush48 : opcode_flush;
        return command;
    }
    const bool write = request.operation == BlockOperation::write;
    const bool multiple = channel_->multiple(drive_) > 1;
    command.sector = request.sector;
    command.count = static_cast<std::uint32_t>(request.bytes() / sector_size);
    command.lba48 = request.sector + command.count > lba28_end;
    command.opcode = (write ? write_opcodes : read_opcodes).pick(multiple, command.lba48);
    command.data = write ? IdeChannel::Command::Data::out : IdeChannel::Command::Data::in;
    command.at_once = channel_->multiple(drive_);
    return command;
}

std::size_t IdeDisk::poll() {
    const std::uint64_t before = counters_.completed;
    channel_->progress();
    return counters_.completed - before;
}

void IdeDisk::recover() {
    const Locked guard(lock());
    channel_->recover();
}

}  // namespace exo::guest
