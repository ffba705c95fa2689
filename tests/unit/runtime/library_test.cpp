#include "runtime/library.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "error_message.h"
#include "qvl/error.h"
#include "runtime/provider.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;
using test::says;

void touch(const fs::path& path) {
  fs::create_directories(path.parent_path());
  test::write_file(path, "");
}

// Finds nothing anywhere.
LibrarySearch search_in_vain() { return {"", "", "", "", "libonnxruntime-that-nobody-has.so.1"}; }

TEST(LibrarySearch, TakesThePlacesInOrder) {
  const test::TemporaryFolder folder;
  LibrarySearch search = search_in_vain();
  search.environment_root = folder.path() / "root";
  search.executable_folder = folder.path() / "install" / "bin";
  search.build_folder = folder.path() / "deps";
  EXPECT_EQ(find_library(search), std::nullopt);
  const std::vector<fs::path> last_to_first{search.build_folder, folder.path() / "install" / "lib" / "qvl",
                                            folder.path() / "install" / "lib", search.executable_folder,
                                            search.environment_root / "lib"};
  for (const fs::path& place : last_to_first) {
    touch(place / "libonnxruntime.so");
    EXPECT_EQ(find_library(search), place / "libonnxruntime.so");
  }
}

TEST(LibrarySearch, PrefersThePlainNameThenTheNewestVersion) {
  const test::TemporaryFolder folder;
  LibrarySearch search = search_in_vain();
  search.build_folder = folder.path();
  for (const char* const other :
       {"libonnxruntime.so.1.99.0.bak", "libonnxruntime.so.2.0.0", "libonnxruntime.so.1.",
        "libonnxruntime_providers_shared.so", "libonnxruntime.so.1.99999999999999"}) {
    touch(folder.path() / other);
  }
  EXPECT_EQ(find_library(search), std::nullopt);
  for (const char* const next : {"libonnxruntime.so.1.9.0", "libonnxruntime.so.1.22.0",
                                 "libonnxruntime.so.1.22.1", "libonnxruntime.so.1", "libonnxruntime.so"}) {
    touch(folder.path() / next);
    EXPECT_EQ(find_library(search), folder.path() / next);
  }
}

TEST(LibrarySearch, GivesAnAbsolutePath) {
  const test::TemporaryFolder folder;
  touch(folder.path() / "lib" / "libonnxruntime.so");
  LibrarySearch search = search_in_vain();
  search.environment_root = fs::relative(folder.path());
  const auto found = find_library(search);
  ASSERT_TRUE(found.has_value());
  EXPECT_TRUE(found->is_absolute());
  EXPECT_TRUE(fs::equivalent(*found, folder.path() / "lib" / "libonnxruntime.so"));
}

TEST(LibrarySearch, ReadsTheEnvironmentAndTheProgramsPlace) {
  const char* const before = std::getenv("ONNXRUNTIME_ROOT");
  const std::string saved = before == nullptr ? "" : before;
  setenv("ONNXRUNTIME_ROOT", "/some/where", 1);
  const LibrarySearch search = LibrarySearch::of_this_process();
  if (before == nullptr) {
    unsetenv("ONNXRUNTIME_ROOT");
  } else {
    setenv("ONNXRUNTIME_ROOT", saved.c_str(), 1);
  }
  EXPECT_EQ(search.environment_root, "/some/where");
  EXPECT_EQ(search.folders().front(), "/some/where/lib");
  EXPECT_TRUE(fs::exists(search.executable_folder / "test_runtime"));
}

TEST(RuntimeLibrary, SaysWhereItLookedAndWhatToDo) {
  LibrarySearch search = search_in_vain();
  search.environment_root = "/nowhere/ort";
  search.build_folder = "/nowhere/deps";
  EXPECT_TRUE(says(test::message_of_thrown<MachineError>([&] { const RuntimeLibrary library(search); }),
                   "/nowhere/ort/lib", "/nowhere/deps", search.system_name, "scripts/setup.sh",
                   "ONNXRUNTIME_ROOT"));
}

TEST(RuntimeLibrary, AFileThatIsNoLibraryIsAMachineError) {
  const test::TemporaryFolder folder;
  test::write_file(folder.path() / "libonnxruntime.so", "not a library");
  LibrarySearch search = search_in_vain();
  search.build_folder = folder.path();
  EXPECT_TRUE(says(test::message_of_thrown<MachineError>([&] { const RuntimeLibrary library(search); }),
                   (folder.path() / "libonnxruntime.so").string(), "ONNXRUNTIME_ROOT"));
}

// The message when the fake library NAME lies where ONNX Runtime's should.
std::string message_for_fake(const std::string& name) {
  const test::TemporaryFolder folder;
  fs::copy_file(fs::path(QVL_FAKE_LIBRARIES) / (name + ".so"), folder.path() / "libonnxruntime.so");
  LibrarySearch search = search_in_vain();
  search.build_folder = folder.path();
  return test::message_of_thrown<MachineError>([&] { const RuntimeLibrary library(search); });
}

TEST(RuntimeLibrary, SaysWhichVersionItFoundAndWhichItNeeds) {
  for (const char* const version : {"1.20.9", "1.999.0", "2.0.0"}) {
    EXPECT_TRUE(says(message_for_fake(std::string("fake_runtime_") + version),
                     std::string("is version ") + version, "at least 1.21 is needed"));
  }
}

TEST(RuntimeLibrary, AnOldLibraryPrintsNothing) {
  ::testing::internal::CaptureStderr();
  (void)message_for_fake("fake_runtime_1.20.9");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST(RuntimeLibrary, AnotherLibraryOfThatNameIsAMachineError) {
  EXPECT_TRUE(says(message_for_fake("fake_runtime_nothing"), "is not ONNX Runtime's library"));
}

TEST(RuntimeLibrary, OpensOnceFromManyThreads) {
  std::vector<const RuntimeLibrary*> seen(8, nullptr);
  std::vector<std::thread> threads;
  for (const RuntimeLibrary*& place : seen)
    threads.emplace_back([&place] { place = &RuntimeLibrary::get(); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(
      std::all_of(seen.begin(), seen.end(), [&](const RuntimeLibrary* p) { return p == seen.front(); }));
  EXPECT_TRUE(fs::path(runtime_path()).is_absolute());
  EXPECT_TRUE(fs::exists(runtime_path()));
  EXPECT_TRUE(runtime_version().starts_with("1."));
  const std::vector<std::string> providers = available_providers();
  EXPECT_NE(std::ranges::find(providers, "CPUExecutionProvider"), providers.end());
}

TEST(Provider, NamesRoundTrip) {
  EXPECT_EQ(provider_from_name("cpu"), Provider::cpu);
  EXPECT_EQ(provider_from_name("cuda"), Provider::cuda);
  EXPECT_EQ(provider_from_name("CPU"), std::nullopt);
  EXPECT_EQ(name(Provider::cuda), "cuda");
}

}  // namespace
}  // namespace qvl
