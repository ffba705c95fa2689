#include "exporter/weight_stream.h"

#include <gtest/gtest.h>

#include <cstring>

#include "core/sha256.h"
#include "models/qwen25vl/tensors.h"
#include "models/qwen25vl/text_graph.h"
#include "onnx/build/graph_builder.h"
#include "qvl/error.h"
#include "support/test_data.h"

namespace qvl {
namespace {

using namespace qwen25vl;

// Counts what it is told.
class CountingProgress : public Progress {
 public:
  void begin(std::string_view, std::uint64_t) override {}
  void advance(std::uint64_t bytes) override { bytes_ += bytes; }
  void end() override {}
  std::uint64_t bytes_ = 0;
};

// Every weight of the file is the checkpoint's, converted and transposed, element by element, and the
// checksum is the file's.
void expect_streamed(const std::filesystem::path& folder, DType dtype, int threads = 2,
                     const StreamLimits& limits = {}) {
  const Checkpoint checkpoint = Checkpoint::open(folder);
  const TensorTable table = tensor_table(read_model_config(checkpoint.folder() / "config.json"));
  TextGraphOptions options;
  options.dtype = dtype;
  const OnnxModel model =
      build_text_graph(read_model_config(checkpoint.folder() / "config.json"), table, options);
  const test::TemporaryFolder out;
  CountingProgress progress;
  const auto [reports, sha256] =
      write_external_data(model, checkpoint, planned_tensors(model, table, source_lookup(checkpoint)),
                          out.path() / "data", {threads, &progress, nullptr, limits, {out.path() / "copy"}});
  EXPECT_TRUE(test::read_file(out.path() / "copy") == test::read_file(out.path() / "data"));
  EXPECT_EQ(sha256, sha256_of_file(out.path() / "data"));
  const std::string bytes = test::read_file(out.path() / "data");
  ASSERT_EQ(bytes.size(), model.external_size_bytes());
  ASSERT_EQ(reports.size(), model.external_tensors().size());
  std::uint64_t written = 0;
  for (const TensorReport& report : reports) {
    const TensorView view = checkpoint.view(table.row(report.name).stored);
    std::vector<float> wide(view.bytes.size() / size_bytes(view.dtype));
    convert(view.dtype, view.bytes, DType::f32, std::as_writable_bytes(std::span(wide)));
    std::vector<std::byte> expected(report.size_bytes);
    convert(DType::f32, std::as_bytes(std::span(wide)), dtype, expected);
    const std::size_t element = size_bytes(dtype);
    const auto rows = static_cast<std::size_t>(view.shape.front());
    const std::size_t columns = wide.size() / rows;
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < wide.size(); ++i) {
      const std::size_t at = report.transform == Transform::none ? i : (i % columns) * rows + i / columns;
      wrong += std::memcmp(bytes.data() + report.offset_bytes + at * element, expected.data() + i * element,
                           element) == 0
                   ? 0
                   : 1;
    }
    EXPECT_EQ(wrong, 0U) << report.name;
    EXPECT_EQ(report.source_dtype, view.dtype);
    written += report.size_bytes;
  }
  EXPECT_EQ(progress.bytes_, 2 * written);
}

TEST(WeightStream, WritesTheCheckpointsWeightsInF16) {
  expect_streamed(test::data("checkpoints/tiny-tied"), DType::f16);
}
TEST(WeightStream, WritesTheCheckpointsWeightsInF32) {
  expect_streamed(test::data("checkpoints/tiny-sharded"), DType::f32);
}
TEST(WeightStream, WritesBfloat16AsF16) { expect_streamed(test::demo_checkpoint(), DType::f16); }

// As a model with weights of gigabytes is written: stripes of some columns, rows in several portions, several
// pieces of each stripe, more threads than processors.
TEST(WeightStream, TakesLargeTensorsInParts) {
  const StreamLimits limits{8192, 20000, 3000};
  for (const int threads : {1, 3, 8}) {
    expect_streamed(test::data("checkpoints/tiny-sharded"), DType::f16, threads, limits);
    expect_streamed(test::data("checkpoints/tiny-tied"), DType::f32, threads, limits);
  }
}

TEST(WeightStream, StopsWhenCancelledAndLeavesNothing) {
  const Checkpoint checkpoint = Checkpoint::open(test::data("checkpoints/tiny-tied"));
  const TensorTable table = tensor_table(read_model_config(checkpoint.folder() / "config.json"));
  const OnnxModel model = build_text_graph(read_model_config(checkpoint.folder() / "config.json"), table, {});
  const test::TemporaryFolder out;
  CancelToken cancel;
  cancel.cancel();
  EXPECT_THROW(
      write_external_data(model, checkpoint, planned_tensors(model, table, source_lookup(checkpoint)),
                          out.path() / "data", {2, nullptr, &cancel, {}, {out.path() / "copy"}}),
      Interrupted);
  EXPECT_TRUE(std::filesystem::is_empty(out.path()));
}

// A shard that lost its end after it was opened: the error is the reader's, whichever thread meets it.
TEST(WeightStream, StopsWhenTheCheckpointCannotBeRead) {
  const test::TemporaryFolder folder;
  std::filesystem::copy(test::data("checkpoints/tiny-tied"), folder.path() / "checkpoint");
  const auto file = folder.path() / "checkpoint" / "model.safetensors";
  const Checkpoint checkpoint = Checkpoint::open(folder.path() / "checkpoint");
  const TensorTable table = tensor_table(read_model_config(checkpoint.folder() / "config.json"));
  const OnnxModel model = build_text_graph(read_model_config(checkpoint.folder() / "config.json"), table, {});
  std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
  EXPECT_THROW(
      write_external_data(model, checkpoint, planned_tensors(model, table, source_lookup(checkpoint)),
                          folder.path() / "data", {3, nullptr, nullptr, {}, {}}),
      InputError);
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "data"));
}

}  // namespace
}  // namespace qvl
