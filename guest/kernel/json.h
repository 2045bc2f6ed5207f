#pragma once

#include <cstdint>
#include <string_view>

#include "guest/kernel/text_sink.h"

namespace exo::guest {

/// Writes one JSON object on one line: `{"name":value,…}` and a line feed when it goes out of scope.
class JsonLine {
  public:
    explicit JsonLine(TextSink& sink) : sink_(sink) { sink_.write("{"); }
    ~JsonLine() { sink_.write("}\n"); }
    JsonLine(const JsonLine&) = delete;
    JsonLine& operator=(const JsonLine&) = delete;

    JsonLine& text(std::string_view name, std::string_view value);
    JsonLine& number(std::string_view name, std::uint64_t value);
    JsonLine& integer(std::string_view name, std::int64_t value);
    JsonLine& boolean(std::string_view name, bool value);

  private:
    void key(std::string_view name);
    TextSink& sink_;
    bool first_ = true;
};

}  // namespace exo::guest
