#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "error_message.h"
#include "qvl/error.h"
#include "runtime/library.h"
#include "runtime/ort_handle.h"
#include "runtime/session.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;
using test::message_of_thrown;
using test::says;

fs::path model(const std::string& name) { return test::data("foreign-onnx") / name; }

// The message of the InputError that loading this model gives.
std::string load_error(const fs::path& path) {
  return message_of_thrown<InputError>([&] { const Session session(path); });
}

class Printed {
 public:
  Printed() {
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
  }
  std::string all() {
    std::string text = ::testing::internal::GetCapturedStdout();
    return text + ::testing::internal::GetCapturedStderr();
  }
};

TEST(SessionErrors, FilesThatAreNoModels) {
  const test::TemporaryFolder folder;
  const fs::path missing = folder.path() / "missing.onnx";
  EXPECT_TRUE(says(load_error(missing), missing.string(), "does not exist"));
  EXPECT_TRUE(says(load_error(folder.path()), "not a regular file"));
  test::write_file(folder.path() / "empty.onnx", "");
  EXPECT_TRUE(says(load_error(folder.path() / "empty.onnx"), "is empty"));
  std::mt19937 random(1);
  for (int i = 0; i < 50; ++i) {
    std::string bytes(1U << (random() % 14U), '\0');
    std::ranges::generate(bytes, [&] { return static_cast<char>(random()); });
    const fs::path file = folder.path() / "random.onnx";
    test::write_file(file, bytes);
    EXPECT_TRUE(says(load_error(file), file.string()));
  }
  test::write_file(folder.path() / "model.ort", "\x08\x00\x00\x00ORTM");
  EXPECT_TRUE(says(load_error(folder.path() / "model.ort"), "cannot load the model"));
}

TEST(SessionErrors, TruncatedModels) {
  const test::TemporaryFolder folder;
  const std::string whole = test::read_file(model("text.onnx"));
  for (const std::size_t part : {1U, 2U, 3U, 5U, 9U, 50U, 99U}) {
    const fs::path file = folder.path() / "truncated.onnx";
    test::write_file(file, whole.substr(0, whole.size() * part / 100));
    EXPECT_TRUE(says(load_error(file), file.string())) << part;
  }
}

TEST(SessionErrors, PrintsNothing) {
  const test::TemporaryFolder folder;
  test::write_file(folder.path() / "garbage.onnx", "garbage");
  Printed printed;
  (void)load_error(folder.path() / "garbage.onnx");
  (void)load_error(model("made/unknown-operator.onnx"));
  (void)load_error(model("made/external.onnx"));
  {
    const Session session(model("bert.onnx"));
    const Tensor tokens = Tensor::of<std::int64_t>(DType::i64, {1, 1}, std::vector<std::int64_t>{1 << 30});
    EXPECT_THROW((void)session.run({{"input_ids", tokens.view()}, {"attention_mask", tokens.view()}}),
                 InputError);
  }
  EXPECT_EQ(printed.all(), "");
}

TEST(SessionErrors, ExternalDataMissingOrTooShort) {
  EXPECT_TRUE(says(load_error(model("made/external.onnx")), "external.data"));
  const test::TemporaryFolder folder;
  fs::copy_file(model("made/external.onnx"), folder.path() / "external.onnx");
  test::write_file(folder.path() / "external.data", "too short");
  EXPECT_TRUE(says(load_error(folder.path() / "external.onnx"), "cannot load the model"));
}

TEST(SessionErrors, ModelsThatCannotBeRun) {
  EXPECT_TRUE(says(load_error(model("made/unknown-operator.onnx")), "NoSuchOperator"));
  EXPECT_TRUE(says(load_error(model("made/sequence-input.onnx")), "input s of"));
  EXPECT_TRUE(
      says(load_error(model("made/sequence-input.onnx")), "is a sequence; only tensors are supported"));
  EXPECT_TRUE(says(load_error(model("made/sequence-output.onnx")), "output s of"));
  EXPECT_TRUE(says(load_error(model("made/optional-input.onnx")), "is an optional value"));
  EXPECT_TRUE(says(load_error(model("made/string-input.onnx")), "holds strings"));
}

TEST(SessionErrors, WrongNames) {
  const Session session(model("resnet.onnx"));
  const Tensor pixels(DType::f32, {1, 3, 64, 64});
  const NamedTensor right{"pixel_values", pixels.view()};
  const auto usage_error = [&](const std::vector<NamedTensor>& inputs,
                               const std::vector<std::string>& outputs) {
    return message_of_thrown<UsageError>([&] { (void)session.run(inputs, outputs); });
  };
  EXPECT_TRUE(says(usage_error({{"pixels", pixels.view()}}, {}), "no input pixels", "pixel_values"));
  EXPECT_TRUE(says(usage_error({right}, {"logits"}), "no output logits", "features"));
  EXPECT_TRUE(says(usage_error({}, {}), "input pixel_values (F32 [n, 3, 64, 64]) of the model"));
  EXPECT_TRUE(says(usage_error({right, right}, {}), "named twice"));
  EXPECT_TRUE(says(usage_error({right}, {"features", "features"}), "named twice"));
  EXPECT_EQ(session.run({right})[0].shape(), (Shape{1, 48}));
}

TEST(SessionErrors, WrongTypesAndShapes) {
  const Session session(model("vision_672.onnx"));
  const auto input_error = [&](const TensorView& pixels) {
    return message_of_thrown<InputError>([&] { (void)session.run({{"pixel_values", pixels}}); });
  };
  const Tensor half(DType::f16, {1, 3, 672, 672});
  EXPECT_EQ(input_error(half.view()),
            "input pixel_values: expected F32 [1, 3, 672, 672], found F16 [1, 3, 672, 672]");
  const Tensor tall(DType::f32, {1, 3, 700, 672});
  EXPECT_EQ(input_error(tall.view()),
            "input pixel_values: expected F32 [1, 3, 672, 672], found F32 [1, 3, 700, 672]");
  const Tensor flat(DType::f32, {3, 672, 672});
  EXPECT_TRUE(says(input_error(flat.view()), "found F32 [3, 672, 672]"));
  const Tensor right(DType::f32, {1, 3, 672, 672});
  EXPECT_TRUE(
      says(input_error({DType::f32, right.shape(), right.bytes().first(12)}), "does not take 12 bytes"));
  EXPECT_TRUE(says(input_error({DType::f32, right.shape(), right.bytes().first(right.bytes().size() - 1)}),
                   "does not take"));
}

TEST(SessionErrors, NegativeAndHugeShapes) {
  const Session session(model("made/scalar.onnx"));
  const Tensor scale(DType::f32, {});
  for (const Shape& shape : {Shape{-1}, Shape{std::int64_t{1} << 62}}) {
    EXPECT_THROW((void)session.run({{"x", {DType::f32, shape, {}}}, {"scale", scale.view()}}), InputError);
  }
}

TEST(SessionErrors, BuffersThatDoNotFit) {
  const Session session(model("made/scalar.onnx"));
  const Tensor x(DType::f32, {3});
  const Tensor scale(DType::f32, {});
  const std::vector<NamedTensor> inputs{{"x", x.view()}, {"scale", scale.view()}};
  Tensor room(DType::f32, {8});
  const auto into = [&](DType dtype, const Shape& shape, std::span<std::byte> bytes) {
    session.run_into(inputs, {{"y", dtype, shape, bytes}});
  };
  EXPECT_THROW(into(DType::f16, {3}, room.bytes().first(6)), InputError);
  EXPECT_THROW(into(DType::f32, {3}, room.bytes()), InputError);
  EXPECT_THROW(into(DType::f32, {4}, room.bytes().first(16)), InputError);
  EXPECT_THROW(into(DType::f32, {3}, room.bytes().subspan(1, 12)), UsageError);
  into(DType::f32, {3}, room.bytes().first(12));
}

TEST(SessionErrors, AValueTheModelCannotComputeWith) {
  const Session session(model("bert.onnx"));
  const Tensor tokens = Tensor::of<std::int64_t>(DType::i64, {1, 2}, std::vector<std::int64_t>{0, 1 << 30});
  const Tensor mask = Tensor::of<std::int64_t>(DType::i64, {1, 2}, std::vector<std::int64_t>{1, 1});
  EXPECT_TRUE(says(message_of_thrown<InputError>([&] {
                     (void)session.run({{"input_ids", tokens.view()}, {"attention_mask", mask.view()}});
                   }),
                   "bert.onnx", "Gather"));
}

// Under AddressSanitizer an allocation that fails inside ONNX Runtime ends the program.
#if !defined(QVL_SANITIZED)
TEST(SessionErrors, NoMemoryIsAMachineError) {
  for (const bool arena : {true, false}) {
    SessionOptions options;
    options.memory_arena = arena;
    const Session session(model("made/filled.onnx"), options);
    const Tensor shape =
        Tensor::of<std::int64_t>(DType::i64, {1}, std::vector<std::int64_t>{std::int64_t{1} << 50});
    EXPECT_THROW((void)session.run({{"shape", shape.view()}}), MachineError);
    const Tensor small = Tensor::of<std::int64_t>(DType::i64, {2}, std::vector<std::int64_t>{2, 3});
    EXPECT_EQ(session.run({{"shape", small.view()}})[0].shape(), (Shape{2, 3}));
  }
}
#endif

TEST(SessionErrors, ImpossibleOptions) {
  SessionOptions threads;
  threads.threads = -1;
  EXPECT_THROW(Session(model("resnet.onnx"), threads), UsageError);
  SessionOptions key;
  key.config = {{"", "1"}};
  EXPECT_THROW(Session(model("resnet.onnx"), key), UsageError);
}

TEST(SessionErrors, CudaWithoutAProviderOrADriverIsAMachineError) {
  SessionOptions options;
  options.provider = Provider::cuda;
  const auto load = [&] { const Session session(model("resnet.onnx"), options); };
  const std::vector<std::string> providers = available_providers();
  if (std::ranges::find(providers, "CUDAExecutionProvider") == providers.end()) {
    EXPECT_TRUE(says(message_of_thrown<MachineError>(load),
                     "ONNX Runtime at " + runtime_path() + " has no CUDA provider (it has: ",
                     "CPUExecutionProvider", "scripts/setup.sh --cuda"));
  } else if (!fs::exists("/dev/nvidiactl")) {
    EXPECT_TRUE(says(message_of_thrown<MachineError>(load), "CUDA"));
  } else {
    load();
  }
}

// Numbers of the system say nothing to people.
TEST(SessionError, NumbersOfTheSystemAreInWords) {
  EXPECT_EQ(in_words("open file m.onnx_data fail, errcode = 2"), "open file m.onnx_data fail, errcode = 2");
  EXPECT_EQ(in_words("Exception: /src/initializer.cc:51 Initializer(const TensorProto&) SystemError : 13"),
            "a file that it needs cannot be read: Permission denied");
  EXPECT_EQ(in_words("SystemError : many"), "SystemError : many");
  EXPECT_NE(in_words("a.cc:1 pthread_create failed, error code: 11")
                .find("no more threads can be had; --threads 1"),
            std::string::npos);
}

}  // namespace
}  // namespace qvl
