#pragma once

#include "vmm/base/state_archive.h"
#include "vmm/kvm/ioctl.h"

namespace exo::vmm {

/// One structure of KVM's between a machine and an archive; `name` is what an error calls it. Gives the
/// structure.
template <typename T>
T exchange(StateArchive& archive, int fd, unsigned long get, unsigned long set, const char* name,
           T value = {}) {
    if (!archive.loading())
        if (auto done = kvm_ioctl(fd, get, &value, name); !done) archive.refuse(done.error());
    archive(value);
    if (archive.loading() && !archive.failed())
        if (auto done = kvm_ioctl(fd, set, &value, name); !done) archive.refuse(done.error());
    return value;
}

}  // namespace exo::vmm
