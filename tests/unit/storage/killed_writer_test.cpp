// A process that writes to a disk is killed at any moment: what it had reported as flushed is in the file.

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "tests/unit/storage/temporary_file.h"
#include "vmm/storage/open_disk.h"

namespace exo::vmm {
namespace {

using test::TemporaryFile;

constexpr std::size_t sector = 512;
constexpr std::size_t sectors = 64;
using Number = std::uint32_t;
using Sector = std::array<Number, sector / sizeof(Number)>;

void wait_for_all(Disk& disk, std::size_t count) {
    while (count > 0) {
        pollfd waiting{disk.completion_fd(), POLLIN, 0};
        ::poll(&waiting, 1, 1000);
        eventfd_t signals = 0;
        ::eventfd_read(disk.completion_fd(), &signals);
        std::array<DiskCompletion, sectors + 1> some;  // all that there may be: nothing is left behind
        const std::size_t got = disk.reap(some);
        for (const DiskCompletion& completion : std::span(some).first(got))
            if (completion.error != 0) ::_exit(1);
        count -= got;
    }
}

/// Writes round after round, each sector with the round's number, and reports each that is flushed. Until it
/// is killed.
[[noreturn]] void write_for_ever(const std::string& path, DiskBackend backend, int report) {
    const auto disk = open_disk({.path = path}, backend);
    if (!disk) ::_exit(2);
    std::vector<Sector> memory(sectors);
    for (Number round = 1;; ++round) {
        std::array<iovec, sectors> segments;
        std::array<DiskRequest, sectors> batch;
        for (std::size_t i = 0; i < sectors; ++i) {
            memory[i].fill(round);
            segments[i] = {memory[i].data(), sector};
            batch[i] = {
                .operation = DiskOperation::write, .offset = i * sector, .segments = {&segments[i], 1}};
        }
        (*disk)->submit(batch);
        wait_for_all(**disk, sectors);
        const DiskRequest flush{.operation = DiskOperation::flush};
        (*disk)->submit({&flush, 1});
        wait_for_all(**disk, 1);
        if (::write(report, &round, sizeof(round)) != sizeof(round)) ::_exit(3);
    }
}

Number last_reported(int report) {
    Number last = 0;
    for (Number round = 0; ::read(report, &round, sizeof(round)) == sizeof(round);) last = round;
    return last;
}

class KilledWriter : public testing::TestWithParam<DiskBackend> {
  protected:
    /// Starts a writer and kills it `after` its first report: the last round that it reported; 0 for none,
    /// since it could not open the disk.
    Number run_and_kill(const std::string& path, std::chrono::microseconds after) const {
        int ends[2];
        if (::pipe(ends) != 0) return 0;
        const pid_t child = ::fork();
        if (child == 0) {
            ::close(ends[0]);
            write_for_ever(path, GetParam(), ends[1]);
        }
        ::close(ends[1]);
        pollfd first{ends[0], POLLIN, 0};
        ::poll(&first, 1, 10'000);
        ::usleep(static_cast<useconds_t>(after.count()));
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
        const Number last = last_reported(ends[0]);
        ::close(ends[0]);
        return last;
    }
};

TEST_P(KilledWriter, LeavesWhatItHadFlushed) {
    if (const TemporaryFile file(4096); !open_disk({.path = file.path()}, GetParam()))
        GTEST_SKIP() << "this host refuses it";
    std::mt19937 random(7);
    for (int run = 0; run < 20; ++run) {
        const TemporaryFile file(sectors * sector);
        const Number flushed = run_and_kill(file.path(), std::chrono::microseconds(random() % 10'000));
        ASSERT_GT(flushed, 0u) << "the writer got nowhere";
        const auto content = file.content();
        for (std::size_t i = 0; i < sectors; ++i) {
            Sector found;
            std::memcpy(found.data(), &content[i * sector], sector);
            EXPECT_GE(found[0], flushed) << "sector " << i;
            EXPECT_LE(found[0], flushed + 1) << "sector " << i;
            EXPECT_EQ(std::ranges::count(found, found[0]), static_cast<std::ptrdiff_t>(found.size()));
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Backends, KilledWriter, testing::Values(DiskBackend::io_uring, DiskBackend::threads),
                         [](const auto& backend) {
                             return backend.param == DiskBackend::io_uring ? "io_uring" : "threads";
                         });

}  // namespace
}  // namespace exo::vmm
