// libFuzzer on disks from NBD servers: libnbd parses what comes, and what is built on it must neither crash
// nor hang nor end a request twice, whatever the server answers, when it hangs up, and as whom it comes back.
//
// An input is a number of requests, a byte for each, and what the server does.
#include <poll.h>

#include <array>
#include <set>

#include "tests/fuzz/hostile_nbd_server.h"
#include "vmm/storage/nbd_disk.h"

namespace {

using namespace exo;
using namespace std::chrono_literals;
using fuzz::require;

constexpr std::size_t block = 4096;

struct Job {
    vmm::DiskRequest request;
    std::vector<fuzz::Pages> memory;
    std::vector<iovec> segments;
};

Job make_job(std::uint8_t how, std::uint64_t cookie) {
    Job job;
    job.request.operation = static_cast<vmm::DiskOperation>(how % 5);
    job.request.fua = (how & 0x20) != 0;
    job.request.may_unmap = (how & 0x40) != 0;
    job.request.offset = how % 16 * block;
    job.request.cookie = cookie;
    switch (job.request.operation) {
        case vmm::DiskOperation::read:
        case vmm::DiskOperation::write:
            for (std::size_t pieces = how % 16 == 15 ? 1 : 1 + (how >> 7); pieces > 0; --pieces) {
                job.memory.emplace_back(block);
                job.segments.push_back({job.memory.back().get(), block});
            }
            break;
        case vmm::DiskOperation::flush:
            job.request.offset = 0;
            break;
        case vmm::DiskOperation::discard:
        case vmm::DiskOperation::write_zeroes:
            job.request.length = block;
            break;
    }
    return job;
}

/// All of them end, each once.
void run(vmm::Disk& disk, std::span<Job> jobs) {
    std::set<std::uint64_t> left;
    for (Job& job : jobs) {
        job.request.segments = job.segments;
        left.insert(job.request.cookie);
        disk.submit({&job.request, 1});
    }
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (!left.empty()) {
        require(std::chrono::steady_clock::now() < deadline);
        pollfd waiting{.fd = disk.completion_fd(), .events = POLLIN, .revents = 0};
        ::poll(&waiting, 1, 100);
        eventfd_t signals = 0;
        static_cast<void>(::eventfd_read(disk.completion_fd(), &signals));
        std::array<vmm::DiskCompletion, 4> some;
        for (std::size_t got = some.size(); got == some.size();) {
            got = disk.reap(some);
            for (const vmm::DiskCompletion& one : std::span(some).first(got)) {
                require(left.erase(one.cookie) == 1);
                const Job& job = jobs[one.cookie];
                const std::uint64_t bytes = job.segments.size() * block + job.request.length;
                require(one.error >= 0 && one.bytes == (one.error == 0 ? bytes : 0));
            }
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const fuzz::Listener listener;
    fuzz::Input input(data, size);
    std::vector<Job> jobs(1 + input.take<std::uint8_t>() % 12);
    for (std::size_t i = 0; i < jobs.size(); ++i) jobs[i] = make_job(input.take<std::uint8_t>(), i);
    const bool read_only = input.take<std::uint8_t>() % 8 == 0;
    const fuzz::HostileNbdServer server(listener, input);
    auto disk = vmm::NbdDisk::create(
        {.uri = "nbd+unix:///?socket=" + listener.path(), .read_only = read_only, .patience = 20ms});
    if (!disk) return 0;
    const vmm::DiskGeometry& geometry = (*disk)->geometry();
    // What the device never asks for.
    std::erase_if(jobs, [&](const Job& job) {
        return (read_only && job.request.operation != vmm::DiskOperation::read) ||
               job.request.offset + 2 * block > geometry.size || geometry.logical_block > block;
    });
    for (std::size_t i = 0; i < jobs.size(); ++i) jobs[i].request.cookie = i;
    if (geometry.size <= fuzz::HostileNbdServer::disk_size) run(**disk, jobs);
    return 0;
}
