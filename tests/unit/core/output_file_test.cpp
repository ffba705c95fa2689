#include "core/output_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

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

// Past the page cache or not (tmpfs, odd offsets, odd memory): the bytes are the same.
TEST(OutputFile, BypassingTheCacheWritesTheSameBytes) {
  const test::TemporaryFolder folder;
  constexpr std::size_t kBytes = 300'000;
  std::vector<std::byte> memory(kBytes + 2 * OutputFile::kDirectBytes);
  const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
  const std::size_t aligned = (0 - address) % OutputFile::kDirectBytes;
  std::string expected(kBytes, '\0');
  for (std::size_t i = 0; i < kBytes; ++i) expected[i] = static_cast<char>(i * 7 % 251);
  for (const std::size_t shift : {std::size_t{0}, std::size_t{1}}) {
    const std::span<std::byte> bytes = std::span(memory).subspan(aligned + shift, kBytes);
    std::memcpy(bytes.data(), expected.data(), kBytes);
    const fs::path place = folder.path() / std::to_string(shift);
    OutputFile file(place, OutputFile::Cache::bypass);
    file.reserve(kBytes);
    std::size_t end = kBytes;
    // From the end to the beginning, in parts that begin and end anywhere.
    for (const std::size_t begin : {262'144U, 200'001U, 131'072U, 4'095U, 4'094U, 0U}) {
      file.write_at(begin, bytes.subspan(begin, end - begin));
      end = begin;
    }
    file.commit();
    EXPECT_EQ(test::read_file(place), expected);
  }
  EXPECT_EQ(entries(folder.path()), 2U);
}

TEST(OutputFile, AnEqualFileIsOneOfItsOwnOrAnotherName) {
  const test::TemporaryFolder folder;
  const fs::path from = folder.path() / "a";
  const std::string bytes = std::string(9'000'000, 'x') + "end";
  write_file(from, bytes);
  for (const bool link : {false, true}) {
    const fs::path place = folder.path() / (link ? "linked" : "own");
    std::uint64_t told = 0;
    EXPECT_EQ(link_or_copy(from, place, link, nullptr, [&](std::uint64_t n) { told += n; }), link);
    EXPECT_EQ(told, link ? 0 : bytes.size());
    EXPECT_TRUE(test::read_file(place) == bytes);
    EXPECT_EQ(fs::equivalent(from, place), link);
  }
  // What becomes of one is nothing to the other.
  test::write_file(from, "changed");
  EXPECT_TRUE(test::read_file(folder.path() / "own") == bytes);
}

}  // namespace
}  // namespace qvl
