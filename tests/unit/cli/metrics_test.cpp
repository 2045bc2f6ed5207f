#include "vmm/cli/metrics.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/unit/cli/test_files.h"

namespace exo::vmm {
namespace {

using namespace std::chrono_literals;

RunMetrics sample() {
    RunMetrics metrics;
    metrics.status = 3;
    metrics.end = "exited";
    metrics.process_start = 100ms;
    metrics.report.timeline = {.vcpu_start = 120ms,
                               .firmware_done = {},
                               .firmware_handover = 1100ms,
                               .kernel_entry = {},
                               .ready = {},
                               .end = 1500250us};
    metrics.report.exits.by_reason[0] = 7;
    metrics.report.exits.by_reason[1] = 5;
    metrics.report.kvm = {{"exits", 99}};
    metrics.report.ports = {{"serial", 3, 4}, {"rtc", 0, 0}};
    DiskReport disk;
    disk.name = "a \"b\".img";
    disk.polls = {.found = 9, .in_vain = 4, .gave_way = 1, .time = 2500us};
    disk.delayed = 6;
    disk.counters.reads = 11;
    disk.counters.completions[1] = 2;
    disk.counters.completions[3] = 1;
    metrics.report.disks = {disk};
    return metrics;
}

TEST(Metrics, TheDocumentHoldsWhatHappened) {
    const auto json = nlohmann::json::parse(metrics_json(sample()));
    EXPECT_EQ(json["status"], 3);
    EXPECT_EQ(json["end"], "exited");
    EXPECT_EQ(json["boot_ms"]["vcpu_start"], 20.0);
    EXPECT_EQ(json["boot_ms"]["firmware_handover"], 1000.0);
    EXPECT_TRUE(json["boot_ms"]["ready"].is_null()) << "not reached";
    EXPECT_EQ(json["boot_ms"]["end"], 1400.25);
    EXPECT_EQ(json["exits_to_user_space"]["port_read"], 7);
    EXPECT_EQ(json["exits_to_user_space"]["total"], 12);
    EXPECT_EQ(json["kvm"]["exits"], 99);
    EXPECT_EQ(json["ports"]["serial"]["writes"], 4);
    EXPECT_FALSE(json["ports"].contains("rtc")) << "never accessed";
    EXPECT_EQ(json["disks"][0]["file"], "a \"b\".img");
    EXPECT_EQ(json["disks"][0]["reads"], 11);
    EXPECT_EQ(json["disks"][0]["failed"], 3);
    EXPECT_EQ(json["disks"][0]["polls"]["found"], 9);
    EXPECT_EQ(json["disks"][0]["polls"]["in_vain"], 4);
    EXPECT_EQ(json["disks"][0]["polls"]["gave_way"], 1);
    EXPECT_EQ(json["disks"][0]["polls"]["microseconds"], 2500);
    EXPECT_EQ(json["disks"][0]["delayed_by_limit"], 6);
}

TEST(Metrics, AFileNameThatIsNoUtf8DoesNotSpoilTheDocument) {
    RunMetrics metrics = sample();
    metrics.report.disks[0].name = "\xff.img";
    EXPECT_TRUE(nlohmann::json::accept(metrics_json(metrics)));
}

TEST(Metrics, TheFileIsReplacedWhole) {
    const TestFolder folder;
    const std::string path = folder.put("m.json", "old");
    ASSERT_TRUE(write_metrics(path, sample()));
    std::ifstream file(path);
    EXPECT_TRUE(nlohmann::json::accept(file));
    EXPECT_FALSE(std::filesystem::exists(path + ".new"));
    EXPECT_FALSE(write_metrics(folder / "absent/m.json", sample()));
}

}  // namespace
}  // namespace exo::vmm
