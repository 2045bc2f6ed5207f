#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

namespace exo::guest {

/// Where text goes: a console, a buffer, a counter.
class TextSink {
  public:
    virtual ~TextSink() = default;
    virtual void write(std::string_view text) = 0;
};

/// Text in a buffer of fixed size; what does not fit is dropped.
template <std::size_t Capacity>
class FixedText final : public TextSink {
  public:
    void write(std::string_view text) override {
        const std::size_t count = std::min(text.size(), Capacity - size_);
        std::copy_n(text.data(), count, buffer_.data() + size_);
        size_ += count;
    }
    std::string_view view() const { return {buffer_.data(), size_}; }
    void clear() { size_ = 0; }

  private:
    std::array<char, Capacity> buffer_;
    std::size_t size_ = 0;
};

/// Counts what would be written.
class TextCounter final : public TextSink {
  public:
    void write(std::string_view text) override { size_ += text.size(); }
    std::size_t size() const { return size_; }

  private:
    std::size_t size_ = 0;
};

}  // namespace exo::guest
