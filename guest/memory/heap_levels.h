#pragma once

#include "guest/kernel/text_sink.h"

namespace exo::guest {

class JsonLine;

/// Prints the levels of the kernel's heap with their hit rates, and what is free in the buddy; the classic
/// heap has none and prints nothing.
void print_heap_levels(TextSink& sink);

/// The same as members of a JSON object.
void add_heap_levels(JsonLine& line);

}  // namespace exo::guest
