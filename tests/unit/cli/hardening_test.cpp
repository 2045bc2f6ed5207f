#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace exo::vmm {
namespace {

/// The program as it was linked.
class Elf {
  public:
    explicit Elf(const char* path) {
        bytes_.resize(std::filesystem::file_size(path));
        std::ifstream(path, std::ios::binary)
            .read(bytes_.data(), static_cast<std::streamsize>(bytes_.size()));
    }
    Elf64_Ehdr header() const { return at<Elf64_Ehdr>(0); }
    std::vector<Elf64_Phdr> segments(std::uint32_t type) const {
        std::vector<Elf64_Phdr> found;
        for (unsigned i = 0; i < header().e_phnum; ++i)
            if (const auto segment = at<Elf64_Phdr>(header().e_phoff + i * sizeof(Elf64_Phdr));
                segment.p_type == type)
                found.push_back(segment);
        return found;
    }
    std::uint64_t dynamic(std::int64_t tag) const {
        for (const Elf64_Phdr& segment : segments(PT_DYNAMIC))
            for (std::uint64_t i = 0; i < segment.p_filesz; i += sizeof(Elf64_Dyn))
                if (const auto entry = at<Elf64_Dyn>(segment.p_offset + i); entry.d_tag == tag)
                    return entry.d_un.d_val;
        return 0;
    }
    bool has_name(const std::string& name) const {
        return bytes_.find('\0' + name + '\0') != std::string::npos;
    }

  private:
    template <typename T>
    T at(std::uint64_t offset) const {
        T value{};
        if (offset + sizeof(T) <= bytes_.size()) std::memcpy(&value, bytes_.data() + offset, sizeof(T));
        return value;
    }
    std::string bytes_;
};

TEST(HardeningTest, VmmIsLoadedAnywhereAndItsTablesAreReadOnly) {
    const Elf vmm(EXO_VMM);
    EXPECT_EQ(vmm.header().e_type, ET_DYN) << "not position-independent";
    EXPECT_EQ(vmm.segments(PT_INTERP).size(), 1u);
    EXPECT_NE(vmm.dynamic(DT_FLAGS_1) & DF_1_PIE, 0u);
    ASSERT_EQ(vmm.segments(PT_GNU_STACK).size(), 1u);
    EXPECT_EQ(vmm.segments(PT_GNU_STACK).front().p_flags & PF_X, 0u) << "the stack is executable";
    EXPECT_EQ(vmm.segments(PT_GNU_RELRO).size(), 1u);
}

TEST(HardeningTest, VmmIsBoundAtStartAndChecksItsStackAndBuffers) {
#ifdef EXO_SANITIZED
    GTEST_SKIP() << "sanitizers check more";
#endif
    const Elf vmm(EXO_VMM);
    EXPECT_NE(vmm.dynamic(DT_FLAGS_1) & DF_1_NOW, 0u) << "the relocations stay writable";
    EXPECT_TRUE(vmm.has_name("__stack_chk_fail"));
#ifdef __OPTIMIZE__
    EXPECT_TRUE(vmm.has_name("__read_chk") || vmm.has_name("__memcpy_chk")) << "no _FORTIFY_SOURCE";
#endif
}

}  // namespace
}  // namespace exo::vmm
