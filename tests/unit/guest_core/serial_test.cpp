#include <gtest/gtest.h>

#include <deque>
#include <string>

#include "guest/arch/arch.h"
#include "guest/arch/hosted/hosted.h"
#include "guest/drivers/serial/serial_console.h"
#include "guest/drivers/serial/uart_16550.h"
#include "tests/unit/guest_core/fake_registers.h"

namespace exo::guest {
namespace {

/// A UART that takes `fifo` characters at a time and counts the looks at its status.
struct Line {
    FakeRegisters registers;
    std::string sent;
    std::deque<char> received;
    unsigned fifo = 16;
    unsigned room = 16;
    unsigned status_reads = 0;
    bool stuck = false;

    Line() {
        registers.on_read = [this](std::uint64_t offset) -> std::uint64_t {
            if (offset == 2) return fifo > 1 ? 0xc1 : 0x01;
            if (offset == 0 && !received.empty()) {
                const char c = received.front();
                received.pop_front();
                return static_cast<unsigned char>(c);
            }
            if (offset != 5) return 0;
            ++status_reads;
            room = stuck ? 0 : fifo;  // it has drained meanwhile
            return (room > 0 ? 0x60u : 0u) | (received.empty() ? 0u : 0x01u);
        };
        registers.on_write = [this](std::uint64_t offset, std::uint64_t value) {
            if (offset != 0 || divisor_access()) return;
            ASSERT_GT(room, 0u) << "written although the FIFO is full";
            --room;
            sent += static_cast<char>(value);
        };
    }
    bool divisor_access() const {
        for (auto write = registers.writes.rbegin(); write != registers.writes.rend(); ++write)
            if (write->first == 3) return (write->second & 0x80) != 0;
        return false;
    }
};

TEST(Uart16550, WritesWholeFifosBetweenLooksAtTheStatus) {
    Line line;
    Uart16550 uart;
    uart.start(line.registers);
    line.status_reads = 0;
    const std::string text(100, 'x');
    for (const char c : text) uart.write(c);
    EXPECT_EQ(line.sent, text);
    EXPECT_EQ(line.status_reads, 7u);
}

TEST(Uart16550, WritesSingleCharactersWithoutAFifo) {
    Line line;
    line.fifo = 1;
    Uart16550 uart;
    uart.start(line.registers);
    line.status_reads = 0;
    for (const char c : std::string("hello")) uart.write(c);
    EXPECT_EQ(line.sent, "hello");
    EXPECT_EQ(line.status_reads, 5u);
}

TEST(Uart16550, IsNotThereWhenItsPortsReadAllOnes) {
    FakeRegisters nothing;
    Uart16550 uart;
    uart.start(nothing);
    EXPECT_FALSE(uart.present());
    uart.write('x');
    uart.flush();
    EXPECT_EQ(uart.read(), std::nullopt);
    EXPECT_TRUE(nothing.writes.empty());
}

TEST(Uart16550, KeepsWhatCameInBeforeItStarted) {
    Line line;
    line.received = {'a', 'b'};
    Uart16550 uart;
    uart.start(line.registers);
    EXPECT_EQ(uart.read(), 'a');
    EXPECT_EQ(uart.read(), 'b');
    EXPECT_EQ(uart.read(), std::nullopt);
}

class SerialConsoleTest : public ::testing::Test {
  protected:
    SerialConsoleTest() { console.start(line.registers); }
    void receive(std::string_view text) {
        for (const char c : text) line.received.push_back(c);
    }

    Line line;
    SerialConsole console;
    arch::hosted::HostedTime time;
};

TEST_F(SerialConsoleTest, EndsLinesAsTerminalsLikeIt) {
    console.write("a\nb\n");
    EXPECT_EQ(line.sent, "a\r\nb\r\n");
}

TEST_F(SerialConsoleTest, ReadsWithoutInterrupts) {
    receive("hi");
    EXPECT_TRUE(console.wait_for_input(0));
    EXPECT_EQ(console.read(), 'h');
    EXPECT_EQ(console.read(), 'i');
    EXPECT_EQ(console.read(), std::nullopt);
    EXPECT_FALSE(console.wait_for_input(0));
}

TEST_F(SerialConsoleTest, GathersInputByInterrupt) {
    console.use_interrupts(time);
    receive("typed");
    console.handle_interrupt();
    EXPECT_TRUE(line.received.empty());
    std::string read;
    while (const auto c = console.read()) read += *c;
    EXPECT_EQ(read, "typed");
}

TEST_F(SerialConsoleTest, CountsWhatItHasNoRoomFor) {
    receive(std::string(SerialConsole::input_capacity, 'x'));
    console.handle_interrupt();
    receive("over");
    console.handle_interrupt();
    EXPECT_EQ(console.overruns(), 4u);
    std::size_t count = 0;
    while (console.read()) ++count;
    EXPECT_EQ(count, SerialConsole::input_capacity);
}

TEST_F(SerialConsoleTest, WaitsUntilTheDeadline) {
    console.use_interrupts(time);
    const std::uint64_t deadline = time.now_ns() + 2 * ns_per_ms;
    EXPECT_FALSE(console.wait_for_input(deadline));
    EXPECT_GE(time.now_ns(), deadline);
}

TEST_F(SerialConsoleTest, WakesForInputWhoseInterruptWasLost) {
    console.use_interrupts(time);
    receive("x");
    EXPECT_TRUE(console.wait_for_input(arch::no_deadline));
}

}  // namespace
}  // namespace exo::guest
