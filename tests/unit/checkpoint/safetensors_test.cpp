#include "checkpoint/safetensors.h"

#include <gtest/gtest.h>

#include <algorithm>

#include <utility>

#include "safetensors_bytes.h"
#include "support/error_text.h"
#include "support/test_data.h"

namespace qvl {
namespace {

using test::contains;
using test::input_error;
using test::json_object;
using test::safetensors_bytes;
using test::tensor_json;

std::string two_tensors() {
  return safetensors_bytes(
      json_object({tensor_json("a", "U8", "[3]", 0, 3), tensor_json("b", "I16", "[1,2]", 3, 7)}), 7);
}

TEST(SafetensorsFile, ViewsItsTensors) {
  const test::TemporaryFolder folder;
  test::write_file(folder.path() / "x.safetensors", two_tensors());
  SafetensorsFile opened(folder.path() / "x.safetensors");
  // Everything holds after a move, too.
  const SafetensorsFile file = std::move(opened);
  ASSERT_EQ(file.entries().size(), 2U);
  const TensorView b = file.tensor("b");
  EXPECT_EQ(b.dtype, DType::i16);
  EXPECT_EQ(b.shape, (Shape{1, 2}));
  ASSERT_EQ(b.bytes.size(), 4U);
  EXPECT_EQ(b.bytes[0], std::byte{3});
  EXPECT_EQ(b.bytes[3], std::byte{6});
  EXPECT_EQ(file.find("b"), &file.entries()[1]);
  EXPECT_EQ(file.find("c"), nullptr);
  EXPECT_TRUE(contains(input_error([&] { (void)file.tensor("c"); }), "has no tensor \"c\""));
}

TEST(SafetensorsFile, ReadsWhatItViews) {
  const SafetensorsFile file(test::demo_checkpoint() / "model.safetensors");
  const TensorEntry& entry = file.entries().back();
  std::vector<std::byte> bytes(entry.size_bytes());
  file.read(entry, 0, bytes);
  EXPECT_TRUE(std::ranges::equal(bytes, file.tensor(entry).bytes));
}

TEST(SafetensorsFile, RefusesATruncatedFile) {
  const test::TemporaryFolder folder;
  const std::string whole =
      test::read_file(test::data("checkpoints/tiny-sharded/model-00001-of-00003.safetensors"));
  for (const std::size_t size : {std::size_t{0}, std::size_t{5}, std::size_t{8}, std::size_t{100},
                                 whole.size() / 2, whole.size() - 1}) {
    test::write_file(folder.path() / "x.safetensors", whole.substr(0, size));
    const std::string error = input_error([&] { SafetensorsFile(folder.path() / "x.safetensors"); });
    EXPECT_TRUE(contains(error, "x.safetensors")) << size << error;
  }
  EXPECT_THROW(SafetensorsFile("/none/x.safetensors"), InputError);
  EXPECT_THROW(SafetensorsFile(folder.path()), InputError);
}

}  // namespace
}  // namespace qvl
