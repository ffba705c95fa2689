#include "core/output_file.h"

#include <gtest/gtest.h>

#include "qvl/error.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

std::size_t entries(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(OutputFile, IsVisibleOnlyWhenCommitted) {
  const test::TemporaryFolder folder;
  const fs::path place = folder.path() / "a.bin";
  {
    OutputFile file(place);
    file.append("hello");
    file.write_at(1, std::as_bytes(std::span("EL", 2)));
    EXPECT_FALSE(fs::exists(place));
    file.commit();
  }
  EXPECT_EQ(test::read_file(place), "hELlo");
  EXPECT_EQ(entries(folder.path()), 1U);
}

TEST(OutputFile, WithoutCommitTheOldFileStays) {
  const test::TemporaryFolder folder;
  const fs::path place = folder.path() / "a.bin";
  write_file(place, "old");
  {
    OutputFile file(place);
    file.append("new");
  }
  EXPECT_EQ(test::read_file(place), "old");
  EXPECT_EQ(entries(folder.path()), 1U);
}

TEST(OutputFile, AFolderThatIsNotThereIsAnInputError) {
  const test::TemporaryFolder folder;
  EXPECT_THROW(OutputFile(folder.path() / "none" / "a.bin"), InputError);
}

TEST(OutputFile, ErrorsOfTheMachineAndOfThePlaceAreTold) {
  EXPECT_THROW(throw_write_error("/x", ENOSPC), MachineError);
  EXPECT_THROW(throw_write_error("/x", EIO), MachineError);
  EXPECT_THROW(throw_write_error("/x", EROFS), InputError);
}

TEST(OutputFile, ReplacesRegularFilesOnlyAndFollowsLinks) {
  const test::TemporaryFolder folder;
  EXPECT_THROW(OutputFile("/dev/null"), InputError);
  EXPECT_THROW(OutputFile(folder.path()), InputError);
  fs::create_symlink(folder.path() / "target", folder.path() / "link");
  write_file(folder.path() / "link", "1");
  EXPECT_TRUE(fs::is_symlink(folder.path() / "link"));
  EXPECT_EQ(test::read_file(folder.path() / "target"), "1");
}

TEST(OutputFile, ReservedSpaceIsThere) {
  const test::TemporaryFolder folder;
  {
    OutputFile file(folder.path() / "a");
    file.reserve(10000);
    file.write_at(9999, std::as_bytes(std::span("x", 1)));
    file.commit();
  }
  EXPECT_EQ(fs::file_size(folder.path() / "a"), 10000U);
}

}  // namespace
}  // namespace qvl
