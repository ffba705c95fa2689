// Memory of this process, and other processes run to be measured.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "bench/child_process.h"
#include "bench/memory_use.h"
#include "qvl/error.h"
#include "support/test_data.h"

namespace qvl {
namespace {

constexpr std::uint64_t kMebibyte = std::uint64_t{1} << 20U;

// Takes memory from the system, touches it and gives it back (the heap might keep it).
void hold(std::size_t bytes) {
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  std::memset(memory, 1, bytes);
  std::this_thread::sleep_for(std::chrono::milliseconds(60));  // three looks of the watch
  munmap(memory, bytes);
}

TEST(MemoryUse, ThePeakIsSeenAfterItIsGone) {
  const MemoryUse before = memory_use();
  ASSERT_TRUE(before.resident && before.anonymous && before.file);
  EXPECT_GT(*before.resident, *before.anonymous);
  MemoryWatch watch;
  hold(64 * kMebibyte);
  const MemoryUse most = watch.stop();
  EXPECT_GE(*most.resident, *before.resident + 60 * kMebibyte);
  EXPECT_GE(*most.anonymous, *before.anonymous + 60 * kMebibyte);
  EXPECT_LT(*most.file, *before.file + 30 * kMebibyte);
}

TEST(MemoryUse, AResetForgetsThePeak) {
  hold(64 * kMebibyte);
  const auto peak = peak_memory_bytes();
  if (!reset_peak_memory()) GTEST_SKIP() << "/proc/self/clear_refs cannot be written here";
  EXPECT_GT(*peak, *peak_memory_bytes());
  EXPECT_GE(*peak_memory_bytes(), *memory_use().resident / 2);
}

TEST(MemoryUse, AWatchMayEndUnasked) {
  const MemoryWatch watch;
  EXPECT_TRUE(memory_use().resident);
}

ChildResult shell(const std::string& script, const CancelToken* cancel = nullptr) {
  return run_child({find_program("sh").value(), "-c", script}, cancel);
}

TEST(ChildProcess, TellsHowItEnded) {
  const ChildResult done = shell("exit 0");
  EXPECT_EQ(done.exit_code, 0);
  EXPECT_GT(done.seconds, 0);
  EXPECT_GT(done.peak_bytes, 100'000U);
  EXPECT_EQ(done.errors, "");
  const ChildResult failed = shell("echo out; echo what is wrong >&2; exit 3");
  EXPECT_EQ(failed.exit_code, 3);
  EXPECT_EQ(failed.errors, "what is wrong");
  EXPECT_EQ(shell("kill -9 $$").exit_code, 128 + 9);
  EXPECT_GE(shell("sleep 0.05").seconds, 0.05);
  // stdin is empty, and much on stderr neither blocks nor is all kept.
  EXPECT_EQ(shell("cat").exit_code, 0);
  EXPECT_EQ(shell("head -c 300000 /dev/zero | tr '\\0' x >&2").errors.size(), 65536U);
}

TEST(ChildProcess, SaysWhatCannotBeStarted) {
  try {
    (void)run_child({"/none/program"}, nullptr);
    FAIL();
  } catch (const MachineError& error) {
    EXPECT_NE(std::string(error.what()).find("/none/program"), std::string::npos) << error.what();
  }
}

TEST(ChildProcess, IsStoppedWhenCancelled) {
  const test::TemporaryFolder folder;
  const std::string pid_file = folder.path() / "pid";
  CancelToken cancel;
  const auto start = std::chrono::steady_clock::now();
  std::thread user([&] {
    for (int i = 0; i < 1000 && !std::filesystem::exists(pid_file); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    cancel.cancel();
  });
  EXPECT_THROW(
      (void)shell("echo $$ > " + pid_file + ".new; mv " + pid_file + ".new " + pid_file + "; exec sleep 60",
                  &cancel),
      Interrupted);
  user.join();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
  EXPECT_NE(kill(std::stoi(test::read_file(pid_file)), 0), 0);
  EXPECT_THROW((void)shell("exit 0", &cancel), Interrupted);
}

TEST(FindProgram, LooksInPath) {
  EXPECT_TRUE(find_program("sh"));
  EXPECT_FALSE(find_program("no-such-program-of-qvl"));
  const test::TemporaryFolder folder;
  const std::string old = std::getenv("PATH");
  test::write_file(folder.path() / "sh", "not executable");
  setenv("PATH", (folder.path().string() + ":" + old).c_str(), 1);
  EXPECT_NE(*find_program("sh"), folder.path() / "sh");
  setenv("PATH", folder.path().c_str(), 1);
  EXPECT_FALSE(find_program("sh"));
  setenv("PATH", old.c_str(), 1);
}

}  // namespace
}  // namespace qvl
