#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace exo::vmm::test {

/// A file of a test's own; it goes with the object.
class TemporaryFile {
  public:
    explicit TemporaryFile(std::uint64_t size = 0) : path_(testing::TempDir() + "exo-storage-XXXXXX") {
        const int fd = ::mkstemp(path_.data());
        if (fd < 0 || ::ftruncate(fd, static_cast<off_t>(size)) != 0)
            ADD_FAILURE() << "cannot make " << path_;
        ::close(fd);
    }
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;
    ~TemporaryFile() { ::unlink(path_.c_str()); }

    const std::string& path() const { return path_; }
    void resize(std::uint64_t size) const { std::filesystem::resize_file(path_, size); }

    /// What another process would find in it.
    std::vector<std::byte> content() const {
        std::vector<std::byte> bytes(std::filesystem::file_size(path_));
        const int fd = ::open(path_.c_str(), O_RDONLY);
        EXPECT_EQ(::read(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
        ::close(fd);
        return bytes;
    }

  private:
    std::string path_;
};

}  // namespace exo::vmm::test
