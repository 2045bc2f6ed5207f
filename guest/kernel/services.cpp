#include "guest/kernel/services.h"

namespace exo::guest {
namespace {
constinit DriverServices* current = nullptr;
}

DriverServices& services() {
    return *current;
}

void install_services(DriverServices& installed) {
    current = &installed;
}

}  // namespace exo::guest
