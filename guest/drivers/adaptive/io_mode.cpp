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

}  // namespace exo::guest
