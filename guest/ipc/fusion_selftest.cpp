#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "guest/kernel/selftest.h"
#include "guest/kernel/services.h"
#include "shared/fusion/pool.h"
#include "shared/fusion/ring.h"

namespace exo::guest {
namespace {

constexpr std::uint32_t capacity = 64;

DmaBuffer allocate(TestReport& report, std::size_t size) {
    auto buffer = DmaBuffer::allocate(services().dma, size);
    return report.expect(buffer.has_value(), "there is no memory") ? std::move(*buffer) : DmaBuffer();
}

void messages_arrive_once_and_in_order(TestReport& report) {
    const DmaBuffer memory = allocate(report, fusion::ring_bytes(capacity));
    // Positions wrap while the test runs.
    const auto ring = fusion::Ring::format(memory.span().bytes(), capacity, 0xffff'ff00);
    if (!report.expect(ring.has_value(), "the ring could not be formatted")) return;
    fusion::Producer producer(*ring);
    fusion::Consumer consumer(*ring);
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    for (int round = 0; round < 2'000; ++round) {
        for (int i = 0; i < round % 80; ++i) sent += producer.send(sent).has_value();
        std::uint64_t value = 0;
        for (int i = 0; i < round % 70 && consumer.recv(value); ++i)
            if (!report.expect_equal(value, received++, "message")) return;
        report.expect(sent - received <= capacity, "the ring holds more than its capacity");
    }
    report.expect(received > 10'000, "hardly any message arrived");
}

void full_and_empty_are_told_apart(TestReport& report) {
    const DmaBuffer memory = allocate(report, fusion::ring_bytes(capacity));
    const auto ring = fusion::Ring::format(memory.span().bytes(), capacity);
    if (!report.expect(ring.has_value(), "the ring could not be formatted")) return;
    fusion::Producer producer(*ring);
    fusion::Consumer consumer(*ring);
    report.expect(!consumer.recv(), "an empty ring gave a message");
    std::uint32_t taken = 0;
    while (producer.send(taken)) ++taken;
    report.expect_equal(taken, capacity, "messages that fit");
    report.expect(producer.send(taken).error() == fusion::SendError::full, "a full ring took a message");
    const std::array<std::byte, fusion::payload_size + 1> large{};
    report.expect(producer.send_inline(large).error() == fusion::SendError::too_large, "57 bytes were taken");
    std::array<std::uint32_t, capacity> values{};
    const auto count = consumer.recv_batch(std::span(values));
    report.expect_equal(count.value_or(0), capacity, "messages in the batch");
    report.expect_equal(values.back(), capacity - 1, "the last message");
}

void pages_change_hands_without_a_copy(TestReport& report) {
    constexpr std::uint32_t pages = 8;
    const DmaBuffer ring_memory = allocate(report, fusion::ring_bytes(capacity));
    const DmaBuffer pool_memory = allocate(report, fusion::pool_bytes(pages));
    const auto ring = fusion::Ring::format(ring_memory.span().bytes(), capacity);
    auto pool = fusion::SharedMemoryPool<>::format(pool_memory.span().bytes(), pages);
    if (!report.expect(ring && pool, "ring or pool could not be formatted")) return;
    fusion::Producer producer(*ring);
    fusion::Consumer consumer(*ring);
    for (int round = 0; round < 100; ++round) {
        auto buffer = pool->allocate(5000);
        if (!report.expect(buffer.has_value(), "the pool has no pages left: some were lost")) return;
        std::ranges::fill(buffer->bytes(), static_cast<std::byte>(round));
        const std::byte* const where = buffer->bytes().data();
        report.expect(send_zerocopy(producer, std::move(*buffer)).has_value(), "the pages could not be sent");
        const auto message = consumer.recv();
        if (!report.expect(message.has_value(), "the message did not arrive")) return;
        const auto arrived = pool->accept(*message);
        if (!report.expect(arrived.has_value(), "the pages were not accepted")) return;
        report.expect(arrived->bytes().data() == where, "the pages were copied");
        report.expect_equal(arrived->bytes().size(), 5000u, "bytes that arrived");
        report.expect(arrived->bytes()[4999] == static_cast<std::byte>(round), "the content changed");
        report.expect(!pool->accept(*message), "a descriptor was accepted twice");
    }
    report.expect_equal(pool->free_pages(), pages, "free pages in the end");
}

constexpr SelfTest tests[] = {
    {"fusion: messages arrive once and in order", messages_arrive_once_and_in_order},
    {"fusion: full and empty are told apart", full_and_empty_are_told_apart},
    {"fusion: pages change hands without a copy", pages_change_hands_without_a_copy},
};
constexpr SelfTestGroup group{tests};
[[gnu::section("exo_selftests"), gnu::used, gnu::retain]] constexpr const SelfTestGroup* registration =
    &group;

}  // namespace
}  // namespace exo::guest
