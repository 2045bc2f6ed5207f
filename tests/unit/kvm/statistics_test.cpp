#include "vmm/kvm/statistics.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "vmm/base/file_descriptor.h"

namespace exo::vmm {
namespace {

// The file as api.rst lays it out: header, descriptors with names of 16 bytes, values.
struct Header {
    std::uint32_t flags = 0, name_size = 16, count = 0, id_offset = 24, desc_offset = 64, data_offset = 512;
};
struct Description {
    std::uint32_t flags = 0;
    std::int16_t exponent = 0;
    std::uint16_t size = 1;
    std::uint32_t offset = 0;
    std::uint32_t bucket_size = 0;
    char name[16] = {};
};
static_assert(sizeof(Header) == 24 && sizeof(Description) == 32);

constexpr std::uint32_t linear_histogram = 3;

struct File {
    FileDescriptor fd{::memfd_create("statistics", 0)};
    void put(std::size_t offset, const void* data, std::size_t size) const {
        ASSERT_EQ(::pwrite(fd.get(), data, size, static_cast<off_t>(offset)), static_cast<ssize_t>(size));
    }
};

Description described(const char* name, std::uint32_t offset) {
    Description description{.offset = offset};
    std::strncpy(description.name, name, sizeof(description.name));
    return description;
}

TEST(Statistics, ScalarsByNameHistogramsLeftOut) {
    File file;
    const Header header{.count = 3};
    Description all[] = {described("exits", 8), described("waits", 0), described("name-of-16-bytes", 16)};
    all[1].flags = linear_histogram;
    all[1].size = 8;
    file.put(0, &header, sizeof(header));
    file.put(header.desc_offset, all, sizeof(all));
    const std::uint64_t values[] = {1, 42, 7};
    file.put(header.data_offset, values, sizeof(values));

    const auto statistics = read_statistics(file.fd.get());
    ASSERT_TRUE(statistics) << statistics.error().message();
    ASSERT_EQ(statistics->size(), 2u);
    EXPECT_EQ((*statistics)[0].name, "exits");
    EXPECT_EQ((*statistics)[0].value, 42u);
    EXPECT_EQ((*statistics)[1].name, "name-of-16-bytes");
    EXPECT_EQ((*statistics)[1].value, 7u);
}

TEST(Statistics, AFileThatLiesIsRefused) {
    File empty;
    EXPECT_FALSE(read_statistics(empty.fd.get()));
    File huge;
    const Header header{.count = 0x4000'0000};
    huge.put(0, &header, sizeof(header));
    EXPECT_FALSE(read_statistics(huge.fd.get()));
    File cut;
    const Header promising{.count = 2};
    cut.put(0, &promising, sizeof(promising));
    EXPECT_FALSE(read_statistics(cut.fd.get()));
}

}  // namespace
}  // namespace exo::vmm
