#include "checkpoint/safetensors_writer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "checkpoint/safetensors.h"
#include "qvl/error.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

Tensor numbered(DType dtype, const Shape& shape, int first) {
  Tensor tensor(dtype, shape);
  for (std::size_t i = 0; i < tensor.bytes().size(); ++i) {
    tensor.bytes()[i] = static_cast<std::byte>((static_cast<std::size_t>(first) + i) & 0xffU);
  }
  return tensor;
}

TEST(SafetensorsWriter, WritesWhatTheReaderReads) {
  const Tensor bytes = numbered(DType::u8, {3}, 1);
  const Tensor halves = numbered(DType::bf16, {2, 2}, 2);
  const Tensor doubles = numbered(DType::f64, {}, 3);
  const Tensor none = numbered(DType::i64, {0, 4}, 4);
  std::vector<NamedTensor> tensors = {{"bytes", bytes.view()},
                                      {"größe \"\n", halves.view()},
                                      {"scalar", doubles.view()},
                                      {"none", none.view()}};
  const test::TemporaryFolder folder;
  const fs::path place = folder.path() / "x.safetensors";
  write_safetensors(place, tensors, {{"format", "pt"}, {"by", "qvl"}});

  const SafetensorsFile file(place);
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"format", "pt"}, {"by", "qvl"}}));
  ASSERT_EQ(file.entries().size(), tensors.size());
  for (const NamedTensor& tensor : tensors) {
    const TensorView view = file.tensor(tensor.name);
    EXPECT_EQ(view.dtype, tensor.tensor.dtype);
    EXPECT_EQ(view.shape, tensor.tensor.shape);
    EXPECT_TRUE(std::ranges::equal(view.bytes, tensor.tensor.bytes)) << tensor.name;
    EXPECT_EQ(file.find(tensor.name)->begin_bytes % size_bytes(view.dtype), 0U) << tensor.name;
  }
  EXPECT_EQ(file.entries().front().begin_bytes % 8, 0U);

  // The order given does not count.
  std::reverse(tensors.begin(), tensors.end());
  write_safetensors(folder.path() / "y.safetensors", tensors, {{"format", "pt"}, {"by", "qvl"}});
  EXPECT_EQ(test::read_file(place), test::read_file(folder.path() / "y.safetensors"));
}

TEST(SafetensorsWriter, CopiesACheckpoint) {
  const SafetensorsFile source(test::demo_checkpoint() / "model.safetensors");
  std::vector<NamedTensor> tensors;
  for (const TensorEntry& entry : source.entries()) tensors.push_back({entry.name, source.tensor(entry)});
  const test::TemporaryFolder folder;
  write_safetensors(folder.path() / "x.safetensors", tensors);
  const SafetensorsFile copy(folder.path() / "x.safetensors");
  EXPECT_TRUE(copy.metadata().empty());
  ASSERT_EQ(copy.entries().size(), source.entries().size());
  for (const NamedTensor& tensor : tensors) {
    EXPECT_TRUE(std::ranges::equal(copy.tensor(tensor.name).bytes, tensor.tensor.bytes)) << tensor.name;
  }
}

TEST(SafetensorsWriter, WritesAFileWithoutTensors) {
  const test::TemporaryFolder folder;
  write_safetensors(folder.path() / "x.safetensors", {});
  EXPECT_TRUE(SafetensorsFile(folder.path() / "x.safetensors").entries().empty());
}

TEST(SafetensorsWriter, RefusesWhatTheFormatCannotHold) {
  const Tensor tensor = numbered(DType::f32, {2}, 0);
  const test::TemporaryFolder folder;
  const fs::path place = folder.path() / "x.safetensors";
  const auto write = [&](const std::vector<NamedTensor>& tensors,
                         const std::map<std::string, std::string>& metadata) {
    write_safetensors(place, tensors, metadata);
  };
  TensorView wrong = tensor.view();
  wrong.shape = {3};
  TensorView negative = tensor.view();
  negative.shape = {-2};
  EXPECT_THROW(write({{"a", tensor.view()}, {"a", tensor.view()}}, {}), UsageError);
  EXPECT_THROW(write({{"__metadata__", tensor.view()}}, {}), UsageError);
  EXPECT_THROW(write({{"a", wrong}}, {}), UsageError);
  EXPECT_THROW(write({{"a", negative}}, {}), UsageError);
  EXPECT_THROW(write({{"\xff", tensor.view()}}, {}), UsageError);
  EXPECT_THROW(write({}, {{"a", "\xff"}}), UsageError);
  EXPECT_FALSE(fs::exists(place));
  EXPECT_THROW(write_safetensors(folder.path() / "none" / "x", {}), InputError);
}

}  // namespace
}  // namespace qvl
