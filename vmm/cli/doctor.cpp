#include "vmm/cli/doctor.h"

#include <fmt/core.h>
#include <liburing.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include "firmware/flash_image.h"
#include "firmware/search.h"
#include "vmm/cli/host_processor.h"
#include "vmm/kvm/system.h"
#include "vmm/kvm/vm.h"
#include "vmm/machine/layout.h"

namespace exo::vmm {
namespace {

/// Gathers the findings; a missing thing that `vmm run` cannot do without makes the host unfit.
class Findings {
  public:
    void good(std::string_view subject, std::string_view text) { line("ok", subject, text); }
    void note(std::string_view subject, std::string_view text) { line("--", subject, text); }
    void bad(std::string_view subject, const Error& error) {
        healthy_ = false;
        line("NO", subject, fmt::format("{}: {}", error.what, error.why));
        if (!error.action.empty()) text_ += fmt::format("{:16}{}\n", "", error.action);
    }
    Diagnosis result() && {
        text_ += healthy_ ? "\nvmm run works on this host.\n"
                          : "\nvmm run does not work on this host; see the lines with NO.\n";
        return {std::move(text_), healthy_};
    }

  private:
    void line(std::string_view mark, std::string_view subject, std::string_view text) {
        text_ += fmt::format("{}  {:12}{}\n", mark, subject, text);
    }

    std::string text_;
    bool healthy_ = true;
};

void examine_processor(Findings& findings) {
    const auto model = fmt::format("{} × {}", ::sysconf(_SC_NPROCESSORS_ONLN), processor_name());
    if (processor_is_emulated())
        findings.note("processor", model + ", emulated by software: everything works, time means nothing");
    else if (host_has_hardware_virtualization())
        findings.good("processor", model + ", with hardware virtualization");
    else
        findings.note("processor", model + ", without hardware virtualization (VMX or SVM)");
}

void examine_kvm(Findings& findings) {
    const auto system = KvmSystem::open();
    if (!system) return findings.bad("kvm", system.error());
    findings.good("kvm", "/dev/kvm opens, API version 12");
    if (const auto required = system->check_required(); !required)
        findings.bad("extensions", required.error());
    else
        findings.good("extensions", "all that vmm needs are there");
    for (const KvmExtension& extension : system->extensions())
        if (!extension.required && extension.value == 0)
            findings.note("extensions", fmt::format("without {}: {}", extension.name, extension.purpose));
    if (const auto vm = Vm::create(*system); !vm)
        findings.bad("machine", vm.error());
    else
        findings.good("machine", fmt::format("a virtual machine can be made, with up to {} vCPUs",
                                             std::min(64u, system->max_vcpus())));
}

void examine_firmware(Findings& findings) {
    const auto folders = firmware::descriptor_folders();
    const firmware::Search search = firmware::search(folders);
    for (const firmware::PassedOver& one : search.passed_over)
        findings.note("firmware", fmt::format("passed over {}: {}", one.descriptor.string(), one.reason));
    const auto build = firmware::choose(folders);
    if (!build) return findings.bad("firmware", build.error());
    const auto image = firmware::FlashImage::load(*build);
    if (!image) return findings.bad("firmware", image.error());
    findings.good("firmware", fmt::format("{} ({} KiB)", build->code.string(), image->code().size() / 1024));
    if (!build->variables.empty())
        findings.good("firmware",
                      fmt::format("{} (variable store, never written)", build->variables.string()));
}

std::optional<std::string> io_uring_refusal() {
    io_uring ring;
    const int error = ::io_uring_queue_init(1, &ring, 0);
    if (error < 0) return std::strerror(-error);
    ::io_uring_queue_exit(&ring);
    return std::nullopt;
}

void examine_storage(Findings& findings) {
    if (const auto why_not = io_uring_refusal())
        findings.note("disks", fmt::format("io_uring is refused ({}); disks use threads instead", *why_not));
    else
        findings.good("disks", "io_uring is available");
}

void examine_memory(Findings& findings) {
    const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    const std::uint64_t total = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * page / layout::mib;
    const std::uint64_t available =
        static_cast<std::uint64_t>(::sysconf(_SC_AVPHYS_PAGES)) * page / layout::mib;
    findings.good("memory", fmt::format("{} MiB, {} MiB free", total, available));
}

}  // namespace

Diagnosis examine_host() {
    Findings findings;
    examine_processor(findings);
    examine_memory(findings);
    examine_kvm(findings);
    examine_firmware(findings);
    examine_storage(findings);
    return std::move(findings).result();
}

}  // namespace exo::vmm
