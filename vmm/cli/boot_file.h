#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "vmm/base/error.h"
#include "vmm/base/file_descriptor.h"

namespace exo::vmm {

/// A kernel or an initial RAM disk. It stays open, so that its bytes need not stay in memory once the guest
/// has them: they are read again when the guest restarts, whatever the file's name has come to mean.
class BootFile {
  public:
    /// No file: no bytes, ever.
    BootFile() = default;

    /// Opens and reads it. It must leave most of the guest's `memory` (bytes) free.
    static Result<BootFile> open_kernel(const std::string& path, std::uint64_t memory);
    /// Likewise; its content is the kernel's to understand.
    static Result<BootFile> open_initrd(const std::string& path, std::uint64_t memory);

    /// What was read, until it is released.
    std::span<const std::byte> bytes() const { return bytes_; }
    void release() { std::vector<std::byte>().swap(bytes_); }
    /// Reads it again after release(). Fails when the file is shorter meanwhile.
    Result<void> load();

  private:
    static Result<BootFile> open(const std::string& path, std::string what, std::uint64_t memory,
                                 const char* hint);

    FileDescriptor file_;
    std::string what_;  ///< that fails, when it cannot be read
    std::size_t size_ = 0;
    std::vector<std::byte> bytes_;
};

}  // namespace exo::vmm
