#include "vmm/devices/virtio_rng.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>

namespace exo::vmm {
namespace {

/// Of one pass and of one chain: a guest that asks without end gets its bytes in pieces.
constexpr std::uint32_t chains_a_pass = 16;
constexpr std::size_t bytes_a_chain = 4096;

}  // namespace

void VirtioRng::from_kernel(std::span<std::byte> bytes) {
    while (!bytes.empty()) {
        // It fails for no reason but a signal, once the kernel has started.
        const ssize_t got = ::getrandom(bytes.data(), bytes.size(), 0);
        if (got > 0) bytes = bytes.subspan(static_cast<std::size_t>(got));
    }
}

bool VirtioRng::work(std::span<std::optional<Virtqueue>> queues, Pass) {
    if (!queues[0]) return false;
    Virtqueue& queue = *queues[0];
    queue.refuse_doorbells();
    for (std::uint32_t taken = 0; taken < chains_a_pass; ++taken) {
        if (!queue.pop(chain_)) return queue.fault() == QueueFault::none && !queue.ask_for_doorbell();
        std::size_t written = 0;
        for (const iovec& buffer : chain_.writable) {
            const std::size_t step = std::min(buffer.iov_len, bytes_a_chain - written);
            source_({static_cast<std::byte*>(buffer.iov_base), step});
            written += step;
        }
        queue.push(chain_.head, static_cast<std::uint32_t>(written));
    }
    return true;
}

}  // namespace exo::vmm
