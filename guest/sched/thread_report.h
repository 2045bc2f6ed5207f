#pragma once

#include <cstdint>
#include <string_view>

#include "guest/kernel/format.h"
#include "guest/sched/scheduler.h"

namespace exo::guest {

std::string_view name_of(ThreadInfo::State state);
std::string_view name_of(ThreadClass thread_class);

/// The first line of a table of threads, and one of its rows. `share` is what a thread had of one CPU, in
/// thousandths; below zero it is left out.
void print_thread_header(TextSink& sink, bool with_share);
void print_thread(TextSink& sink, const ThreadInfo& thread, std::int64_t share = -1);

}  // namespace exo::guest
