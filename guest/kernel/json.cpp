#include "guest/kernel/json.h"

#include "guest/kernel/format.h"

namespace exo::guest {
namespace {

void write_string(TextSink& sink, std::string_view text) {
    sink.write("\"");
    for (const char c : text) {
        if (c == '"' || c == '\\')
            format(sink, "\\{}", c);
        else if (static_cast<unsigned char>(c) < ' ' || static_cast<unsigned char>(c) > '~')
            format(sink, "\\u{:04x}", static_cast<unsigned char>(c));
        else
            sink.write({&c, 1});
    }
    sink.write("\"");
}

}  // namespace

void JsonLine::key(std::string_view name) {
    if (!first_) sink_.write(",");
    first_ = false;
    write_string(sink_, name);
    sink_.write(":");
}

JsonLine& JsonLine::text(std::string_view name, std::string_view value) {
    key(name);
    write_string(sink_, value);
    return *this;
}

JsonLine& JsonLine::number(std::string_view name, std::uint64_t value) {
    key(name);
    format(sink_, "{}", value);
    return *this;
}

JsonLine& JsonLine::integer(std::string_view name, std::int64_t value) {
    key(name);
    format(sink_, "{}", value);
    return *this;
}

JsonLine& JsonLine::boolean(std::string_view name, bool value) {
    key(name);
    sink_.write(value ? "true" : "false");
    return *this;
}

}  // namespace exo::guest
