#include "vmm/kvm/vcpu.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include "vmm/kvm/ioctl.h"
#include "vmm/kvm/kvm_api.h"

namespace exo::vmm {
namespace {

constexpr std::uint32_t msr_misc_enable = 0x1a0;
constexpr std::uint64_t misc_enable_fast_strings = 1;

VcpuExit decode_port(kvm_run& area) {
    auto* data = reinterpret_cast<std::byte*>(&area) + area.io.data_offset;
    const std::size_t bytes = std::size_t{area.io.size} * area.io.count;
    if (area.io.direction == KVM_EXIT_IO_IN)
        return vcpu_exit::PortRead{area.io.port, area.io.size, {data, bytes}};
    return vcpu_exit::PortWrite{area.io.port, area.io.size, {data, bytes}};
}

VcpuExit decode_mmio(kvm_run& area) {
    auto* data = reinterpret_cast<std::byte*>(area.mmio.data);
    const std::size_t bytes = std::min<std::size_t>(area.mmio.len, sizeof(area.mmio.data));
    const GuestAddress address{area.mmio.phys_addr};
    if (area.mmio.is_write != 0) return vcpu_exit::MmioWrite{address, {data, bytes}};
    return vcpu_exit::MmioRead{address, {data, bytes}};
}

VcpuExit decode_internal_error(const kvm_run& area) {
    vcpu_exit::InternalError error{area.internal.suberror, 0, {}};
    error.words = std::min<std::uint32_t>(area.internal.ndata, error.data.size());
    std::copy_n(area.internal.data, error.words, error.data.begin());
    return error;
}

VcpuExit decode(kvm_run& area) {
    switch (area.exit_reason) {
        case KVM_EXIT_IO:
            return decode_port(area);
        case KVM_EXIT_MMIO:
            return decode_mmio(area);
        case KVM_EXIT_INTR:
            return vcpu_exit::Interrupted{};
        case KVM_EXIT_SHUTDOWN:
            return vcpu_exit::Shutdown{};
        case KVM_EXIT_FAIL_ENTRY:
            return vcpu_exit::EntryFailure{area.fail_entry.hardware_entry_failure_reason};
        case KVM_EXIT_INTERNAL_ERROR:
            return decode_internal_error(area);
        default:
            return vcpu_exit::Unsupported{area.exit_reason};
    }
}

constexpr std::uint32_t msr_mtrr_default_type = 0x2ff;
constexpr std::uint64_t mtrrs_on_write_back = 1 << 11 | 6;

constexpr std::uint64_t cr0_protection = 1;
constexpr std::uint64_t cr0_extension_type = 1 << 4;
constexpr std::uint64_t cr0_paging = 1ull << 31;
constexpr std::uint64_t cr4_physical_address_extension = 1 << 5;
constexpr std::uint64_t efer_long_mode = 1 << 8 | 1 << 10;  // enabled and active
constexpr std::uint64_t rflags_reserved = 2;

kvm_segment flat(std::uint16_t selector, std::uint8_t type, bool long_mode) {
    kvm_segment s{};
    s.selector = selector;
    s.limit = 0xffff'ffff;
    s.type = type;
    s.present = 1;
    s.s = 1;
    s.g = 1;
    s.l = long_mode ? 1 : 0;
    s.db = long_mode ? 0 : 1;
    return s;
}

void put_segments(kvm_sregs& s, const CpuStart& start) {
    constexpr std::uint16_t code_selector = 0x10;
    constexpr std::uint16_t data_selector = 0x18;
    constexpr std::uint16_t task_selector = 0x20;
    constexpr std::uint8_t code = 0xb;  // readable, accessed
    constexpr std::uint8_t data = 0x3;  // writable, accessed
    constexpr std::uint8_t busy_task = 0xb;
    s.cs = flat(code_selector, code, start.mode == CpuStart::Mode::long_64);
    s.ds = s.es = s.fs = s.gs = s.ss = flat(data_selector, data, false);
    s.tr = {};
    s.tr.selector = task_selector;
    s.tr.limit = 0x67;
    s.tr.type = busy_task;
    s.tr.present = 1;
    s.gdt.base = start.descriptors.value;
    s.gdt.limit = static_cast<std::uint16_t>(std::max<unsigned>(start.descriptors_size, 1) - 1);
    s.idt.base = 0;
    s.idt.limit = 0;
}

std::string segment(const char* name, const kvm_segment& s) {
    return fmt::format("{} {:04x} base {:016x} limit {:08x}", name, s.selector, s.base, s.limit);
}

// Only where paging is off, or maps the address to itself (as firmware does), are these the bytes that ran.
std::string code_bytes(const GuestMemory& memory, std::uint64_t address) {
    std::string text;
    for (std::uint64_t i = 0; i < 16; ++i) {
        const auto byte = memory.read<std::uint8_t>({address + i});
        if (!byte) break;
        text += fmt::format(" {:02x}", *byte);
    }
    return text.empty() ? " not in RAM" : text;
}

}  // namespace

Result<Vcpu> Vcpu::create(const KvmSystem& system, const Vm& vm, std::uint32_t id) {
    const auto size = system.vcpu_area_size();
    if (!size) return std::unexpected(size.error());
    auto vcpu = vm.create_vcpu(id);
    if (!vcpu) return std::unexpected(vcpu.error());
    void* area = ::mmap(nullptr, *size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->get(), 0);
    if (area == MAP_FAILED) return fail_errno("cannot map the area of a vCPU", errno);
    return Vcpu(std::move(*vcpu), static_cast<kvm_run*>(area), *size);
}

Vcpu::Vcpu(Vcpu&& other) noexcept
    : vcpu_(std::move(other.vcpu_)),
      area_(std::exchange(other.area_, nullptr)),
      area_size_(other.area_size_) {}

Vcpu::~Vcpu() {
    if (area_ != nullptr) ::munmap(area_, area_size_);
}

Result<void> Vcpu::set_cpuid(const CpuidTable& table) {
    std::vector<std::byte> buffer(sizeof(kvm_cpuid2) + table.size() * sizeof(kvm_cpuid_entry2));
    auto* header = reinterpret_cast<kvm_cpuid2*>(buffer.data());
    header->nent = static_cast<std::uint32_t>(table.size());
    for (std::size_t i = 0; i < table.size(); ++i) {
        const CpuidEntry& entry = table[i];
        kvm_cpuid_entry2& raw = header->entries[i];
        raw.function = entry.function;
        raw.index = entry.index;
        raw.flags = entry.indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0u;
        raw.eax = entry.eax;
        raw.ebx = entry.ebx;
        raw.ecx = entry.ecx;
        raw.edx = entry.edx;
    }
    if (auto done = kvm_ioctl(vcpu_.get(), KVM_SET_CPUID2, header, "KVM_SET_CPUID2"); !done)
        return std::unexpected(done.error());
    return {};
}

Result<void> Vcpu::set_msr(std::uint32_t index, std::uint64_t value) {
    alignas(kvm_msrs) std::byte buffer[sizeof(kvm_msrs) + sizeof(kvm_msr_entry)]{};
    auto* msrs = reinterpret_cast<kvm_msrs*>(buffer);
    msrs->nmsrs = 1;
    msrs->entries[0].index = index;
    msrs->entries[0].data = value;
    if (auto done = kvm_ioctl(vcpu_.get(), KVM_SET_MSRS, msrs, "KVM_SET_MSRS"); !done)
        return std::unexpected(done.error());
    return {};
}

Result<void> Vcpu::set_initial_msrs() {
    return set_msr(msr_misc_enable, misc_enable_fast_strings);
}

Result<void> Vcpu::set_memory_types() {
    return set_msr(msr_mtrr_default_type, mtrrs_on_write_back);
}

Result<void> Vcpu::set_start(const CpuStart& start) {
    kvm_sregs s{};
    if (auto got = kvm_ioctl(vcpu_.get(), KVM_GET_SREGS, &s, "KVM_GET_SREGS"); !got)
        return std::unexpected(got.error());
    put_segments(s, start);
    s.cr0 = cr0_protection | cr0_extension_type;
    s.cr4 = 0;
    s.efer = 0;
    if (start.mode == CpuStart::Mode::long_64) {
        s.cr0 |= cr0_paging;
        s.cr3 = start.page_tables.value;
        s.cr4 = cr4_physical_address_extension;
        s.efer = efer_long_mode;
    }
    if (auto done = kvm_ioctl(vcpu_.get(), KVM_SET_SREGS, &s, "KVM_SET_SREGS"); !done)
        return std::unexpected(done.error());
    kvm_regs r{};
    r.rip = start.entry.value;
    r.rbx = start.rbx;
    r.rsi = start.rsi;
    r.rflags = rflags_reserved;
    if (auto done = kvm_ioctl(vcpu_.get(), KVM_SET_REGS, &r, "KVM_SET_REGS"); !done)
        return std::unexpected(done.error());
    return {};
}

std::optional<std::uint64_t> Vcpu::tsc_offset() const {
    std::uint64_t offset = 0;
    kvm_device_attr attribute{};
    attribute.group = KVM_VCPU_TSC_CTRL;
    attribute.attr = KVM_VCPU_TSC_OFFSET;
    attribute.addr = reinterpret_cast<std::uintptr_t>(&offset);
    if (::ioctl(vcpu_.get(), KVM_GET_DEVICE_ATTR, &attribute) != 0) return std::nullopt;
    return offset;
}

std::uint32_t Vcpu::tsc_khz() const {
    return static_cast<std::uint32_t>(std::max(0, ::ioctl(vcpu_.get(), KVM_GET_TSC_KHZ, 0)));
}

VcpuExit Vcpu::run() {
    if (::ioctl(vcpu_.get(), KVM_RUN, 0) == 0) return decode(*area_);
    if (errno == EINTR || errno == EAGAIN) return vcpu_exit::Interrupted{};
    // KVM reports an access that it could not emulate both by an exit reason and by errno.
    if (area_->exit_reason == KVM_EXIT_INTERNAL_ERROR) return decode_internal_error(*area_);
    return vcpu_exit::RunFailure{errno};
}

void Vcpu::request_exit() {
    std::atomic_ref<__u8>(area_->immediate_exit).store(1, std::memory_order_seq_cst);
}

std::string Vcpu::describe_state(const GuestMemory& memory) const {
    kvm_regs r{};
    kvm_sregs s{};
    if (::ioctl(vcpu_.get(), KVM_GET_REGS, &r) != 0 || ::ioctl(vcpu_.get(), KVM_GET_SREGS, &s) != 0)
        return "registers cannot be read";
    std::string text = fmt::format("rip {:016x} rflags {:016x}\n", r.rip, r.rflags);
    text += fmt::format("rax {:016x} rbx {:016x} rcx {:016x} rdx {:016x}\n", r.rax, r.rbx, r.rcx, r.rdx);
    text += fmt::format("rsi {:016x} rdi {:016x} rbp {:016x} rsp {:016x}\n", r.rsi, r.rdi, r.rbp, r.rsp);
    text += fmt::format("r8  {:016x} r9  {:016x} r10 {:016x} r11 {:016x}\n", r.r8, r.r9, r.r10, r.r11);
    text += fmt::format("r12 {:016x} r13 {:016x} r14 {:016x} r15 {:016x}\n", r.r12, r.r13, r.r14, r.r15);
    text += fmt::format("cr0 {:016x} cr2 {:016x} cr3 {:016x} cr4 {:016x} efer {:016x}\n", s.cr0, s.cr2, s.cr3,
                        s.cr4, s.efer);
    text += segment("cs ", s.cs) + '\n' + segment("ss ", s.ss) + '\n';
    text += fmt::format("gdt base {:016x} limit {:04x}\nidt base {:016x} limit {:04x}\n", s.gdt.base,
                        s.gdt.limit, s.idt.base, s.idt.limit);
    return text + "code at rip:" + code_bytes(memory, s.cs.base + r.rip);
}

Result<FileDescriptor> Vcpu::statistics() const {
    auto file = kvm_ioctl(vcpu_.get(), KVM_GET_STATS_FD, 0, "KVM_GET_STATS_FD");
    if (!file) return std::unexpected(file.error());
    return FileDescriptor(*file);
}

}  // namespace exo::vmm
