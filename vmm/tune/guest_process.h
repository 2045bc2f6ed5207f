#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "vmm/base/error.h"
#include "vmm/base/file_descriptor.h"

namespace exo::vmm::tune {

/// A program that runs a guest, this one by its own file, as a child: what it writes to standard output comes
/// line by line, its standard error is ours, it has no input. It does not outlive its owner or this process.
class GuestProcess {
  public:
    /// @param words  of its command line, without the program's name
    static Result<GuestProcess> start(const std::vector<std::string>& words,
                                      const std::string& program = "/proc/self/exe");
    GuestProcess(GuestProcess&& other) noexcept
        : child_(std::exchange(other.child_, -1)),
          output_(std::move(other.output_)),
          text_(std::move(other.text_)) {}
    GuestProcess& operator=(GuestProcess&&) = delete;
    ~GuestProcess();

    /// The next line, without its end; nothing when there are no more.
    /// Fails when none comes within `patience`.
    Result<std::optional<std::string>> next_line(std::chrono::milliseconds patience);
    /// CPU time that all its threads have had. Before wait().
    std::chrono::nanoseconds cpu_time() const;
    /// Its exit status, or 128 + the signal that ended it.
    int wait();

  private:
    GuestProcess(pid_t child, FileDescriptor output) : child_(child), output_(std::move(output)) {}

    pid_t child_;
    FileDescriptor output_;
    std::string text_;  ///< read, and not yet given
};

}  // namespace exo::vmm::tune
