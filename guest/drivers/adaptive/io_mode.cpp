#include "guest/drivers/adaptive/io_mode.h"

namespace exo::guest {

std::string_view describe(IoMode mode) {
    switch (mode) {
        case IoMode::interrupt:
            return "interrupt";
        case IoMode::polling:
            return "polling";
        case IoMode::hybrid:
            return "hybrid";
        case IoMode::batch:
            return "batch";
    }
    return "unknown";
}

std::optional<IoMode> io_mode_named(std::string_view name) {
    for (unsigned number = 0; number < io_mode_count; ++number)
        if (const auto mode = static_cast<IoMode>(number); describe(mode) == name) return mode;
    return std::nullopt;
}

}  // namespace exo::guest
