#include "guest/arch/x86_64/exception_text.h"

#include <gtest/gtest.h>

#include <string>

namespace exo::guest::arch {
namespace {

template <typename T>
std::string printed(const T& value) {
    FixedText<256> text;
    format(text, "{}", value);
    return std::string(text.view());
}

TEST(ExceptionText, NamesEveryException) {
    EXPECT_EQ(exception_name(0), "division error");
    EXPECT_EQ(exception_name(14), "page fault");
    EXPECT_EQ(exception_name(31), "exception 31");
    EXPECT_EQ(exception_name(32), "interrupt");
    for (std::uint64_t vector = 0; vector < exception::count; ++vector)
        EXPECT_FALSE(exception_name(vector).empty());
}

TEST(ExceptionText, ExplainsPageFaults) {
    EXPECT_EQ(printed(PageFault{0x0, 0x10}), "read from 0x0000000000000010, nothing is mapped there");
    EXPECT_EQ(printed(PageFault{0x2, 0x10}), "write to 0x0000000000000010, nothing is mapped there");
    EXPECT_EQ(printed(PageFault{0x3, 0x10}), "write to 0x0000000000000010, that memory is read-only");
    EXPECT_EQ(printed(PageFault{0x11, 0x10}),
              "execution of 0x0000000000000010, that memory is not executable");
    EXPECT_EQ(printed(PageFault{0x10, 0x10}), "execution of 0x0000000000000010, nothing is mapped there");
    EXPECT_EQ(printed(PageFault{0x9, 0x10}), "read from 0x0000000000000010, its page table entry is corrupt");
    EXPECT_EQ(printed(PageFault{0x7, 0x10}),
              "write to 0x0000000000000010, from user mode, that memory is read-only");
}

TEST(ExceptionText, ExplainsSelectors) {
    EXPECT_EQ(printed(SelectorError{0}), "no selector involved");
    EXPECT_EQ(printed(SelectorError{0x18}), "GDT entry 3");
    EXPECT_EQ(printed(SelectorError{0x103}), "IDT entry 32, while an event was delivered");
}

}  // namespace
}  // namespace exo::guest::arch
