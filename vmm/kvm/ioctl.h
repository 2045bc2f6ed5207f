#pragma once

#include <sys/ioctl.h>

#include <cerrno>

#include "vmm/base/error.h"

namespace exo::vmm {

/// One ioctl of the KVM API; `name` is what an error message calls it. Gives its non-negative answer.
template <typename Argument>
Result<int> kvm_ioctl(int fd, unsigned long request, Argument argument, const char* name) {
    const int answer = ::ioctl(fd, request, argument);
    if (answer < 0) return fail_errno(fmt::format("KVM refused {}", name), errno);
    return answer;
}

}  // namespace exo::vmm
