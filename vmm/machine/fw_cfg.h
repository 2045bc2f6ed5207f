#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "vmm/base/error.h"
#include "vmm/base/guest_memory.h"
#include "vmm/base/io_handler.h"
#include "vmm/base/state_archive.h"

namespace exo::vmm {

/// QEMU's firmware configuration device (QEMU docs/specs/fw_cfg): items by number, files by name, read by the
/// byte or by DMA. Items never change while the guest runs, and the guest cannot write them.
class FwCfg {
  public:
    enum Item : std::uint16_t {
        signature = 0x00,
        features = 0x01,
        ram_size = 0x03,
        cpu_count = 0x05,
        kernel_size = 0x08,
        initrd_size = 0x0b,
        boot_menu = 0x0e,
        max_cpus = 0x0f,
        kernel_data = 0x11,
        initrd_data = 0x12,
        command_line_size = 0x14,
        command_line_data = 0x15,
        setup_size = 0x17,
        setup_data = 0x18,
        directory = 0x19,
        first_file = 0x20,
    };
    static constexpr std::size_t name_size = 56;  ///< NUL included
    static constexpr std::size_t max_files = 0x1000;

    /// One DMA operation, after it was done.
    struct Dma {
        std::uint64_t descriptor;  ///< guest-physical
        std::uint32_t control;     ///< as the guest gave it
        std::uint32_t length;
        std::uint64_t address;
        std::uint16_t selector;  ///< of the item that was current
        std::uint64_t offset;    ///< in the item, before the operation
        bool failed;
        std::span<const std::byte> data;  ///< what a read put into guest memory
    };

    explicit FwCfg(const GuestMemory& memory);

    /// Items and files are set before the guest runs. A view's bytes must outlive the device.
    void set_bytes(std::uint16_t item, std::vector<std::byte> bytes);
    void set_view(std::uint16_t item, std::span<const std::byte> bytes);
    void set_u16(std::uint16_t item, std::uint16_t value);
    void set_u32(std::uint16_t item, std::uint32_t value);
    void set_u64(std::uint16_t item, std::uint64_t value);
    /// Fails when the name is too long or taken, or the file too large.
    Result<void> add_file(const std::string& name, std::vector<std::byte> bytes);
    Result<void> add_file_view(const std::string& name, std::span<const std::byte> bytes);

    /// A kernel (or any PE file) for the firmware to start; size below 4 GiB. `command_line` without NUL.
    void set_kernel(std::span<const std::byte> image, const std::string& command_line);
    void set_initrd(std::span<const std::byte> image);

    /// The two ports 0x510 and 0x511, and the 8 ports from 0x514.
    IoHandler& ports() { return ports_; }
    IoHandler& dma_ports() { return dma_ports_; }

    /// Saves or loads how far the guest has read. The items are not part of it: they are this run's. While
    /// the guest does not run.
    void exchange_state(StateArchive& archive);

    /// Sees DMA operations, on the vCPU thread, with the device locked. Set before the guest runs.
    void set_dma_observer(std::function<void(const Dma&)> observer) { observer_ = std::move(observer); }

  private:
    struct Entry {
        std::vector<std::byte> owned;
        std::span<const std::byte> bytes;
    };
    struct File {
        std::string name;
        std::uint32_t size;
        std::uint16_t selector;
    };
    /// As it lies in guest memory, big-endian.
    struct DmaDescriptor;

    class Ports final : public IoHandler {
      public:
        explicit Ports(FwCfg& device) : device_(device) {}
        void read(std::uint64_t offset, std::span<std::byte> data) override;
        void write(std::uint64_t offset, std::span<const std::byte> data) override;

      private:
        FwCfg& device_;
    };
    class DmaPorts final : public IoHandler {
      public:
        explicit DmaPorts(FwCfg& device) : device_(device) {}
        void read(std::uint64_t offset, std::span<std::byte> data) override;
        void write(std::uint64_t offset, std::span<const std::byte> data) override;

      private:
        FwCfg& device_;
    };

    void select(std::uint16_t item);
    std::byte next_byte();
    void run_dma(GuestAddress descriptor);
    bool transfer(Dma& operation);
    bool read_to_guest(Dma& operation);
    std::span<const std::byte> rest(std::uint64_t limit) const;
    Result<std::uint16_t> name_file(const std::string& name, std::size_t size);
    void rebuild_directory();

    const GuestMemory& memory_;
    std::mutex mutex_;
    std::map<std::uint16_t, Entry> items_;
    std::vector<File> files_;
    std::uint16_t selected_ = 0;
    std::uint64_t offset_ = 0;
    std::uint32_t dma_address_high_ = 0;
    Ports ports_{*this};
    DmaPorts dma_ports_{*this};
    std::function<void(const Dma&)> observer_;
};

}  // namespace exo::vmm
