#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "guest/drivers/block/block_io.h"
#include "guest/drivers/block/disk_registry.h"
#include "guest/kernel/selftest.h"
#include "guest/kernel/services.h"
#include "guest/sched/scheduler.h"
#include "guest/sched/this_thread.h"

namespace exo::guest {
namespace {

/// A disk under test, and two buffers to read the same sectors into and compare.
struct Subject {
    BlockDevice& disk;
    DmaSpan first;
    DmaSpan second;  ///< as long as the first

    std::uint64_t block_sectors() const { return disk.info().logical_block / sector_size; }
    /// Where the last sectors start that fill a buffer.
    std::uint64_t last() const {
        return disk.info().sectors / block_sectors() * block_sectors() - first.size / sector_size;
    }
    bool same() const { return std::memcmp(first.data, second.data, first.size) == 0; }
};

std::size_t sample_size(const DiskInfo& info) {
    constexpr std::uint64_t most = 64 * 1024;
    const std::uint64_t size = std::min({info.sectors * sector_size, most, std::uint64_t{info.max_transfer}});
    return static_cast<std::size_t>(size / info.logical_block * info.logical_block);
}

/// Runs a check on every disk, whose mode it may change; skips the test when there is none.
void on_every_disk(TestReport& report, void (*check)(TestReport&, const Subject&)) {
    if (disk_registry().disks().empty()) return report.skip("there is no disk");
    for (Disk& entry : disk_registry().disks()) {
        BlockDevice& disk = *entry.device;
        const std::size_t size = sample_size(disk.info());
        const auto first = DmaBuffer::allocate(services().dma, size);
        const auto second = DmaBuffer::allocate(services().dma, size);
        if (!report.expect(first && second, "there is no memory for buffers")) return;
        const auto mode = disk.mode();
        check(report, {disk, first->span().subspan(0, size), second->span().subspan(0, size)});
        disk.set_mode(mode);
    }
}

BlockStatus transfer(BlockDevice& disk, BlockOperation operation, std::uint64_t sector,
                     const DmaSpan& memory) {
    BlockRequest request;
    request.operation = operation;
    request.sector = sector;
    request.segments = {&memory, 1};
    return run(disk, request);
}

bool expect_ok(TestReport& report, BlockStatus status, std::string_view what) {
    return report.expect_equal(describe(status), describe(BlockStatus::ok), what);
}

bool read(TestReport& report, const Subject& subject, std::uint64_t sector, const DmaSpan& memory) {
    return expect_ok(report, transfer(subject.disk, BlockOperation::read, sector, memory), "reading a disk");
}

void reading_twice_gives_the_same(TestReport& report) {
    on_every_disk(report, [](TestReport& told, const Subject& subject) {
        std::memset(subject.first.data, 0x11, subject.first.size);
        std::memset(subject.second.data, 0x22, subject.second.size);
        if (read(told, subject, 0, subject.first) && read(told, subject, 0, subject.second))
            told.expect(subject.same(), "two reads of the same sectors differ");
    });
}

void every_way_to_wait_gives_the_same(TestReport& report) {
    on_every_disk(report, [](TestReport& told, const Subject& subject) {
        subject.disk.set_mode(IoMode::interrupt);
        if (!read(told, subject, subject.last(), subject.first)) return;
        for (unsigned number = 0; number < io_mode_count; ++number) {
            if (!subject.disk.set_mode(static_cast<IoMode>(number))) continue;
            std::memset(subject.second.data, 0x33, subject.second.size);
            if (!read(told, subject, subject.last(), subject.second)) return;
            told.expect(subject.same(), "two ways to wait give different data");
        }
    });
}

void interrupts_arrive(TestReport& report) {
    const auto has_interrupt = [](Disk& disk) { return disk.device->queue(0).has_interrupt(); };
    if (std::ranges::none_of(disk_registry().disks(), has_interrupt))
        return report.skip("no disk has an interrupt");
    on_every_disk(report, [](TestReport& told, const Subject& subject) {
        if (!subject.disk.queue(0).has_interrupt()) return;
        subject.disk.set_mode(IoMode::interrupt);
        for (int i = 0; i < 5; ++i) read(told, subject, 0, subject.first);
        told.expect(subject.disk.queue(0).has_interrupt(),
                    "the driver gave up on an interrupt that never came");
    });
}

void many_requests_at_once(TestReport& report) {
    on_every_disk(report, [](TestReport& told, const Subject& subject) {
        constexpr std::size_t most = 8;
        AdaptiveQueue& queue = subject.disk.queue_here();
        const std::size_t block = subject.disk.info().logical_block;
        const std::size_t count = std::min<std::size_t>({most, subject.first.size / block, queue.depth()});
        if (!read(told, subject, 0, subject.first)) return;
        std::array<BlockRequest, most> requests;
        std::array<DmaSpan, most> segments;
        std::array<BlockRequest*, most> batch{};
        // Backwards, so that what is submitted first is not what lies first.
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t at = (count - 1 - i) * block;
            segments[i] = subject.second.subspan(at, block);
            requests[i].sector = at / sector_size;
            requests[i].segments = {&segments[i], 1};
            batch[i] = &requests[i];
        }
        queue.submit(std::span(batch).first(count));
        for (std::size_t i = 0; i < count; ++i)
            expect_ok(told, queue.wait(requests[i]), "a request of a batch");
        told.expect(std::memcmp(subject.first.data, subject.second.data, count * block) == 0,
                    "a batch read other data than a single request");
    });
}

void what_is_out_of_range_is_refused(TestReport& report) {
    on_every_disk(report, [](TestReport& told, const Subject& subject) {
        const DiskInfo& info = subject.disk.info();
        const DmaSpan block = subject.first.subspan(0, info.logical_block);
        for (const std::uint64_t sector : {info.sectors, ~std::uint64_t{0} << 12})
            told.expect(transfer(subject.disk, BlockOperation::read, sector, block) != BlockStatus::ok,
                        "a read past the end was not refused");
        if (info.read_only)
            told.expect(transfer(subject.disk, BlockOperation::write, 0, block) == BlockStatus::read_only,
                        "a write to a read-only disk was not refused");
    });
}

void a_flush_is_ok(TestReport& report) {
    on_every_disk(report, [](TestReport& told, const Subject& subject) {
        BlockRequest request;
        request.operation = BlockOperation::flush;
        expect_ok(told, run(subject.disk, request), "flushing a disk");
    });
}

/// The last sectors of a disk: written with a pattern, read back, and put back as they were.
void what_is_written_is_read(TestReport& report) {
    if (!report.may_write) return report.skip("only `selftest --write` writes to disks");
    on_every_disk(report, [](TestReport& told, const Subject& subject) {
        if (subject.disk.info().read_only) return;
        const DmaSpan& pattern = subject.second;
        if (!read(told, subject, subject.last(), subject.first)) return;
        for (const IoMode mode : {IoMode::interrupt, IoMode::polling}) {
            subject.disk.set_mode(mode);
            const auto value = [&](std::size_t i) {
                return static_cast<std::byte>(i * 7 + i / 512 + static_cast<unsigned>(mode));
            };
            for (std::size_t i = 0; i < pattern.size; ++i) pattern.data[i] = value(i);
            const BlockStatus written =
                transfer(subject.disk, BlockOperation::write, subject.last(), pattern);
            expect_ok(told, written, "writing to a disk");
            std::memset(pattern.data, 0, pattern.size);
            read(told, subject, subject.last(), pattern);
            bool same = true;
            for (std::size_t i = 0; i < pattern.size; ++i) same = same && pattern.data[i] == value(i);
            told.expect(same, "other data was read than written");
        }
        expect_ok(told, transfer(subject.disk, BlockOperation::write, subject.last(), subject.first),
                  "putting back what was there");
        read(told, subject, subject.last(), pattern);
        told.expect(subject.same(), "the sectors are not as they were");
    });
}

/// One of several threads that read what `first` holds, a block at a time, and count what is not so.
void read_and_compare(const Subject& subject, const DmaSpan& memory, unsigned number,
                      std::atomic<unsigned>& wrong) {
    const std::size_t block = memory.size;
    for (std::size_t i = 0; i < 100; ++i) {
        const std::size_t at = (i * 7 + number * 3) % (subject.first.size / block) * block;
        std::memset(memory.data, 0x44, block);
        const bool ok =
            transfer(subject.disk, BlockOperation::read, at / sector_size, memory) == BlockStatus::ok;
        wrong += ok && std::memcmp(memory.data, subject.first.data + at, block) == 0 ? 0 : 1;
    }
}

void threads_read_while_modes_change(TestReport& report) {
    on_every_disk(report, [](TestReport& told, const Subject& subject) {
        constexpr unsigned threads = 3;
        const std::size_t block = subject.disk.info().logical_block;
        if (subject.second.size < threads * block) return;
        if (!read(told, subject, 0, subject.first)) return;
        std::atomic<unsigned> wrong = 0;
        std::atomic<unsigned> running = threads;
        std::array<ThreadHandle, threads> handles;
        for (unsigned i = 0; i < threads; ++i) {
            auto thread = Thread::current()->scheduler().spawn({.name = "disk test"}, [&, i] {
                read_and_compare(subject, subject.second.subspan(i * block, block), i, wrong);
                --running;
            });
            if (!told.expect(thread.has_value(), "there is no memory for a thread")) return;
            handles[i] = std::move(*thread);
        }
        for (unsigned i = 0; running > 0; ++i) {
            if (i % (io_mode_count + 1) == io_mode_count)
                subject.disk.set_mode(std::nullopt);
            else
                subject.disk.set_mode(static_cast<IoMode>(i % (io_mode_count + 1)));
            this_thread::sleep_for(500 * ns_per_us);
        }
        for (ThreadHandle& handle : handles) handle.join();
        told.expect_equal(wrong.load(), 0u, "reads that failed or gave other data");
    });
}

constexpr SelfTest tests[] = {
    {"disks: reading twice gives the same", reading_twice_gives_the_same},
    {"disks: every way to wait gives the same", every_way_to_wait_gives_the_same},
    {"disks: interrupts arrive", interrupts_arrive},
    {"disks: many requests at once", many_requests_at_once},
    {"disks: threads read while modes change", threads_read_while_modes_change},
    {"disks: what is out of range is refused", what_is_out_of_range_is_refused},
    {"disks: a flush is ok", a_flush_is_ok},
    {"disks: what is written is read", what_is_written_is_read},
};
constexpr SelfTestGroup group{tests};
[[gnu::section("exo_selftests"), gnu::used, gnu::retain]] constexpr const SelfTestGroup* registration =
    &group;

}  // namespace
}  // namespace exo::guest
