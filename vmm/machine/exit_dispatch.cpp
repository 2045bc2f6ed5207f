#include "vmm/machine/exit_dispatch.h"

#include <fmt/format.h>

#include <cstring>

namespace exo::vmm {
namespace {

using namespace vcpu_exit;

template <typename... Handlers>
struct Overloaded : Handlers... {
    using Handlers::operator()...;
};

std::string internal_error(const InternalError& error) {
    std::string text =
        fmt::format("KVM could not emulate what the guest did (internal error {})", error.kind);
    for (std::uint32_t i = 0; i < error.words; ++i)
        text += fmt::format("{}{:#x}", i == 0 ? ": " : " ", error.data[i]);
    return text;
}

}  // namespace

void serve(const VcpuExit& exit, IoBus& ports, IoBus& memory) {
    std::visit(
        Overloaded{[&](const PortRead& e) {
                       for (std::size_t at = 0; at + e.size <= e.data.size(); at += e.size)
                           ports.read(e.port, e.data.subspan(at, e.size));
                   },
                   [&](const PortWrite& e) {
                       for (std::size_t at = 0; at + e.size <= e.data.size(); at += e.size)
                           ports.write(e.port, e.data.subspan(at, e.size));
                   },
                   [&](const MmioRead& e) { memory.read(e.address.value, e.data); },
                   [&](const MmioWrite& e) { memory.write(e.address.value, e.data); }, [](const auto&) {}},
        exit);
}

std::optional<std::string> fatal_reason(const VcpuExit& exit) {
    using Reason = std::optional<std::string>;
    return std::visit(
        Overloaded{[](const Shutdown&) -> Reason {
                       return "the guest triple-faulted: it met an exception that it could not handle";
                   },
                   [](const EntryFailure& e) -> Reason {
                       return fmt::format("the processor refused to enter the guest (hardware reason {:#x})",
                                          e.reason);
                   },
                   [](const InternalError& e) -> Reason { return internal_error(e); },
                   [](const Unsupported& e) -> Reason {
                       return fmt::format(
                           "KVM left the guest for a reason that vmm does not serve (KVM_EXIT {})", e.reason);
                   },
                   [](const RunFailure& e) -> Reason {
                       return fmt::format("KVM_RUN failed: {}", std::strerror(e.error));
                   },
                   [](const auto&) -> Reason { return std::nullopt; }},
        exit);
}

}  // namespace exo::vmm
