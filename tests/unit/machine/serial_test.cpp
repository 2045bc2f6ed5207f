#include "vmm/machine/serial.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/unit/machine/fakes.h"

namespace exo::vmm {
namespace {

using test::read_value;
using test::RecordedLine;
using test::TextOutput;
using test::write_value;

constexpr std::uint64_t data = 0;
constexpr std::uint64_t ier = 1;
constexpr std::uint64_t iir = 2;
constexpr std::uint64_t fcr = 2;
constexpr std::uint64_t lcr = 3;
constexpr std::uint64_t mcr = 4;
constexpr std::uint64_t lsr = 5;
constexpr std::uint64_t msr = 6;
constexpr std::uint64_t scr = 7;

class SerialTest : public testing::Test {
  protected:
    std::uint64_t get(std::uint64_t at) { return read_value(serial_, at, 1); }
    void set(std::uint64_t at, std::uint8_t value) { write_value(serial_, at, 1, value); }
    std::size_t type(std::string_view text) { return serial_.receive(std::as_bytes(std::span(text))); }

    TextOutput output_;
    RecordedLine line_;
    Serial serial_{output_, line_};
};

/// IsaSerialPortPresent and the set-up of OVMF's PciSioSerialDxe.
TEST_F(SerialTest, ProbeAndSetUpAsOvmf) {
    set(scr, 0xaa);
    EXPECT_EQ(get(scr), 0xaau);
    set(scr, 0x55);
    EXPECT_EQ(get(scr), 0x55u);
    set(lcr, 0x80);
    set(data, 0x01);
    set(ier, 0x00);
    EXPECT_EQ(get(data), 1u);
    EXPECT_EQ(get(ier), 0u);
    set(lcr, 0x03);
    EXPECT_EQ(get(lcr), 0x03u);
    set(fcr, 0x07);
    set(mcr, 0x03);
    EXPECT_EQ(get(iir), 0xc1u);
    EXPECT_EQ(get(lsr), 0x60u);
    EXPECT_EQ(get(msr), 0xb0u);
    EXPECT_EQ(line_.changes, 0);
}

TEST_F(SerialTest, OutputGoesOutAtOnce) {
    for (const char letter : std::string_view("hello\r\n")) set(data, static_cast<std::uint8_t>(letter));
    EXPECT_EQ(output_.text, "hello\r\n");
    EXPECT_EQ(get(lsr), 0x60u);
}

TEST_F(SerialTest, DivisorIsNotOutput) {
    set(lcr, 0x83);
    set(data, 'x');
    set(ier, 0x12);
    EXPECT_EQ(read_value(serial_, 0, 2), 0x1200u | 'x');
    set(lcr, 0x03);
    EXPECT_EQ(output_.text, "");
    EXPECT_EQ(get(ier), 0u);
}

TEST_F(SerialTest, FullOutputHoldsTheGuestBack) {
    set(fcr, 0x01);
    output_.room = 2;
    for (const char letter : std::string_view("abcd")) set(data, static_cast<std::uint8_t>(letter));
    EXPECT_EQ(output_.text, "ab");
    EXPECT_EQ(get(lsr) & 0x60, 0u) << "transmitter busy";
    output_.room = SIZE_MAX;
    EXPECT_EQ(get(lsr) & 0x60, 0x60u) << "asking tries again";
    EXPECT_EQ(output_.text, "abcd");
}

TEST_F(SerialTest, GuestThatDoesNotWaitLosesOutputOnly) {
    set(fcr, 0x01);
    output_.room = 0;
    for (int i = 0; i < 1000; ++i) set(data, 'x');
    output_.room = SIZE_MAX;
    serial_.output_ready();
    EXPECT_EQ(output_.text.size(), Serial::fifo_size);
}

TEST_F(SerialTest, TransmitterInterruptOncePerDrain) {
    set(ier, 0x02);
    EXPECT_TRUE(line_.asserted) << "enabling it with an empty transmitter interrupts";
    EXPECT_EQ(get(iir), 0x02u);
    EXPECT_FALSE(line_.asserted) << "reading the cause acknowledges it";
    EXPECT_EQ(get(iir), 0x01u);
    set(data, 'a');
    EXPECT_TRUE(line_.asserted);
    get(iir);
    output_.room = 0;
    set(data, 'b');
    EXPECT_FALSE(line_.asserted);
    output_.room = 1;
    serial_.output_ready();
    EXPECT_TRUE(line_.asserted);
    EXPECT_EQ(output_.text, "ab");
}

TEST_F(SerialTest, InputIsReadInOrder) {
    EXPECT_EQ(get(data), 0u);
    type("ok");
    EXPECT_EQ(get(lsr), 0x61u);
    EXPECT_EQ(get(data), std::uint64_t{'o'});
    EXPECT_EQ(get(data), std::uint64_t{'k'});
    EXPECT_EQ(get(lsr), 0x60u);
    EXPECT_EQ(line_.changes, 0) << "nobody asked for interrupts";
}

TEST_F(SerialTest, InputInterruptsUntilItIsRead) {
    set(fcr, 0x41);
    set(ier, 0x01);
    type("abc");
    EXPECT_TRUE(line_.asserted);
    EXPECT_EQ(get(iir), 0xccu) << "below the trigger level of four: timed out";
    type("d");
    EXPECT_EQ(get(iir), 0xc4u);
    for (int i = 0; i < 4; ++i) get(data);
    EXPECT_FALSE(line_.asserted);
    EXPECT_EQ(get(iir), 0xc1u);
}

TEST_F(SerialTest, TellsOnceThatAnOperatingSystemAwaitsInput) {
    int told = 0;
    serial_.set_input_awaited([&] { ++told; });
    set(ier, 0x0f);
    set(ier, 0x00);
    EXPECT_EQ(told, 0) << "a probe, not connected to the interrupt";
    set(mcr, 0x18);
    set(ier, 0x01);
    EXPECT_EQ(told, 0) << "in loopback";
    set(mcr, 0x0b);
    EXPECT_EQ(told, 0) << "the FIFOs would drop it";
    set(fcr, 0x01);
    EXPECT_EQ(told, 1);
    set(ier, 0x00);
    set(ier, 0x05);
    EXPECT_EQ(told, 1);
}

TEST_F(SerialTest, ReceivedDataComesBeforeTheTransmitter) {
    set(ier, 0x03);
    type("a");
    EXPECT_EQ(get(iir), 0x04u);
    EXPECT_TRUE(line_.asserted);
    get(data);
    EXPECT_EQ(get(iir), 0x02u);
    EXPECT_FALSE(line_.asserted);
}

TEST_F(SerialTest, InputBeyondTheQueueIsLeftToTheCaller) {
    int drained = 0;
    serial_.set_input_drained([&drained] { ++drained; });
    const std::string much(10'000, 'x');
    const std::size_t taken = type(much);
    EXPECT_EQ(taken, Serial::input_limit);
    EXPECT_EQ(type("y"), 1u) << "one went on into the chip";
    EXPECT_EQ(type("y"), 0u);
    EXPECT_EQ(serial_.input_room(), 0u);
    for (std::size_t i = 0; i < Serial::input_limit / 2 - 1; ++i) get(data);
    EXPECT_EQ(drained, 0);
    get(data);
    EXPECT_EQ(drained, 1);
    EXPECT_EQ(serial_.input_room(), Serial::input_limit / 2);
    for (std::size_t i = 0; i < Serial::input_limit; ++i) get(data);
    EXPECT_EQ(drained, 1) << "nothing was refused since";
}

TEST_F(SerialTest, SwitchingOrClearingTheFifoDropsIt) {
    set(fcr, 0x01);
    type("old");
    set(fcr, 0x03);
    EXPECT_EQ(get(lsr) & 1, 0u);
    type("new");
    EXPECT_EQ(get(data), std::uint64_t{'n'});
    set(fcr, 0x00);
    EXPECT_EQ(get(lsr) & 1, 0u);
    EXPECT_EQ(get(iir), 0x01u);
}

TEST_F(SerialTest, Loopback) {
    set(mcr, 0x1a);
    EXPECT_EQ(get(msr), 0x90u) << "RTS and OUT2 come back as CTS and carrier";
    set(mcr, 0x15);
    EXPECT_EQ(get(msr), 0x60u);
    set(data, 'x');
    EXPECT_EQ(output_.text, "");
    EXPECT_EQ(get(lsr) & 1, 1u);
    set(data, 'y');
    EXPECT_EQ(get(lsr) & 2, 2u) << "overrun";
    EXPECT_EQ(get(lsr) & 2, 0u) << "told once";
    EXPECT_EQ(get(data), std::uint64_t{'x'});
    type("i");
    EXPECT_EQ(get(lsr) & 1, 0u) << "the line is cut off";
    set(mcr, 0);
    EXPECT_EQ(get(data), std::uint64_t{'i'}) << "what came meanwhile is there";
}

TEST_F(SerialTest, LineStatusInterrupt) {
    set(ier, 0x04);
    set(mcr, 0x10);
    set(data, 'x');
    set(data, 'y');
    EXPECT_TRUE(line_.asserted);
    EXPECT_EQ(get(iir), 0x06u);
    get(lsr);
    EXPECT_FALSE(line_.asserted);
}

TEST_F(SerialTest, ConsoleAndGuestAtOnce) {
    set(fcr, 0x01);
    std::string got;
    std::jthread console([this] {
        for (int sent = 0; sent < 20'000;) sent += static_cast<int>(type("z"));
    });
    while (got.size() < 20'000)
        if (get(lsr) & 1) got.push_back(static_cast<char>(get(data)));
    EXPECT_EQ(got, std::string(20'000, 'z'));
}

}  // namespace
}  // namespace exo::vmm
