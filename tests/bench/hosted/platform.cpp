#include "tests/bench/hosted/platform.h"

#include <cpuid.h>
#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace exo::bench {
namespace {

std::string processor_name() {
    std::array<unsigned, 12> words{};
    for (unsigned i = 0; i < 3; ++i)
        __get_cpuid(0x8000'0002 + i, &words[4 * i], &words[4 * i + 1], &words[4 * i + 2], &words[4 * i + 3]);
    std::array<char, sizeof(words) + 1> text{};
    std::memcpy(text.data(), words.data(), sizeof(words));
    const std::string name(text.data());
    const auto first = name.find_first_not_of(' ');
    return first == std::string::npos ? "unknown processor"
                                      : name.substr(first, name.find_last_not_of(' ') + 1 - first);
}

std::string family_and_model() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    __get_cpuid(1, &a, &b, &c, &d);
    const unsigned family = ((a >> 8) & 15) + (((a >> 8) & 15) == 15 ? (a >> 20) & 255 : 0);
    return fmt::format("family {} model {}{}", family, ((a >> 4) & 15) | ((a >> 12) & 0xf0),
                       (c >> 31) & 1 ? ", virtual machine" : "");
}

}  // namespace

std::string describe_processor() {
    return fmt::format("{} ({}), {} CPUs", processor_name(), family_and_model(),
                       std::thread::hardware_concurrency());
}

double load_average() {
    double load = 0;
    return getloadavg(&load, 1) == 1 ? load : 0;
}

}  // namespace exo::bench
