#include "vmm/cli/escape.h"

namespace exo::vmm {
namespace {
constexpr std::byte escape{0x01};  // Ctrl-A
}

EscapeFilter::Action EscapeFilter::filter(std::span<const std::byte> typed, std::vector<std::byte>& out) {
    for (const std::byte key : typed) {
        if (!escaped_) {
            escaped_ = key == escape;
            if (!escaped_) out.push_back(key);
            continue;
        }
        escaped_ = false;
        if (key == escape) out.push_back(escape);
        if (key == std::byte{'s'}) return Action::snapshot;
        if (key == std::byte{'x'}) return Action::quit;
        if (key == std::byte{'h'} || key == std::byte{'?'}) return Action::help;
    }
    return Action::none;
}

}  // namespace exo::vmm
