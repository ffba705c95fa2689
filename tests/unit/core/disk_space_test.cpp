#include "core/disk_space.h"

#include <gtest/gtest.h>

#include "core/output_file.h"
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

// What is said of the file system is what happens there, and looking leaves nothing.
TEST(DiskSpace, KnowsWhetherFilesShareBlocks) {
  const test::TemporaryFolder folder;
  const bool said = can_share_blocks(folder.path() / "not yet");
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  const std::string bytes(10000, 'x');
  write_file(folder.path() / "a", bytes);
  {
    OutputFile file(folder.path() / "b");
    EXPECT_EQ(file.share_blocks(folder.path() / "a"), said);
    EXPECT_EQ(file.size_bytes(), said ? bytes.size() : 0U);
    EXPECT_FALSE(OutputFile(folder.path() / "c").share_blocks(folder.path() / "none"));
  }
  EXPECT_FALSE(can_share_blocks("/proc/self"));
}

}  // namespace
}  // namespace qvl
