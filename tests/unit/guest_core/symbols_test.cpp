#include "guest/kernel/symbols.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "guest/kernel/backtrace.h"

namespace exo::guest {
namespace {

std::string demangled(std::string_view symbol) {
    FixedText<256> text;
    format(text, "{}", Demangled{symbol});
    return std::string(text.view());
}

TEST(Demangle, PrintsTheNamesOfFunctions) {
    EXPECT_EQ(demangled("_ZN3exo5guest5Shell8run_lineESt17basic_string_viewIcSt11char_traitsIcEE"),
              "exo::guest::Shell::run_line");
    EXPECT_EQ(demangled("_ZN3exo5guest12_GLOBAL__N_18start_upEv"), "exo::guest::(anonymous)::start_up");
    EXPECT_EQ(demangled("_ZNK3exo5guest11CommandLine6optionEv"), "exo::guest::CommandLine::option");
    EXPECT_EQ(demangled("_ZN3exo5guest9PageTableINS_6MemoryEE3mapEmm"), "exo::guest::PageTable<...>::map");
    EXPECT_EQ(demangled("_ZN3exo5guest5panicIJPvmEEEvNS0_12FormatStringEDpRKT_"), "exo::guest::panic<...>");
    EXPECT_EQ(demangled("_ZN3exo5ShellC2Ev"), "exo::Shell::(constructor)");
    EXPECT_EQ(demangled("_ZN3exo5ShellD0Ev"), "exo::Shell::(destructor)");
    EXPECT_EQ(demangled("_Z7recursej"), "recurse");
    EXPECT_EQ(demangled("_ZL7recursej"), "recurse");
}

TEST(Demangle, LeavesOtherNamesAsTheyAre) {
    for (const char* const name :
         {"exo_start", "memcpy", "", "_Z", "_ZN", "_ZdlPvm", "_ZTV5Shell", "_ZN99x", "_ZN3exoS_E"})
        EXPECT_EQ(demangled(name), name);
}

TEST(Demangle, SurvivesAnything) {
    std::mt19937 random(6);
    constexpr std::string_view alphabet = "_ZNEISt0123456789CDKLJXFex";
    for (int i = 0; i < 50'000; ++i) {
        std::string symbol = "_ZN";
        for (auto k = random() % 24; k > 0; --k) symbol += alphabet[random() % alphabet.size()];
        demangled(symbol);
    }
}

/// An ELF file with a symbol table: f at 0x100 (16 bytes), g at 0x200 (no size), an object at 0x300.
struct File {
    elf::Header header = {};
    elf::SectionHeader sections[3] = {};
    elf::Symbol symbols[4] = {};
    char names[16] = "\0f\0g\0object";

    File() {
        std::memcpy(header.magic,
                    "\x7f"
                    "ELF",
                    4);
        header.class_64 = 2;
        header.little_endian = 1;
        header.machine = elf::machine_x86_64;
        header.section_offset = offsetof(File, sections);
        header.section_entry_size = sizeof(elf::SectionHeader);
        header.section_count = 3;
        sections[1] = {.name = 0,
                       .type = elf::section_symbols,
                       .flags = 0,
                       .address = 0,
                       .offset = offsetof(File, symbols),
                       .size = sizeof(symbols),
                       .link = 2,
                       .info = 0,
                       .alignment = 8,
                       .entry_size = sizeof(elf::Symbol)};
        sections[2] = {.name = 0,
                       .type = 3,
                       .flags = 0,
                       .address = 0,
                       .offset = offsetof(File, names),
                       .size = sizeof(names),
                       .link = 0,
                       .info = 0,
                       .alignment = 1,
                       .entry_size = 0};
        symbols[1] = {1, elf::symbol_function, 0, 1, 0x100, 16};
        symbols[2] = {3, elf::symbol_function, 0, 1, 0x200, 0};
        symbols[3] = {5, 1, 0, 1, 0x300, 8};
    }
    elf::Image image() const { return {reinterpret_cast<const std::uint8_t*>(this), sizeof(*this)}; }
};

TEST(Symbols, AreFoundByAddress) {
    const File file;
    const Symbols symbols(file.image());
    EXPECT_EQ(symbols.find(0x100)->name, "f");
    EXPECT_EQ(symbols.find(0x10f)->offset, 15u);
    EXPECT_FALSE(symbols.find(0x110));
    EXPECT_EQ(symbols.find(0x200)->name, "g") << "hand-written code may have no size";
    EXPECT_FALSE(symbols.find(0x201));
    EXPECT_FALSE(symbols.find(0x300)) << "not a function";
    EXPECT_FALSE(symbols.find(0));
}

TEST(Symbols, SurviveTheirFile) {
    auto file = std::make_unique<File>();
    const Symbols symbols(file->image());
    std::vector<std::byte> memory(symbols.copy_size());
    const Symbols copy = symbols.copy_to(memory);
    file.reset();
    EXPECT_EQ(copy.find(0x105)->name, "f");
}

TEST(Symbols, AreNoneInABrokenFile) {
    const auto count = [](auto change) {
        File file;
        change(file);
        const Symbols symbols(file.image());
        symbols.find(0x100);
        return symbols.count();
    };
    EXPECT_EQ(count([](File&) {}), 4u);
    EXPECT_EQ(count([](File& f) { f.header.magic[0] = 0; }), 0u);
    EXPECT_EQ(count([](File& f) { f.header.section_offset = ~0ull; }), 0u);
    EXPECT_EQ(count([](File& f) { f.header.section_entry_size = 1; }), 0u);
    EXPECT_EQ(count([](File& f) { f.sections[1].size = ~0ull; }), 0u);
    EXPECT_EQ(count([](File& f) { f.sections[1].offset = 1; }), 0u) << "misaligned";
    EXPECT_EQ(count([](File& f) { f.sections[1].link = 77; }), 0u);
    EXPECT_EQ(count([](File& f) { f.sections[2].offset = ~0ull; }), 0u);
    EXPECT_EQ(count([](File& f) { f.symbols[1].name = 10'000; }), 4u) << "the name is outside: not found";
}

TEST(Symbols, TellAReturnAddressFromTheNextFunction) {
    const File file;
    set_kernel_symbols(Symbols(file.image()));
    FixedText<64> text;
    format(text, "{} / {} / {}", Location{0x10f}, Location{.address = 0x110, .is_return = true},
           Location{0x110});
    set_kernel_symbols({});
    EXPECT_EQ(text.view(), "f + 0xf / f + 0x10 / (not in a function of the kernel)");
}

std::vector<std::uintptr_t> walked(const std::uintptr_t* frame) {
    std::vector<std::uintptr_t> callers;
    walk_frames(reinterpret_cast<std::uintptr_t>(frame),
                [&](std::uintptr_t caller) { callers.push_back(caller); });
    return callers;
}

TEST(Backtrace, FollowsTheChainUpTheStack) {
    std::uintptr_t stack[6] = {};
    const auto at = [&](int i) { return reinterpret_cast<std::uintptr_t>(stack + i); };
    stack[0] = at(2);
    stack[1] = 11;
    stack[2] = at(4);
    stack[3] = 22;
    stack[5] = 33;
    EXPECT_EQ(walked(stack), (std::vector<std::uintptr_t>{11, 22, 33}));
}

TEST(Backtrace, StopsAtBrokenChains) {
    std::uintptr_t stack[4] = {};
    stack[0] = reinterpret_cast<std::uintptr_t>(stack);  // itself
    stack[1] = 11;
    EXPECT_EQ(walked(stack), std::vector<std::uintptr_t>{11});
    stack[0] = reinterpret_cast<std::uintptr_t>(stack) + 17;  // not aligned
    EXPECT_EQ(walked(stack), std::vector<std::uintptr_t>{11});
    stack[1] = 0;
    EXPECT_TRUE(walked(stack).empty());
    EXPECT_TRUE(walked(nullptr).empty());
}

}  // namespace
}  // namespace exo::guest
