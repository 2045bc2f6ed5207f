#include "guest/kernel/boot_environment.h"

namespace exo::guest {
namespace {
constinit BootEnvironment current;
}

const BootEnvironment& boot_environment() {
    return current;
}

void set_boot_environment(const BootEnvironment& environment) {
    current = environment;
}

}  // namespace exo::guest
