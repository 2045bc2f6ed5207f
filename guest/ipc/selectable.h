#pragma once

#include "guest/ipc/sleeper.h"

namespace exo::guest {

/// An end of a channel, as Select sees it.
template <class Platform>
class Selectable {
  public:
    /// Whether an operation that does not wait would now do something else than find the channel empty, or
    /// full.
    virtual bool is_ready() = 0;
    /// Puts a sleeper into the channel's list, unless it is ready: then false.
    virtual bool enlist(SleeperEntry<Platform>& entry) = 0;
    virtual void delist(SleeperEntry<Platform>& entry) = 0;

  protected:
    ~Selectable() = default;
};

}  // namespace exo::guest
