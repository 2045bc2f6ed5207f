#pragma once

#include <sys/mman.h>

#include <cstring>
#include <optional>
#include <span>
#include <string>

#include "vmm/kvm/system.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/kvm/vm.h"

namespace exo::vmm {

/// A machine of one page of real-mode code at 0xFFFFF000, so that the reset vector lies at its end, and one
/// page of RAM at 0.
struct TestMachine {
    static constexpr std::size_t page = 4096;

    std::span<std::byte> rom = map_pages();
    std::span<std::byte> ram = map_pages();
    std::optional<KvmSystem> system;
    std::optional<Vm> vm;
    std::optional<Vcpu> vcpu;
    std::string failure;  ///< why there is no machine

    explicit TestMachine(std::span<const unsigned char> code) {
        std::memcpy(rom.data() + page - 16, code.data(), std::min<std::size_t>(code.size(), 16));
        if (const auto made = make(); !made) failure = made.error().message();
    }
    TestMachine(const TestMachine&) = delete;
    TestMachine& operator=(const TestMachine&) = delete;
    ~TestMachine() {
        vcpu.reset();
        vm.reset();
        ::munmap(rom.data(), page);
        ::munmap(ram.data(), page);
    }

  private:
    static std::span<std::byte> map_pages() {
        return {static_cast<std::byte*>(
                    ::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)),
                page};
    }

    template <typename T>
    static Result<void> keep(std::optional<T>& where, Result<T> made) {
        if (!made) return std::unexpected(made.error());
        where.emplace(std::move(*made));
        return {};
    }

    Result<void> make() {
        auto done = keep(system, KvmSystem::open());
        if (done) done = keep(vm, Vm::create(*system));
        if (done) done = vm->place_intel_pages({0xfeff'c000}, {0xfeff'd000});
        if (done) done = vm->create_interrupt_controllers();
        if (done) done = vm->map({.slot = 0, .start = {0}, .host = ram});
        if (done) done = vm->map({.slot = 1, .start = {0xffff'f000}, .host = rom, .read_only = true});
        if (done) done = keep(vcpu, Vcpu::create(*system, *vm, 0));
        return done;
    }
};

}  // namespace exo::vmm
