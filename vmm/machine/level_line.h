#pragma once

namespace exo::vmm {

/// An interrupt pin that a device holds up for as long as it has something to tell. Called from any thread
/// with the device locked, and only when the level changes: must not call back into the device.
class LevelLine {
  public:
    virtual ~LevelLine() = default;
    virtual void set(bool asserted) = 0;
};

}  // namespace exo::vmm
