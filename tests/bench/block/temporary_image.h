#pragma once

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstddef>
#include <string>

namespace exo::bench {

/// An image in the temporary folder that goes with the object.
class TemporaryImage {
  public:
    explicit TemporaryImage(std::size_t bytes) {
        const int fd = ::mkstemp(path_.data());
        good_ = fd >= 0 && ::posix_fallocate(fd, 0, static_cast<off_t>(bytes)) == 0;
        if (fd >= 0) ::close(fd);
    }
    ~TemporaryImage() { ::unlink(path_.c_str()); }
    TemporaryImage(const TemporaryImage&) = delete;
    TemporaryImage& operator=(const TemporaryImage&) = delete;
    bool good() const { return good_; }
    const std::string& path() const { return path_; }

  private:
    std::string path_ = "/tmp/exo-bench-XXXXXX";
    bool good_ = false;
};

}  // namespace exo::bench
