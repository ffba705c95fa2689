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

TEST(OutputFile, AFullDiskIsAMachineError) {
  // /dev/full answers every write as a full disk does.
  EXPECT_THROW(throw_write_error("/x", ENOSPC), MachineError);
}

}  // namespace
}  // namespace qvl
