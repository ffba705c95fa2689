#include "core/process_memory.h"

#include <gtest/gtest.h>

#include <vector>

#include "support/test_data.h"

namespace qvl {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;

// A system of its own with 8000 MiB available, for a process in the control group /a/b.
class FakeSystem : public testing::Test {
 protected:
  FakeSystem() { write("proc/meminfo", "MemTotal:       16384000 kB\nMemAvailable:    8192000 kB\n"); }

  void write(const std::string& file, const std::string& text) const {
    std::filesystem::create_directories((root_.path() / file).parent_path());
    test::write_file(root_.path() / file, text);
  }
  void write(const std::string& file, std::uint64_t mib) const {
    write(file, std::to_string(mib * kMiB) + "\n");
  }

  [[nodiscard]] std::uint64_t available_mib() const {
    return available_memory_bytes(root_.path()).value() / kMiB;
  }

 private:
  const test::TemporaryFolder root_;
};

TEST(ProcessMemory, CountsWhatIsAllocated) {
  const auto before = process_memory();
  ASSERT_TRUE(before);
  constexpr std::uint64_t kBytes = std::uint64_t{64} << 20U;
  const std::vector<char> block(kBytes, 1);
  const auto with = process_memory();
  ASSERT_TRUE(with);
  EXPECT_EQ(block[kBytes / 2], 1);
  // The kernel counts in batches, so some pages may be missing.
  EXPECT_GE(with->resident_bytes + (1U << 20U), before->resident_bytes + kBytes);
  EXPECT_GE(with->anonymous_bytes + (1U << 20U), before->anonymous_bytes + kBytes);
  EXPECT_GE(with->peak_bytes, with->resident_bytes - (1U << 20U));
  EXPECT_GT(with->file_bytes, 0U);
}

TEST(ProcessMemory, MachineHasSomeLeft) {
  const auto available = available_memory_bytes();
  ASSERT_TRUE(available);
  EXPECT_GT(*available, std::uint64_t{16} << 20U);
  EXPECT_LT(*available, std::uint64_t{1} << 50U);
}

TEST_F(FakeSystem, WithoutControlGroupsTheKernelsFigureCounts) {
  EXPECT_EQ(available_mib(), 8000U);
  write("proc/self/cgroup", "0::/a/b\n");
  EXPECT_EQ(available_mib(), 8000U);
  write("sys/fs/cgroup/a/b/memory.max", "max\n");
  write("sys/fs/cgroup/a/b/memory.current", 500);
  EXPECT_EQ(available_mib(), 8000U);
}

// Files that were read fill a group up to its limit; the kernel drops them for whoever allocates.
TEST_F(FakeSystem, PageCacheOfAControlGroupCountsAsAvailable) {
  write("proc/self/cgroup", "0::/a/b\n");
  const std::string group = "sys/fs/cgroup/a/b/";
  write(group + "memory.max", 1000);
  write(group + "memory.current", 900);
  EXPECT_EQ(available_mib(), 100U);
  write(group + "memory.stat", "anon 1\nfile 9\ninactive_anon 7\ninactive_file 314572800\nactive_file 5\n");
  EXPECT_EQ(available_mib(), 400U);
  write(group + "memory.current", 200);  // the figures need not be of one instant
  EXPECT_EQ(available_mib(), 1000U);
  write(group + "memory.current", 1400);
  EXPECT_EQ(available_mib(), 0U);
  write(group + "memory.max", 20'000);
  EXPECT_EQ(available_mib(), 8000U);
}

TEST_F(FakeSystem, ControlGroupsOfVersion1CountWithThoseBelow) {
  write("proc/self/cgroup", "5:cpu,cpuacct:/c\n4:memory:/a/b\n0::/\n");
  const std::string group = "sys/fs/cgroup/memory/a/b/";
  write(group + "memory.limit_in_bytes", 1000);
  write(group + "memory.usage_in_bytes", 900);
  write(group + "memory.stat", "inactive_file 1\ntotal_inactive_file 104857600\n");
  EXPECT_EQ(available_mib(), 200U);
}

}  // namespace
}  // namespace qvl
