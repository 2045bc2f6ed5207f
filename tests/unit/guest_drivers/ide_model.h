#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "tests/unit/guest_drivers/fake_machine.h"

namespace exo::guest::test {

/// An IDE channel with up to two drives, written from the standard for these tests: programmed I/O, 28- and
/// 48-bit commands, READ and WRITE MULTIPLE, interrupts. A drive becomes ready when the machine idles.
class IdeModel {
  public:
    struct Drive {
        std::vector<std::byte> disk;
        bool packet = false;
        bool lba48 = true;
        std::uint16_t max_multiple = 16;
        std::string_view model = "EXO TEST DRIVE";
        std::string_view serial = "42-7";
        /// Reported in place of the true size when not 0.
        std::uint64_t claimed_sectors = 0;
        /// The number of the sector that `disk` starts with.
        std::uint64_t first_sector = 0;
        /// The next data command fails with these bits of the error register.
        std::uint8_t error = 0;
        bool stuck = false;           ///< busy for ever from the next command on
        bool stuck_for_good = false;  ///< even after a reset
        bool endless = false;         ///< asks for more data than the command moves
        int flushes = 0;
    };

    explicit IdeModel(FakeMachine& machine, std::uint16_t command_port = 0x1f0,
                      std::uint16_t control_port = 0x3f6, unsigned irq = 14)
        : machine_(machine), irq_(irq), command_(*this), control_(*this) {
        machine.place_ports(command_port, 8, command_);
        machine.place_ports(control_port, 1, control_);
        machine.on_idle = [this] { return step(); };
    }

    Drive& attach(unsigned number, std::size_t sectors) {
        drives_.at(number) = std::make_unique<Drive>();
        Drive& drive = *drives_[number];
        drive.disk.resize(sectors * 512);
        for (std::size_t i = 0; i < drive.disk.size(); ++i)
            drive.disk[i] = static_cast<std::byte>(i * 7 + i / 512 + number);
        return drive;
    }

    int interrupts = 0;
    int reads_of_data_port = 0;
    std::vector<std::uint8_t> opcodes;
    bool floating = false;  ///< nothing is there at all
    /// An interrupt that comes while it is masked is lost, as on QEMU; otherwise it waits to be unmasked.
    bool forgets_masked_interrupts = false;

    /// A busy drive gets ready.
    bool step() {
        if (!busy_ || current() == nullptr || current()->stuck) return false;
        busy_ = false;
        get_ready();
        return true;
    }

  private:
    class CommandPorts final : public RegisterModel {
      public:
        explicit CommandPorts(IdeModel& owner) : owner_(owner) {}
        std::uint64_t read(std::uint64_t offset, unsigned width) override {
            return owner_.read(offset, width);
        }
        void write(std::uint64_t offset, std::uint64_t value, unsigned width) override {
            owner_.write(offset, static_cast<std::uint16_t>(value), width);
        }

      private:
        IdeModel& owner_;
    };
    class ControlPort final : public RegisterModel {
      public:
        explicit ControlPort(IdeModel& owner) : owner_(owner) {}
        std::uint64_t read(std::uint64_t, unsigned) override { return owner_.status(); }
        void write(std::uint64_t, std::uint64_t value, unsigned) override {
            owner_.control(static_cast<std::uint8_t>(value));
        }

      private:
        IdeModel& owner_;
    };

    static constexpr std::uint8_t busy_bit = 0x80, ready_bit = 0x50, request_bit = 0x08, error_bit = 0x01;

    Drive* current() { return drives_[(select_ >> 4) & 1].get(); }

    std::uint8_t status() {
        if (floating) return 0xff;
        if (current() == nullptr) return 0;
        if (busy_ || resetting_) return busy_bit;
        return static_cast<std::uint8_t>(ready_bit | (buffer_.empty() ? 0 : request_bit) |
                                         (error_ ? error_bit : 0));
    }

    std::uint64_t read(std::uint64_t offset, unsigned width) {
        if (floating) return ~std::uint64_t{0};
        switch (offset) {
            case 0:
                EXPECT_EQ(2u, width);
                return read_data();
            case 1:
                return error_;
            case 2:
            case 3:
            case 4:
            case 5:
                return registers_[offset - 2] & 0xff;
            case 6:
                return select_;
            default:
                interrupt_pending_ = false;
                return status();
        }
    }

    void write(std::uint64_t offset, std::uint16_t value, unsigned width) {
        if (floating) return;
        if (offset == 0) {
            EXPECT_EQ(2u, width);
            return write_data(value);
        }
        EXPECT_EQ(1u, width);
        if (offset >= 2 && offset <= 5) {
            auto& pair = registers_[offset - 2];
            pair = static_cast<std::uint16_t>(pair << 8 | value);
        } else if (offset == 6) {
            select_ = static_cast<std::uint8_t>(value);
        } else if (offset == 7) {
            begin(static_cast<std::uint8_t>(value));
        }
    }

    void control(std::uint8_t value) {
        const bool was_off = (control_bits_ & 2) != 0;
        control_bits_ = value;
        if ((value & 4) != 0) {
            resetting_ = true;
        } else if (resetting_) {
            resetting_ = false;
            for (auto& drive : drives_)
                if (drive) drive->stuck = drive->stuck_for_good;
            busy_ = current() != nullptr && current()->stuck_for_good;
            buffer_.clear();
            error_ = 0;
            multiple_ = {0, 0};
        }
        if (was_off && (value & 2) == 0 && interrupt_pending_ && !forgets_masked_interrupts) interrupt();
    }

    void begin(std::uint8_t opcode) {
        opcodes.push_back(opcode);
        if (current() == nullptr) return;
        EXPECT_FALSE(busy_) << "a command while busy";
        EXPECT_TRUE(buffer_.empty()) << "a command amid data";
        opcode_ = opcode;
        error_ = 0;
        busy_ = true;
        left_ = 0;
        wide_ = opcode == 0x24 || opcode == 0x29 || opcode == 0x34 || opcode == 0x39;
        writing_ = opcode == 0x30 || opcode == 0xc5 || opcode == 0x34 || opcode == 0x39;
        const bool multiple = opcode == 0xc4 || opcode == 0xc5 || opcode == 0x29 || opcode == 0x39;
        const bool reading = opcode == 0x20 || opcode == 0xc4 || opcode == 0x24 || opcode == 0x29;
        if (!reading && !writing_) return;
        const auto low = [&](unsigned i) { return std::uint64_t{registers_[i]} & 0xff; };
        const auto high = [&](unsigned i) { return std::uint64_t{registers_[i]} >> 8; };
        sector_ = low(1) | low(2) << 8 | low(3) << 16;
        if (wide_) {
            sector_ |= high(1) << 24 | high(2) << 32 | high(3) << 40;
            left_ = static_cast<std::uint32_t>(low(0) | high(0) << 8);
            if (left_ == 0) left_ = 65536;
        } else {
            sector_ |= std::uint64_t{select_ & 15u} << 24;
            left_ = static_cast<std::uint32_t>(low(0));
            if (left_ == 0) left_ = 256;
        }
        EXPECT_NE(0, select_ & 0x40) << "not a logical block address";
        at_once_ = multiple ? multiple_[(select_ >> 4) & 1] : 1;
        if (multiple && at_once_ == 0) abort_ = true;
        first_write_ = writing_;
    }

    void get_ready() {
        Drive& drive = *current();
        const auto fail = [&](std::uint8_t bits) {
            error_ = bits;
            left_ = 0;
            raise();
        };
        if (std::exchange(abort_, false)) return fail(4);
        switch (opcode_) {
            case 0xec:
                if (drive.packet) {
                    registers_[2] = 0x14;
                    registers_[3] = 0xeb;
                    return fail(4);
                }
                fill_identity(drive);
                return raise();
            case 0xc6: {
                const auto wanted = static_cast<std::uint8_t>(registers_[0]);
                if (wanted > drive.max_multiple || (wanted & (wanted - 1)) != 0) return fail(4);
                multiple_[(select_ >> 4) & 1] = wanted;
                return raise();
            }
            case 0xe7:
            case 0xea:
                ++drive.flushes;
                return raise();
            default:
                break;
        }
        if (left_ == 0 && !done_writing_) return fail(4);
        if (drive.error != 0) return fail(std::exchange(drive.error, std::uint8_t{0}));
        if (sector_ < drive.first_sector || (sector_ - drive.first_sector + left_) * 512 > drive.disk.size())
            return fail(0x10);
        if (std::exchange(done_writing_, false)) {
            if (drive.endless) buffer_.resize(512);
            return raise();
        }
        const std::uint32_t count = std::min<std::uint32_t>(left_, at_once_);
        buffer_.resize(std::size_t{count} * 512);
        cursor_ = 0;
        if (!writing_)
            std::memcpy(buffer_.data(), &drive.disk[(sector_ - drive.first_sector) * 512], buffer_.size());
        if (!std::exchange(first_write_, false)) raise();
    }

    std::uint16_t read_data() {
        ++reads_of_data_port;
        if (buffer_.empty()) {
            ADD_FAILURE() << "data was read that is not there";
            return 0xffff;
        }
        std::uint16_t word;
        std::memcpy(&word, &buffer_[cursor_], 2);
        cursor_ += 2;
        if (cursor_ == buffer_.size()) advance();
        return word;
    }

    void write_data(std::uint16_t word) {
        if (buffer_.empty() || !writing_) {
            ADD_FAILURE() << "data was written that no one asked for";
            return;
        }
        std::memcpy(&buffer_[cursor_], &word, 2);
        cursor_ += 2;
        if (cursor_ < buffer_.size()) return;
        std::memcpy(&current()->disk[(sector_ - current()->first_sector) * 512], buffer_.data(),
                    buffer_.size());
        advance();
    }

    void advance() {
        const auto count = static_cast<std::uint32_t>(buffer_.size() / 512);
        buffer_.clear();
        if (opcode_ == 0xec) return;
        sector_ += count;
        left_ -= count;
        busy_ = left_ > 0 || writing_;
        done_writing_ = writing_ && left_ == 0;
    }

    void raise() {
        interrupt_pending_ = true;
        if ((control_bits_ & 2) == 0) interrupt();
    }
    void interrupt() {
        ++interrupts;
        machine_.raise_legacy(irq_);
    }

    void fill_identity(const Drive& drive) {
        std::array<std::uint16_t, 256> words{};
        const auto text = [&](std::size_t at, std::size_t count, std::string_view value) {
            for (std::size_t i = 0; i < count * 2; ++i) {
                const auto c = static_cast<std::uint16_t>(i < value.size() ? value[i] : ' ');
                words[at + i / 2] = static_cast<std::uint16_t>(words[at + i / 2] | (i % 2 == 0 ? c << 8 : c));
            }
        };
        text(10, 10, drive.serial);
        text(27, 20, drive.model);
        words[47] = static_cast<std::uint16_t>(0x8000 | drive.max_multiple);
        words[49] = 1u << 9;
        const std::uint64_t sectors =
            drive.claimed_sectors != 0 ? drive.claimed_sectors : drive.disk.size() / 512;
        const std::uint64_t narrow = std::min<std::uint64_t>(sectors, (1u << 28) - 1);
        words[60] = static_cast<std::uint16_t>(narrow);
        words[61] = static_cast<std::uint16_t>(narrow >> 16);
        words[83] = static_cast<std::uint16_t>(0x4000 | 3u << 12 | (drive.lba48 ? 1u << 10 : 0));
        for (unsigned i = 0; i < 4; ++i) words[100 + i] = static_cast<std::uint16_t>(sectors >> (16 * i));
        buffer_.resize(512);
        std::memcpy(buffer_.data(), words.data(), 512);
        cursor_ = 0;
    }

    FakeMachine& machine_;
    unsigned irq_;
    CommandPorts command_;
    ControlPort control_;
    std::array<std::unique_ptr<Drive>, 2> drives_;
    std::array<std::uint16_t, 4> registers_{};  ///< count, low, mid, high: each two deep
    std::array<std::uint8_t, 2> multiple_{};
    std::uint8_t select_ = 0;
    std::uint8_t control_bits_ = 0;
    std::uint8_t opcode_ = 0;
    std::uint8_t error_ = 0;
    bool busy_ = false;
    bool resetting_ = false;
    bool interrupt_pending_ = false;
    bool wide_ = false;
    bool writing_ = false;
    bool first_write_ = false;
    bool done_writing_ = false;
    bool abort_ = false;
    std::uint64_t sector_ = 0;
    std::uint32_t left_ = 0;
    std::uint32_t at_once_ = 1;
    std::vector<std::byte> buffer_;
    std::size_t cursor_ = 0;
};

}  // namespace exo::guest::test
