#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace exo::vmm {

/// Picks the console's escape out of what the user types: Ctrl-A and one more key.
class EscapeFilter {
  public:
    enum class Action : std::uint8_t { none, quit, help, snapshot };

    /// Appends to `out` what is meant for the guest, up to the first key that asks for an action; what was
    /// typed after that key is dropped.
    Action filter(std::span<const std::byte> typed, std::vector<std::byte>& out);

  private:
    bool escaped_ = false;
};

}  // namespace exo::vmm
