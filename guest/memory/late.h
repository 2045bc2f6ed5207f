#pragma once

#include <cstddef>
#include <new>
#include <utility>

namespace exo::guest {

/// Room for an object that is made after start-up and never destroyed: what kernel-wide state is.
template <class T>
class Late {
  public:
    template <class... Args>
    T& emplace(Args&&... args) {
        object_ = new (storage_) T(std::forward<Args>(args)...);
        return *object_;
    }
    bool has_value() const { return object_ != nullptr; }
    T& operator*() const { return *object_; }
    T* operator->() const { return object_; }

  private:
    alignas(T) std::byte storage_[sizeof(T)] = {};
    T* object_ = nullptr;
};

}  // namespace exo::guest
