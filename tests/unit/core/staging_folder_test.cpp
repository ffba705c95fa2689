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
  const fs::path theirs = folder.path() / (".qvl-partial-" + std::to_string(child));
  {
    const StagingFolder other(folder.path());
  }
  EXPECT_TRUE(fs::exists(theirs / "half"));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  {
    const StagingFolder other(folder.path());
  }
  EXPECT_FALSE(fs::exists(theirs));
}

TEST(StagingFolder, AFileInItsPlaceIsAnInputError) {
  const test::TemporaryFolder folder;
  test::write_file(folder.path() / "f", "");
  EXPECT_THROW(StagingFolder(folder.path() / "f"), InputError);
  EXPECT_THROW(StagingFolder(folder.path() / "f" / "g"), InputError);
}

}  // namespace
}  // namespace qvl
