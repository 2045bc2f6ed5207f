#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "vmm/base/error.h"
#include "vmm/base/file_descriptor.h"
#include "vmm/base/flash_memory.h"

namespace exo::firmware {

/// A guest's own UEFI variables: the variable flash in memory, kept in a file.
///
/// The file is replaced as a whole (written beside it, synchronised, renamed), so it always holds a state
/// that the flash had, whenever vmm or the host dies; firmware recovers from each of them as from a power
/// failure. A change is in the file once nothing has been written for `quiet`, at most `longest_wait` after
/// it, and when the store is closed. The file is locked while the object lives.
class VariableStore final : public vmm::FlashMemory {
  public:
    static constexpr std::chrono::milliseconds quiet{50};
    static constexpr std::chrono::milliseconds longest_wait{500};

    /// Where there is no file yet, it is made with the variables of `factory`. A file of another size, or
    /// with something else in it, is refused.
    /// @param failed  called, from a thread of the store's, when the file cannot be written
    static vmm::Result<std::unique_ptr<VariableStore>> open(const std::filesystem::path& path,
                                                            std::span<const std::byte> factory,
                                                            std::function<void(const vmm::Error&)> failed);
    ~VariableStore() override;
    VariableStore(const VariableStore&) = delete;
    VariableStore& operator=(const VariableStore&) = delete;

    std::span<std::byte> bytes() override { return memory_; }
    void program(std::uint64_t offset, std::span<const std::byte> data) override;
    void erase(std::uint64_t offset, std::uint64_t size) override;

    /// Puts what has changed into the file now.
    void save();

  private:
    using Time = std::chrono::steady_clock::time_point;

    VariableStore(std::filesystem::path path, std::function<void(const vmm::Error&)> failed)
        : path_(std::move(path)), failed_(std::move(failed)) {}
    vmm::Result<void> fill(std::span<const std::byte> factory);
    void changed();
    void save_when_quiet(const std::stop_token& stop);
    vmm::Result<void> replace_file(std::span<const std::byte> content);

    const std::filesystem::path path_;
    const std::function<void(const vmm::Error&)> failed_;
    std::span<std::byte> memory_;
    std::mutex saving_;           ///< one writer of the file; taken before mutex_
    vmm::FileDescriptor locked_;  ///< the file as it is now

    std::mutex mutex_;  ///< covers the cells and the rest
    std::condition_variable_any wake_;
    bool unsaved_ = false;
    std::optional<Time> first_change_;  ///< since the last save, or the last that failed
    Time last_change_;
    std::jthread saver_;
};

}  // namespace exo::firmware
