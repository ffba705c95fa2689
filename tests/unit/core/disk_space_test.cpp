#include "core/disk_space.h"

#include <gtest/gtest.h>

#include "support/test_data.h"

namespace qvl {
namespace {

TEST(DiskSpace, IsThatOfTheNearestFolderThatIsThere) {
  const test::TemporaryFolder folder;
  EXPECT_GT(free_disk_bytes(folder.path()).value(), 0U);
  EXPECT_GT(free_disk_bytes(folder.path() / "not" / "made" / "yet").value(), 0U);
  // The kernel's own file systems have none: the answer is that of the folder, not of any other.
  EXPECT_EQ(free_disk_bytes("/proc/self").value(), 0U);
  EXPECT_EQ(free_disk_bytes("/proc/self/none/such").value(), 0U);
}

TEST(DiskSpace, OfAnEmptyPathIsThatOfTheCurrentFolder) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path("/proc");
  EXPECT_EQ(free_disk_bytes("").value(), 0U);
  EXPECT_EQ(free_disk_bytes("none").value(), 0U);
  std::filesystem::current_path(before);
}

}  // namespace
}  // namespace qvl
