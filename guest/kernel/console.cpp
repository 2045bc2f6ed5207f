#include "guest/kernel/console.h"

namespace exo::guest {
namespace {

class NoConsole final : public Console {
  public:
    void write(std::string_view) override {}
    std::optional<char> read() override { return std::nullopt; }
    bool wait_for_input(std::uint64_t) override { return false; }
};

constinit NoConsole no_console;
constinit Console* current = nullptr;

}  // namespace

Console& console() {
    return current != nullptr ? *current : no_console;
}

void install_console(Console* installed) {
    current = installed;
}

}  // namespace exo::guest
