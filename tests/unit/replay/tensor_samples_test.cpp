#include "replay/tensor_samples.h"

#include <gtest/gtest.h>

#include <array>
#include <filesystem>

#include "checkpoint/safetensors_writer.h"
#include "core/sha256.h"
#include "support/error_text.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;
using test::contains;
using test::input_error;

constexpr const char* kExpected = "a folder with one .safetensors or .npz file for each sample is expected";

void write_sample(const fs::path& path, float value) {
  const std::array values{value, value + 1};
  const std::array<std::int64_t, 1> ids{7};
  write_safetensors(path, std::array{NamedTensor{"x", {DType::f32, {1, 2}, std::as_bytes(std::span(values))}},
                                     NamedTensor{"ids", {DType::i64, {1}, std::as_bytes(std::span(ids))}}});
}

TEST(TensorSamples, OneFileASampleInTheOrderOfNames) {
  const test::TemporaryFolder folder;
  write_sample(folder.path() / "b.safetensors", 5);
  write_sample(folder.path() / "a10.safetensors", 3);
  fs::copy_file(test::data("npz/types-deflated.npz"), folder.path() / "a9.npz");
  // None of these is a sample.
  test::write_file(folder.path() / "README.md", "x");
  test::write_file(folder.path() / ".hidden.npz", "x");
  fs::create_directory(folder.path() / "folder.npz");
  fs::create_symlink("nowhere", folder.path() / "link.npz");

  const TensorSamples samples(folder.path());
  ASSERT_EQ(samples.size(), 3U);
  EXPECT_EQ(samples.name(0), "a10.safetensors");
  EXPECT_EQ(samples.name(1), "a9.npz");
  EXPECT_EQ(samples.name(2), "b.safetensors");
  EXPECT_EQ(samples.sha256(0), sha256_of_file(folder.path() / "a10.safetensors"));
  EXPECT_NE(samples.sha256(0), samples.sha256(2));

  const auto first = samples.load(0);
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(first[0].first, "ids");
  EXPECT_EQ(first[0].second.as<std::int64_t>()[0], 7);
  EXPECT_EQ(first[1].first, "x");
  EXPECT_EQ(first[1].second.shape(), (Shape{1, 2}));
  EXPECT_EQ(first[1].second.as<float>()[1], 4);

  const auto second = samples.load(1);
  ASSERT_EQ(second.size(), 12U);
  EXPECT_EQ(second[0].first, "b1");
  EXPECT_EQ(second[11].first, "u8");
  EXPECT_EQ(second[2].first, "f4");
  EXPECT_EQ(second[2].second.as<float>()[5], 2);
}

TEST(TensorSamples, TheFirstSoMany) {
  const test::TemporaryFolder folder;
  for (const char* name : {"c.safetensors", "a.safetensors", "b.safetensors"})
    write_sample(folder.path() / name, 1);
  EXPECT_EQ(TensorSamples(folder.path(), 0).size(), 3U);
  EXPECT_EQ(TensorSamples(folder.path(), 9).size(), 3U);
  const TensorSamples two(folder.path(), 2);
  ASSERT_EQ(two.size(), 2U);
  EXPECT_EQ(two.name(1), "b.safetensors");
}

TEST(TensorSamples, SaysWhatAFolderOfSamplesIs) {
  const test::TemporaryFolder folder;
  const auto error_of = [](const fs::path& path) { return input_error([&] { TensorSamples{path}; }); };
  EXPECT_EQ(error_of(folder.path() / "none"),
            (folder.path() / "none").string() + " is not there; " + kExpected);
  EXPECT_EQ(error_of(folder.path()), folder.path().string() + " is empty; " + kExpected);
  test::write_file(folder.path() / "x.bin", "x");
  EXPECT_EQ(error_of(folder.path()),
            folder.path().string() + " holds no .safetensors and no .npz file; " + kExpected);
  EXPECT_EQ(error_of(folder.path() / "x.bin"),
            (folder.path() / "x.bin").string() + " is not a folder; " + kExpected);
}

TEST(TensorSamples, NamesTheSampleThatIsBroken) {
  const test::TemporaryFolder folder;
  test::write_file(folder.path() / "a.npz", "no archive");
  test::write_file(folder.path() / "b.safetensors", "no tensors");
  std::string nothing = "PK\x05\x06";  // an archive of nothing
  nothing.resize(22, '\0');
  test::write_file(folder.path() / "c.npz", nothing);
  test::write_file(folder.path() / "d.npz", "gone");
  const TensorSamples samples(folder.path());
  fs::remove(folder.path() / "d.npz");
  EXPECT_TRUE(contains(input_error([&] { (void)samples.load(0); }), "a.npz is not a valid .npz file"));
  EXPECT_TRUE(
      contains(input_error([&] { (void)samples.load(1); }), "b.safetensors is not a valid safetensors"));
  EXPECT_TRUE(contains(input_error([&] { (void)samples.load(2); }), "c.npz holds no tensor"));
  EXPECT_TRUE(contains(input_error([&] { (void)samples.load(3); }), "d.npz"));
  EXPECT_TRUE(contains(input_error([&] { (void)samples.sha256(3); }), "d.npz"));
}

}  // namespace
}  // namespace qvl
