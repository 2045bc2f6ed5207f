#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "vmm/base/error.h"
#include "vmm/machine/fw_cfg.h"
#include "vmm/machine/io_observer.h"
#include "vmm/machine/platform.h"

namespace exo::vmm {

/// Writes what a guest does on the platform's two buses to a text file, so that a boot can be replayed
/// against the models without a CPU (tests/unit/machine/golden_trace_test.cpp). The PM timer is left out: how
/// often it is read depends on time alone. Text, one group of accesses a line:
///
///     exo-io-trace 1
///     key value                     what the machine is made of, up to the line "begin"
///     begin
///     pr 71 1 26 2*3                port read, port (hex), bytes, the values read (hex) one after the other
///     pw cf8 4 80000000             port write; mr and mw for memory
///     d 2 4 7f000 19:0 00000001     fw_cfg DMA that the next write to port 518 starts: control, length,
///     address,
///                                   item:offset (all hex), and what it delivered: the bytes up to 16, else
///                                   "#" and their digest; "-" for nothing, "failed" for an error
///
/// Values of equal accesses in a row share a line, equal values in a row a count.
class IoTrace {
  public:
    static constexpr const char* first_line = "exo-io-trace 1";
    static constexpr std::size_t shown_bytes = 16;

    /// @param disk_vectors  MSI-X vectors of each fusion-blk device, from layout::first_device_slot on
    static Result<std::unique_ptr<IoTrace>> create(const std::string& path, const PlatformConfig& config,
                                                   std::span<const unsigned> disk_vectors);

    /// Starts recording; before the guest runs. The trace must outlive the platform's last access.
    void attach(Platform& platform);

    /// Writes out what is left, after the guest's last access; tells whether all reached the file.
    Result<void> finish();

    /// Of DMA data as the trace shows it.
    static std::string show(const FwCfg::Dma& operation);

  private:
    class Space final : public IoObserver {
      public:
        Space(IoTrace& trace, char name) : trace_(trace), name_(name) {}
        void accessed(IoDirection direction, std::uint64_t address,
                      std::span<const std::byte> data) override {
            trace_.record(name_, direction, address, data);
        }

      private:
        IoTrace& trace_;
        char name_;
    };
    struct CloseFile {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };

    IoTrace(std::string path, std::FILE* file) : path_(std::move(path)), file_(file) {}
    void write_header(const PlatformConfig& config, std::span<const unsigned> disk_vectors);
    void record(char space, IoDirection direction, std::uint64_t address, std::span<const std::byte> data);
    void record_dma(const FwCfg::Dma& operation);
    void gather(const std::string& access, const std::string& value);
    void put_value();

    const std::string path_;
    std::mutex mutex_;
    std::unique_ptr<std::FILE, CloseFile> file_;
    Space ports_{*this, 'p'};
    Space memory_{*this, 'm'};
    std::string access_;  ///< of the line that is being gathered
    std::string value_;
    std::uint64_t repeats_ = 0;  ///< of value_, not written yet
};

}  // namespace exo::vmm
