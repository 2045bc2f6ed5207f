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

namespace exo::vmm {

class Platform;

/// Writes what a guest does on the platform's buses to a text file, so that a boot can be replayed against
/// the models without a CPU. README.md in tests/unit/machine/data describes the format.
class IoTrace {
  public:
    /// @param header  lines "key value" that describe the machine, each ended by a newline
    static Result<std::unique_ptr<IoTrace>> create(const std::string& path, const std::string& header);
    ~IoTrace();

    /// Starts recording; before the guest runs. The trace must outlive the platform's last access.
    void attach(Platform& platform);

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

    explicit IoTrace(std::FILE* file) : file_(file) {}
    void record(char space, IoDirection direction, std::uint64_t address, std::span<const std::byte> data);
    void record_dma(const FwCfg::Dma& operation);
    void put_line();

    std::mutex mutex_;
    std::unique_ptr<std::FILE, CloseFile> file_;
    Space ports_{*this, 'p'};
    Space memory_{*this, 'm'};
    std::string line_;  ///< direction, address and size of the accesses being gathered
    std::string last_value_;
    std::uint64_t repeats_ = 0;
};

}  // namespace exo::vmm
