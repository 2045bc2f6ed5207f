#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "tests/unit/guest_drivers/fake_machine.h"
#include "tests/unit/guest_drivers/fake_pci_config.h"

namespace exo::guest::test {

/// A virtio block device written from the standard for these tests, with its PCI function, and with the
/// faults that a broken or hostile device could show. It works when the machine idles, a request at a time.
class VirtioBlkModel final : public RegisterModel {
  public:
    enum class Fault {
        none,
        unknown_used_id,  ///< hands back a descriptor number beyond the queue
        free_used_id,     ///< hands back a chain that it was not given
        used_twice,       ///< hands back the same chain again
        index_jump,       ///< moves the used index by more than it was given
        short_read,       ///< says ok, but to have written less than asked for
        bad_status,       ///< writes a status that does not exist
        no_status,        ///< does not write the status
        io_error,
        unsupported,
        silent,              ///< never answers
        never_out_of_reset,  ///< and cannot be reset either
        needs_reset,
    };

    static constexpr std::uint64_t bar_address = 0x38'0000'0000;
    static constexpr std::uint64_t bar_size = 0x4000;
    static constexpr std::uint32_t common_at = 0x0000;
    static constexpr std::uint32_t msix_at = 0x1000;
    static constexpr std::uint32_t config_at = 0x2000;
    static constexpr std::uint32_t notify_at = 0x3000;
    static constexpr std::uint32_t notify_multiplier = 4;
    static constexpr std::uint16_t notify_index = 3;

    VirtioBlkModel(FakeMachine& machine, FakePciConfig& pci, std::size_t sectors)
        : machine_(machine), space_(pci.add(address, 0x1af4, 0x1042)), disk(sectors * 512) {
        for (std::size_t i = 0; i < disk.size(); ++i) disk[i] = static_cast<std::byte>(i * 31 + i / 512);
        machine.place_memory(bar_address, bar_size, *this);
        machine.on_idle = [this] { return step(); };
        space_.set_bar(4, bar_address, bar_size, true);
        space_.set16(pci_reg::status, 0x10);
        space_.set8(pci_reg::capabilities, 0x40);
        add_capability(0x40, 0x50, 1, common_at, 0x38);
        add_capability(0x50, 0x70, 2, notify_at, 0x100);
        space_.set8(0x52, 20);
        space_.set32(0x60, notify_multiplier);
        add_capability(0x70, 0x80, 4, config_at, 0x40);
        space_.set16(0x80, 0x0011);
        space_.set16(0x82, 1);  // two vectors
        space_.set32(0x84, msix_at | 4);
    }

    static constexpr PciAddress address{0, 4, 0};

    FakePciConfig::Space& space() { return space_; }

  private:
    FakeMachine& machine_;
    FakePciConfig::Space& space_;

  public:
    std::vector<std::byte> disk;
    std::uint64_t offered =
        (1u << 2) | (1u << 6) | (1u << 9) | (1u << 10) | (1u << 29) | (std::uint64_t{1} << 32);
    std::uint32_t block_size = 512;
    std::uint32_t seg_max = 8;
    std::uint32_t size_max = 0;
    std::uint8_t physical_exponent = 3;
    std::uint16_t queue_max = 16;
    std::uint64_t capacity = 0;  ///< reported in place of the true one when not 0
    bool refuse_features = false;
    bool out_of_order = false;
    Fault fault = Fault::none;
    int faults_left = 1000;
    std::string id = "serial-0815";

    int notifications = 0;
    int interrupts = 0;
    int resets = 0;
    int flushes = 0;
    unsigned most_pending = 0;  ///< requests that waited at once
    std::uint64_t accepted = 0;

    bool step() {
        if (status_ == 0 || (status_ & 4) == 0 || !enabled_ || fault == Fault::silent ||
            fault == Fault::never_out_of_reset)
            return false;
        most_pending = std::max(most_pending, pending());
        if (pending() == 0) return false;
        EXPECT_TRUE(space_.get16(pci_reg::command) & pci_command::bus_master)
            << "a device must not reach memory";
        std::uint16_t position = seen_avail_;
        if (out_of_order && pending() > 1) {
            // Takes the second of those that wait, and leaves the first for the next time.
            const std::uint16_t first = avail_entry(seen_avail_);
            const std::uint16_t second = avail_entry(static_cast<std::uint16_t>(seen_avail_ + 1));
            put16(avail_ + 4 + 2u * ((seen_avail_ + 1u) % size_), first);
            put16(avail_ + 4 + 2u * (seen_avail_ % size_), second);
        }
        ++seen_avail_;
        serve(avail_entry(position));
        return true;
    }

    std::uint64_t read(std::uint64_t offset, unsigned width) override {
        if (offset < common_at + 0x38) return read_common(offset, width);
        if (offset >= msix_at && offset < msix_at + 32) return msix_.at((offset - msix_at) / 4);
        if (offset >= config_at && offset < config_at + 0x40) return read_config(offset - config_at, width);
        return ~std::uint64_t{0};
    }

    void write(std::uint64_t offset, std::uint64_t value, unsigned width) override {
        if (offset < common_at + 0x38) return write_common(offset, value, width);
        if (offset >= msix_at && offset < msix_at + 32) {
            msix_.at((offset - msix_at) / 4) = static_cast<std::uint32_t>(value);
        } else if (offset == notify_at + notify_index * notify_multiplier) {
            EXPECT_EQ(2u, width);
            EXPECT_EQ(0u, value);
            EXPECT_TRUE((status_ & 4) != 0) << "a doorbell before DRIVER_OK";
            ++notifications;
        } else {
            ADD_FAILURE() << "a write to nowhere: " << offset;
        }
    }

  private:
    void add_capability(std::uint8_t at, std::uint8_t next, std::uint8_t kind, std::uint32_t offset,
                        std::uint32_t size) {
        space_.set8(at, 0x09);
        space_.set8(at + 1u, next);
        space_.set8(at + 2u, 16);
        space_.set8(at + 3u, kind);
        space_.set8(at + 4u, 4);
        space_.set32(at + 8u, offset);
        space_.set32(at + 12u, size);
    }

    std::uint64_t read_common(std::uint64_t offset, unsigned width) const {
        switch (offset) {
            case 0x04:
                return feature_select_ < 2 ? (offered >> (32 * feature_select_)) & 0xffff'ffff : 0;
            case 0x12:
                return 1;
            case 0x14:
                return fault == Fault::never_out_of_reset && resets > 0 ? 0x80u | status_ : status_;
            case 0x15:
                return 7;
            case 0x18:
                return queue_select_ != 0 ? 0 : size_ != 0 ? size_ : queue_max;
            case 0x1a:
                return vector_;
            case 0x1c:
                return enabled_;
            case 0x1e:
                return notify_index;
            default:
                ADD_FAILURE() << "an unexpected read of " << offset << " width " << width;
                return 0;
        }
    }

    void write_common(std::uint64_t offset, std::uint64_t value, unsigned width) {
        const auto word = static_cast<std::uint32_t>(value);
        switch (offset) {
            case 0x00:
                feature_select_ = word;
                return;
            case 0x08:
                driver_select_ = word;
                return;
            case 0x0c:
                EXPECT_EQ(0, status_ & 8) << "features after FEATURES_OK";
                accepted = driver_select_ == 0 ? word : accepted | value << 32;
                return;
            case 0x10:
                EXPECT_EQ(0xffffu, word);
                return;
            case 0x14:
                return write_status(static_cast<std::uint8_t>(word));
            case 0x16:
                queue_select_ = static_cast<std::uint16_t>(word);
                return;
            case 0x18:
                size_ = static_cast<std::uint16_t>(word);
                return;
            case 0x1a:
                vector_ = static_cast<std::uint16_t>(word);
                return;
            case 0x1c:
                EXPECT_EQ(1u, word);
                EXPECT_NE(0, status_ & 8) << "a queue before FEATURES_OK";
                enabled_ = 1;
                return;
            default:
                break;
        }
        if (offset >= 0x20 && offset < 0x38) {
            EXPECT_EQ(4u, width);
            std::uint64_t& area = offset < 0x28 ? descriptors_ : offset < 0x30 ? avail_ : used_;
            const unsigned shift = offset % 8 == 0 ? 0 : 32;
            area = (area & ~(std::uint64_t{0xffff'ffff} << shift)) | (value << shift);
        } else {
            ADD_FAILURE() << "an unexpected write of " << offset;
        }
    }

    void write_status(std::uint8_t value) {
        if (value == 0) {
            ++resets;
            status_ = 0;
            enabled_ = size_ = seen_avail_ = next_used_ = 0;
            accepted = 0;
            return;
        }
        EXPECT_EQ(status_, value & status_) << "the driver took a status bit back";
        if ((value & 8) != 0 && (status_ & 8) == 0) {
            EXPECT_EQ(0u, accepted & ~offered);
            if (refuse_features) value &= static_cast<std::uint8_t>(~8u);
        }
        status_ = value;
    }

    std::uint64_t read_config(std::uint64_t offset, unsigned width) const {
        std::array<std::uint8_t, 0x40> bytes{};
        const std::uint64_t sectors = capacity != 0 ? capacity : disk.size() / 512;
        std::memcpy(&bytes[0], &sectors, 8);
        std::memcpy(&bytes[8], &size_max, 4);
        std::memcpy(&bytes[12], &seg_max, 4);
        std::memcpy(&bytes[20], &block_size, 4);
        bytes[24] = physical_exponent;
        std::uint64_t value = 0;
        std::memcpy(&value, &bytes.at(offset), width);
        return value;
    }

    // Guest memory.
    template <typename T>
    T get(std::uint64_t physical) {
        T value{};
        if (const std::byte* from = machine_.host(physical, sizeof(T))) std::memcpy(&value, from, sizeof(T));
        return value;
    }
    template <typename T>
    void put(std::uint64_t physical, T value) {
        if (std::byte* to = machine_.host(physical, sizeof(T))) std::memcpy(to, &value, sizeof(T));
    }
    void put16(std::uint64_t physical, std::uint16_t value) { put(physical, value); }
    std::uint16_t avail_entry(std::uint16_t i) { return get<std::uint16_t>(avail_ + 4 + 2u * (i % size_)); }
    unsigned pending() { return static_cast<std::uint16_t>(get<std::uint16_t>(avail_ + 2) - seen_avail_); }

    struct Piece {
        std::uint64_t address;
        std::uint32_t length;
        bool writable;
    };

    std::vector<Piece> chain(std::uint16_t head) {
        std::vector<Piece> pieces;
        std::uint16_t at = head;
        for (;;) {
            const std::uint64_t descriptor = descriptors_ + 16u * at;
            const auto flags = get<std::uint16_t>(descriptor + 12);
            pieces.push_back(
                {get<std::uint64_t>(descriptor), get<std::uint32_t>(descriptor + 8), (flags & 2) != 0});
            EXPECT_LE(pieces.size(), size_) << "a circular chain";
            if ((flags & 1) == 0 || pieces.size() > size_) return pieces;
            at = get<std::uint16_t>(descriptor + 14);
        }
    }

    void serve(std::uint16_t head) {
        const std::vector<Piece> pieces = chain(head);
        ASSERT_GE(pieces.size(), 2u);
        ASSERT_EQ(16u, pieces.front().length);
        ASSERT_FALSE(pieces.front().writable);
        ASSERT_EQ(1u, pieces.back().length);
        ASSERT_TRUE(pieces.back().writable);
        const auto type = get<std::uint32_t>(pieces.front().address);
        const auto sector = get<std::uint64_t>(pieces.front().address + 8);
        const std::span<const Piece> data(pieces.data() + 1, pieces.size() - 2);

        Fault now = fault;
        if (now != Fault::none && faults_left-- <= 0) now = Fault::none;
        std::uint8_t status = now == Fault::io_error ? 1 : now == Fault::unsupported ? 2 : 0;
        std::uint32_t written = 1;
        if (status == 0) status = transfer(type, sector, data, written);
        if (now == Fault::bad_status) status = 77;
        if (now != Fault::no_status) put(pieces.back().address, status);
        if (now == Fault::short_read) written = 512;

        if (now == Fault::unknown_used_id) {
            use(0x10000u + head, written);
        } else if (now == Fault::free_used_id) {
            use((head + 8u) % size_, written);
        } else {
            use(head, written);
        }
        if (now == Fault::used_twice) use(head, written);
        if (now == Fault::index_jump) {
            next_used_ = static_cast<std::uint16_t>(next_used_ + 40);
            put16(used_ + 2, next_used_);
        }
    }

    std::uint8_t transfer(std::uint32_t type, std::uint64_t sector, std::span<const Piece> data,
                          std::uint32_t& written) {
        if (type == 4) {
            ++flushes;
            return data.empty() ? 0 : 2;
        }
        if (type == 8) {
            char padded[20] = {};
            std::memcpy(padded, id.data(), std::min<std::size_t>(id.size(), 20));
            std::memcpy(machine_.host(data[0].address, 20), padded, 20);
            written += 20;
            return 0;
        }
        if (type > 1) return 2;
        std::uint64_t at = sector * 512;
        for (const Piece& piece : data) {
            EXPECT_EQ(type == 0, piece.writable);
            if (size_max != 0) EXPECT_LE(piece.length, size_max);
            if (at + piece.length > disk.size()) return 1;
            std::byte* memory = machine_.host(piece.address, piece.length);
            if (memory == nullptr) return 1;
            if (type == 0) {
                std::memcpy(memory, &disk[at], piece.length);
                written += piece.length;
            } else {
                std::memcpy(&disk[at], memory, piece.length);
            }
            at += piece.length;
        }
        return 0;
    }

    void use(std::uint32_t id_used, std::uint32_t written) {
        const std::uint16_t before = next_used_++;
        put(used_ + 4 + 8u * (before % size_), id_used);
        put(used_ + 8 + 8u * (before % size_), written);
        put16(used_ + 2, next_used_);
        const bool event_index = (accepted & (1u << 29)) != 0;
        bool wanted = (get<std::uint16_t>(avail_) & 1) == 0;
        if (event_index) {
            put16(used_ + 4 + 8u * size_, seen_avail_);  // avail_event: tell me of the next one
            wanted = get<std::uint16_t>(avail_ + 4 + 2u * size_) == before;
        }
        if (!wanted || vector_ == 0xffff) return;
        EXPECT_NE(0, space_.get16(0x82) & 0x8000) << "MSI-X is not enabled";
        if ((msix_.at(vector_ * 4u + 3) & 1) != 0) return;
        ++interrupts;
        machine_.deliver_msi(msix_[vector_ * 4u] | std::uint64_t{msix_[vector_ * 4u + 1]} << 32,
                             msix_[vector_ * 4u + 2]);
    }

    std::uint32_t feature_select_ = 0;
    std::uint32_t driver_select_ = 0;
    std::uint8_t status_ = 0;
    std::uint16_t queue_select_ = 0;
    std::uint16_t size_ = 0;
    std::uint16_t vector_ = 0xffff;
    std::uint16_t enabled_ = 0;
    std::uint64_t descriptors_ = 0;
    std::uint64_t avail_ = 0;
    std::uint64_t used_ = 0;
    std::uint16_t seen_avail_ = 0;
    std::uint16_t next_used_ = 0;
    std::array<std::uint32_t, 8> msix_{};
};

}  // namespace exo::guest::test
