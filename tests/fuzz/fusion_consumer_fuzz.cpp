// libFuzzer on everything that reads a ring or a pool written by somebody who is not trusted: attach(), all
// kinds of receive, and accept(). The input is what the hostile side leaves in the shared memory.
//
// An input is a byte of options, up to 64 bytes over the ring's header, up to 8 bytes for each slot's header,
// and the rest goes over payloads and page records. AddressSanitizer guards the bounds; the checks below
// guard the contract.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "shared/fusion/pool.h"
#include "shared/fusion/ring.h"

namespace {

using namespace exo::fusion;

constexpr std::uint32_t capacity = 8;
constexpr std::uint32_t pages = 4;

struct Free {
    void operator()(std::byte* bytes) const { std::free(bytes); }
};

/// Exactly as large as it must be, so that one byte too far is seen.
std::unique_ptr<std::byte, Free> allocate(std::size_t bytes) {
    void* memory = nullptr;
    if (posix_memalign(&memory, 4096, bytes) != 0) std::abort();
    std::memset(memory, 0, bytes);
    return std::unique_ptr<std::byte, Free>(static_cast<std::byte*>(memory));
}

void require(bool holds) {
    if (!holds) __builtin_trap();
}

class Input {
  public:
    Input(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}

    std::uint8_t byte() { return left_ == 0 ? 0 : (--left_, *data_++); }
    /// Overwrites the beginning of `bytes` memory with what is left, as far as it goes.
    void overwrite(void* memory, std::size_t bytes) {
        const std::size_t count = bytes < left_ ? bytes : left_;
        std::memcpy(memory, data_, count);
        data_ += count;
        left_ -= count;
    }
    bool empty() const { return left_ == 0; }

  private:
    const std::uint8_t* data_;
    std::size_t left_;
};

/// Each message is taken once, in order; a failed receive moves on by at most the one it dropped.
void receive(Consumer& consumer, SharedMemoryPool<>& pool, std::uint8_t how) {
    const std::uint32_t before = consumer.position();
    std::uint32_t taken = 0;
    if (how % 4 == 0) {
        const auto message = consumer.recv();
        taken = message || message.error() == ReceiveError::malformed;
        if (message) {
            require(message->length <= payload_size && message->kind != Kind::none &&
                    message->kind <= Kind::control);
            require(message->bytes().size() == message->length);
            if (const auto buffer = pool.accept(*message)) {
                require(!buffer->bytes().empty() && buffer->bytes().size() <= pages * pool_page_size);
                buffer->bytes().front() = buffer->bytes().back();
            }
        }
    } else if (how % 4 == 1) {
        std::uint64_t value;
        const auto received = consumer.recv(value);
        taken = received || received.error() == ReceiveError::malformed;
    } else if (how % 4 == 2) {
        std::uint32_t values[5];
        const auto received = consumer.recv_batch(std::span(values));
        taken = received ? *received : received.error() == ReceiveError::malformed;
        require(taken <= 5);
    } else {
        std::uint64_t values[16];
        const auto received = consumer.recv_packed(std::span(values));
        if (received) require(*received >= 1 && *received <= 16);
        require(consumer.position() - before <= (received ? *received : 1));
        return;
    }
    require(consumer.position() - before == taken);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Input input(data, size);
    const std::uint8_t options = input.byte();
    const auto ring_memory = allocate(ring_bytes(capacity));
    const auto pool_memory = allocate(pool_bytes(pages));
    const std::span ring_span(ring_memory.get(), ring_bytes(capacity));
    const std::span pool_span(pool_memory.get(), pool_bytes(pages));
    auto formatted = Ring::format(ring_span, capacity, options & 1 ? 0U - 3 : 0);
    require(formatted && SharedMemoryPool<>::format(pool_span, pages));

    if (options & 2) input.overwrite(ring_memory.get(), sizeof(RingIdentity));
    if (options & 4) input.overwrite(pool_memory.get(), 16);
    const auto ring = Ring::attach(ring_span);
    auto pool = SharedMemoryPool<>::attach(pool_span);
    if (!ring || !pool) return 0;
    require(ring->capacity() <= capacity && pool->page_count() <= pages);

    Consumer consumer(*ring);
    for (int round = 0; round < 64 && !input.empty(); ++round) {
        const std::uint8_t how = input.byte();
        Slot& slot = ring->slot(consumer.position());
        if (how & 0x80) {
            input.overwrite(&slot, how & 0x40 ? slot_size : sizeof(SlotHeader));
        } else if (how & 0x40) {  // a well-formed header, so that payloads are reached often
            SlotHeader header{consumer.position() + 1, static_cast<Kind>(input.byte() % 6), input.byte(),
                              input.byte()};
            slot.header = header.to_word();
            input.overwrite(slot.payload, sizeof(PageDescriptor));
        }
        if (how & 0x20)
            input.overwrite(pool_memory.get() + sizeof(PoolHeader) + (how & 3) * sizeof(PageRecord), 8);
        if (how & 0x10) static_cast<void>(pool->allocate(std::size_t{input.byte()} * 64));
        receive(consumer, *pool, how >> 2);
    }
    if (options & 8) static_cast<void>(Producer::take_over(*ring).send(std::uint64_t{1}));
    return 0;
}
