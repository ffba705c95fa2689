#include "core/staging_folder.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/output_file.h"
#include "qvl/error.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

TEST(StagingFolder, PublishesWhatWasPrepared) {
  const test::TemporaryFolder folder;
  const fs::path out = folder.path() / "deep" / "out";
  {
    StagingFolder staging(out);
    write_file(staging.path() / "a", "1");
    write_file(staging.path() / "b", "2");
    EXPECT_FALSE(fs::exists(out / "a"));
    staging.publish({"a", "b"});
  }
  EXPECT_EQ(test::read_file(out / "a"), "1");
  EXPECT_EQ(std::distance(fs::directory_iterator(out), fs::directory_iterator()), 2);
}

TEST(StagingFolder, LeavesNothingWhenNotPublished) {
  const test::TemporaryFolder folder;
  {
    StagingFolder staging(folder.path() / "deep" / "out");
    write_file(staging.path() / "a", "1");
  }
  EXPECT_FALSE(fs::exists(folder.path() / "deep"));
}

TEST(StagingFolder, RemovesWhatAKilledRunLeftAndLeavesALivingOneAlone) {
  const test::TemporaryFolder folder;
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    StagingFolder staging(folder.path());
    write_file(staging.path() / "half", "1");
    if (write(ready[1], "x", 1) != 1) _exit(1);
    while (true) pause();
  }
  char c = 0;
  ASSERT_EQ(read(ready[0], &c, 1), 1);
  const auto halves = [&] {
    std::size_t count = 0;
    for (const auto& entry : fs::directory_iterator(folder.path()))
      count += fs::exists(entry.path() / "half") ? 1U : 0U;
    return count;
  };
  {
    const StagingFolder other(folder.path());
  }
  EXPECT_EQ(halves(), 1U);
  EXPECT_EQ(StagingFolder::leftover_bytes(folder.path()), 0U);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  {
    const StagingFolder other(folder.path());
  }
  EXPECT_EQ(halves(), 0U);
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

// What a killed run left counts as what its removal frees: a file with another name elsewhere stays.
TEST(StagingFolder, CountsWhatTheRemovalOfLeftoversFrees) {
  const test::TemporaryFolder folder;
  EXPECT_EQ(StagingFolder::leftover_bytes(folder.path()), 0U);
  EXPECT_EQ(StagingFolder::leftover_bytes(folder.path() / "none"), 0U);
  const fs::path left = folder.path() / ".qvl-partial-abcdef";
  fs::create_directory(left);
  test::write_file(left / ".lock", "");
  constexpr std::uint64_t kBytes = std::uint64_t{1} << 20U;
  test::write_file(left / "data", std::string(kBytes, 'x'));
  const std::uint64_t one = StagingFolder::leftover_bytes(folder.path());
  EXPECT_GE(one, kBytes);
  EXPECT_LT(one, kBytes + 65'536);  // blocks
  fs::create_hard_link(left / "data", left / "twin");
  EXPECT_EQ(StagingFolder::leftover_bytes(folder.path()), one);
  test::write_file(folder.path() / "other", std::string(kBytes, 'x'));
  EXPECT_EQ(StagingFolder::leftover_bytes(folder.path()), one);
  fs::create_hard_link(left / "data", folder.path() / "published");
  EXPECT_LT(StagingFolder::leftover_bytes(folder.path()), 65'536U);
  {
    const StagingFolder next(folder.path());
    EXPECT_FALSE(fs::exists(left));
    EXPECT_EQ(StagingFolder::leftover_bytes(folder.path()), 0U);
  }
}

TEST(StagingFolder, TwoAtOnePlaceDoNotDisturbEachOther) {
  const test::TemporaryFolder folder;
  StagingFolder first(folder.path());
  write_file(first.path() / "a", "1");
  {
    StagingFolder second(folder.path());
    write_file(second.path() / "a", "2");
    second.publish({"a"});
  }
  first.publish({"a"});
  EXPECT_EQ(test::read_file(folder.path() / "a"), "1");
}

// The last file vouches for the others: it is gone before the first of them changes.
TEST(StagingFolder, NothingIsMovedWhereAFolderIsInTheWay) {
  const test::TemporaryFolder folder;
  write_file(folder.path() / "a", "old");
  fs::create_directory(folder.path() / "b");
  StagingFolder staging(folder.path());
  write_file(staging.path() / "a", "new");
  write_file(staging.path() / "b", "new");
  EXPECT_THROW(staging.publish({"a", "b"}), InputError);
  EXPECT_EQ(test::read_file(folder.path() / "a"), "old");
}

TEST(StagingFolder, LeavesNoFoldersBehindWhenItCannotBeMade) {
  const test::TemporaryFolder folder;
  const std::string too_long(300, 'x');
  EXPECT_THROW(StagingFolder(folder.path() / "deep" / too_long), InputError);
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(StagingFolder, AFileInItsPlaceIsAnInputError) {
  const test::TemporaryFolder folder;
  test::write_file(folder.path() / "f", "");
  EXPECT_THROW(StagingFolder(folder.path() / "f"), InputError);
  EXPECT_THROW(StagingFolder(folder.path() / "f" / "g"), InputError);
}

}  // namespace
}  // namespace qvl
