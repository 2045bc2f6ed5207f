#include <fmt/core.h>

#include <cstdio>

#include "shared/platform/exit_status.h"
#include "vmm/base/clock.h"
#include "vmm/cli/doctor.h"
#include "vmm/cli/options.h"
#include "vmm/cli/run.h"
#include "vmm/cli/tune.h"

namespace exo::vmm {
namespace {

template <typename... Handlers>
struct Overloaded : Handlers... {
    using Handlers::operator()...;
};

int report(const Error& error) {
    std::fflush(stdout);
    fmt::print(stderr, "vmm: {}\n", error.message());
    return platform::status_vmm_failed;
}

int carry_out(const Command& command, std::chrono::nanoseconds process_start) {
    return std::visit(Overloaded{[=](const RunOptions& options) {
                                     const auto status = run(options, process_start);
                                     return status ? *status : report(status.error());
                                 },
                                 [](const TuneOptions& options) {
                                     const auto text = tune_here(options);
                                     if (!text) return report(text.error());
                                     fmt::print("{}", *text);
                                     return 0;
                                 },
                                 [](const DoctorOptions&) {
                                     const Diagnosis diagnosis = examine_host();
                                     fmt::print("{}", diagnosis.text);
                                     return diagnosis.healthy ? 0 : int{platform::status_vmm_failed};
                                 },
                                 [](const Information& information) {
                                     fmt::print("{}", information.text);
                                     return 0;
                                 }},
                      command);
}

}  // namespace
}  // namespace exo::vmm

int main(int count, char** arguments) {
    using namespace exo::vmm;
    const auto process_start = SystemClock().now();
    const auto command =
        parse_arguments({arguments + 1, static_cast<std::size_t>(count > 0 ? count - 1 : 0)});
    if (!command) return report(command.error());
    try {
        return carry_out(*command, process_start);
    } catch (const std::exception& error) {
        return report({"vmm could not go on", error.what(), ""});
    }
}
