#pragma once

#include "guest/boot/firmware.h"

namespace exo::guest::uefi {

/// The disks that the firmware drives. Let go, they are as after a reset, and the firmware remembers nothing
/// of their content; taken again, it looks at them anew.
class FirmwareDisks {
  public:
    void let_go(const Firmware& firmware);
    void take_again(const Firmware& firmware) const;

  private:
    static constexpr size_t most = 64;
    Handle controllers_[most] = {};
    size_t count_ = 0;
};

}  // namespace exo::guest::uefi
