// What scripts rely on: commands, outputs, exit codes (README.md).
#include <gtest/gtest.h>

#include <fstream>

#include "checkpoint/safetensors.h"
#include "checkpoint/safetensors_writer.h"
#include "cli/program.h"
#include "core/json_text.h"
#include "qvl/version.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;
using test::qvl;

const fs::path& demo_folder() {
  static const test::TemporaryFolder root;
  static const fs::path out = [] {
    const auto result = qvl({"export", test::demo_checkpoint(), "--out", root.path() / "out", "--quiet"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.err, "");
    return root.path() / "out";
  }();
  return out;
}

std::string picture() { return test::demo_checkpoint().parent_path() / "pictures" / "shapes.jpg"; }

TEST(Cli, EveryCommandHasHelpWithAnExample) {
  for (const std::string command : {"export", "run", "inspect", "infer", "tokenize", "render-chat",
                                    "preprocess", "synth", "verify", "evaluate", "bench"}) {
    const auto result = qvl({command, "--help"});
    EXPECT_EQ(result.exit_code, 0) << command;
    EXPECT_NE(result.out.find("Example:\n  qvl " + command), std::string::npos) << result.out;
  }
  EXPECT_EQ(qvl({"--version"}).out, "qvl " QVL_VERSION "\n");
  EXPECT_NE(qvl({"--help"}).out.find("export"), std::string::npos);
}

TEST(Cli, WrongUsageIsTwo) {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {},
           {"frobnicate"},
           {"export"},
           {"export", "x"},
           {"export", "x", "--out", "y", "--set", "serving"},
           {"export", "x", "--out", "y", "--image-size", "big"},
           {"export", test::demo_checkpoint(), "--out", "/tmp/none/x", "--image-size", "100"},
           {"export", "x", "--out", "y", "--only", "audio"},
           {"run", "x"},
           {"run", "x", "--prompt", "y", "--max-new-tokens", "-1"},
           {"run", "x", "--prompt", "y", "--provider", "tpu"},
           {"evaluate", "x"},
           {"evaluate", "--data", "x"},
           {"evaluate", "x", "--data", "y", "--samples", "-1"},
           {"tokenize", "x", "--decode"},
           {"tokenize", "x", "y", "--jsonl"},
           {"preprocess", "x", "y"},
           {"preprocess", test::demo_checkpoint(), picture(), "--fixed", "30", "--out", "/tmp/none/x"}}) {
    const auto result = qvl(arguments);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_NE(result.err, "");
  }
}

TEST(Cli, Tokenize) {
  const auto result = qvl({"tokenize", test::demo_checkpoint(), "Describe the image."});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json json = parse_json(result.out, "out");
  ASSERT_EQ(json["ids"].size(), json["tokens"].size());
  EXPECT_GT(json["ids"].size(), 2U);
  // From stdin, and from the tokenizer's file: the same.
  EXPECT_EQ(qvl({"tokenize", test::demo_checkpoint()}, "Describe the image.").out, result.out);
  EXPECT_EQ(qvl({"tokenize", test::demo_checkpoint() / "tokenizer.json", "Describe the image."}).out,
            result.out);
  EXPECT_EQ(qvl({"tokenize", demo_folder(), "Describe the image."}).out, result.out);
}

TEST(Cli, TokenizeLinesAndBack) {
  const Json golden = read_json_file(test::data("tokenizer/shapes.json"));
  std::string texts;
  std::string ids;
  for (const Json& c : golden["encode"]) {
    texts += c["text"].dump() + "\n";
    ids += c["ids"].dump() + "\n";
  }
  const auto encoded = qvl({"tokenize", test::demo_checkpoint(), "--jsonl"}, texts);
  ASSERT_EQ(encoded.exit_code, 0) << encoded.err;
  EXPECT_EQ(encoded.out, ids);
  const auto decoded = qvl({"tokenize", test::demo_checkpoint(), "--decode", "--jsonl"}, "[760, 287]\n[]\n");
  EXPECT_EQ(decoded.out, "\"<|im_start|>There\"\n\"\"\n");
  const auto skipped =
      qvl({"tokenize", test::demo_checkpoint(), "--decode", "--jsonl", "--skip-special"}, "[760, 287]\n");
  EXPECT_EQ(skipped.out, "\"There\"\n");
  for (const std::string bad :
       {"nonsense\n", "{}\n", "[\"a\"]\n", "[-1]\n", "[1.0]\n", "[99999999999999999999]\n", "\n"}) {
    const auto result = qvl({"tokenize", test::demo_checkpoint(), "--decode", "--jsonl"}, "[1]\n" + bad);
    EXPECT_EQ(result.exit_code, 3);
    EXPECT_NE(result.err.find("line 2"), std::string::npos) << result.err;
  }
}

TEST(Cli, RenderChat) {
  const test::TemporaryFolder folder;
  const Json golden = read_json_file(test::data("tokenizer/chat.json"));
  std::size_t checked = 0;
  for (const Json& c : golden["cases"]) {
    if (++checked > 12) break;  // all of them are checked in the text layer
    test::write_file(folder.path() / "chat.json", c["messages"].dump());
    std::vector<std::string> arguments{"render-chat", test::demo_checkpoint(), "--messages",
                                       folder.path() / "chat.json"};
    if (!c["add_generation_prompt"].get<bool>()) arguments.emplace_back("--no-generation-prompt");
    if (c["add_vision_id"].get<bool>()) arguments.emplace_back("--add-vision-id");
    const auto plain = qvl(arguments);
    EXPECT_EQ(plain.out, c["rendered"].get<std::string>()) << plain.err;
    arguments.emplace_back("--json");
    const Json json = parse_json(qvl(arguments).out, "out");
    EXPECT_EQ(json["text"], c["rendered"]);
    EXPECT_FALSE(json["ids"].empty());
  }
}

TEST(Cli, Preprocess) {
  const test::TemporaryFolder folder;
  const std::string out = folder.path() / "p.safetensors";
  const auto native = qvl({"preprocess", test::demo_checkpoint(), test::data("picture-files/exif-6.jpg"),
                           "--min-pixels", "3136", "--max-pixels", "12845056", "--out", out});
  ASSERT_EQ(native.exit_code, 0) << native.err;
  EXPECT_EQ(native.out, "{\"oriented\":[200,108],\"resized\":[196,112],\"grid_thw\":[1,14,8]}\n");
  {
    const SafetensorsFile file(out);
    EXPECT_EQ(file.tensor("rgb").shape, (Shape{196, 112, 3}));
    EXPECT_EQ(file.tensor("rgb").dtype, DType::u8);
    EXPECT_EQ(file.tensor("pixel_values").shape, (Shape{112, 1176}));
    EXPECT_EQ(file.tensor("image_grid_thw").shape, (Shape{1, 3}));
  }
  const auto fixed = qvl({"preprocess", test::demo_checkpoint(), picture(), "--fixed", "672", "--out", out});
  ASSERT_EQ(fixed.exit_code, 0) << fixed.err;
  const SafetensorsFile file(out);
  EXPECT_EQ(file.tensor("pixel_values").shape, (Shape{1, 3, 672, 672}));
}

TEST(Cli, ExportPrintsTheArtifacts) {
  const test::TemporaryFolder folder;
  const auto result = qvl({"export", test::demo_checkpoint(), "--out", folder.path() / "o"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::string base = (folder.path() / "o").string();
  EXPECT_EQ(result.out, base + "/shapes_vl_vision_672_fp32.onnx\n" + base + "/shapes_vl_text_fp16.onnx\n" +
                            base + "/shapes_vl_text_with_image_fp16.onnx\n");
  // Plain lines where stderr is no terminal.
  EXPECT_NE(result.err.find("shapes_vl_text_fp16.onnx: "), std::string::npos) << result.err;
  EXPECT_EQ(result.err.find('\r'), std::string::npos);
  EXPECT_EQ(qvl({"export", test::demo_checkpoint(), "--out", folder.path() / "o"}).exit_code, 3);
  EXPECT_EQ(qvl({"export", test::demo_checkpoint(), "--out", folder.path() / "o", "--force"}).exit_code, 0);
}

TEST(Cli, EqualDataIsAFileOfItsOwnOrAHardLink) {
  const test::TemporaryFolder folder;
  const std::string data = "shapes_vl_text_fp16.onnx_data";
  const std::string pictures = "shapes_vl_text_with_image_fp16.onnx_data";
  for (const std::string option : {"--copy-data", "--hard-link"}) {  // the first is of older scripts
    const fs::path out = folder.path() / option;
    const auto result = qvl({"export", test::demo_checkpoint(), "--out", out, option, "--quiet", "--only",
                             "text,text_with_image"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(fs::equivalent(out / data, out / pictures), option == "--hard-link");
    EXPECT_TRUE(test::read_file(out / data) == test::read_file(out / pictures));
  }
  const auto both =
      qvl({"export", test::demo_checkpoint(), "--out", folder.path() / "both", "--hard-link", "--copy-data"});
  EXPECT_EQ(both.exit_code, 2);
  EXPECT_NE(both.err.find("--copy-data asks for the opposite"), std::string::npos) << both.err;
  for (const char* command : {"export", "quantize"}) {
    const std::string help = qvl({command, "--help"}).out;
    EXPECT_NE(help.find("--hard-link"), std::string::npos);
    EXPECT_EQ(help.find("--copy-data"), std::string::npos);
  }
}

TEST(Cli, RunStreamsTheAnswer) {
  const auto result = qvl({"run", demo_folder(), "--image", picture(), "--prompt", "Describe the image."});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(
      result.out,
      "There are three shapes: a small yellow square at the top, a large yellow cross at the left and a "
      "small green circle at the center.\n");
  EXPECT_EQ(result.err, "");
}

TEST(Cli, RunInJson) {
  const auto result =
      qvl({"run", demo_folder(), "--image", picture(), "--prompt", "How many shapes are there?", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json json = parse_json(result.out, "out");
  EXPECT_EQ(json["text"], "There are three shapes.");
  EXPECT_EQ(json["stop"], "eos");
  EXPECT_EQ(json["image_tokens"], 576);
  EXPECT_GT(json["prompt_tokens"], 576);
  EXPECT_EQ(json["ids"].size(), 5U);
  for (const char* stage : {"load", "preprocess", "vision", "first_token", "total"})
    EXPECT_GT(json["ms"][stage], 0) << stage;
  const auto cut = qvl({"run", demo_folder(), "--prompt", "Hello", "--system", "Be brief.",
                        "--max-new-tokens", "2", "--json", "--threads", "1"});
  ASSERT_EQ(cut.exit_code, 0) << cut.err;
  EXPECT_LE(parse_json(cut.out, "out")["ids"].size(), 2U);
}

TEST(Cli, RunWithoutTheCudaProviderSaysSo) {
  const auto result =
      qvl({"run", demo_folder(), "--image", picture(), "--prompt", "Hi", "--provider", "cuda"});
  if (result.exit_code == 0) GTEST_SKIP() << "this machine has the CUDA provider";
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_NE(result.err.find("CUDA"), std::string::npos) << result.err;
}

TEST(Cli, Infer) {
  const test::TemporaryFolder folder;
  const std::string in = folder.path() / "in.safetensors";
  const std::string out = folder.path() / "out.safetensors";
  const std::vector<std::int64_t> ids{287, 288, 453};
  const std::vector<std::int64_t> mask{1, 1, 1};
  const std::vector<NamedTensor> tensors{
      {"input_ids", {DType::i64, {1, 3}, std::as_bytes(std::span(ids))}},
      {"attention_mask", {DType::i64, {1, 3}, std::as_bytes(std::span(mask))}}};
  write_safetensors(in, tensors);
  const std::string model = demo_folder() / "shapes_vl_text_fp16.onnx";
  const auto result = qvl({"infer", model, "--inputs", in, "--outputs", out});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "logits F16 [1, 3, 800]\n");
  EXPECT_EQ(SafetensorsFile(out).tensor("logits").shape, (Shape{1, 3, 800}));
  // A tensor is missing, and one too many.
  write_safetensors(in, std::span(tensors).first(1));
  const auto missing = qvl({"infer", model, "--inputs", in, "--outputs", out});
  EXPECT_EQ(missing.exit_code, 3);
  EXPECT_NE(missing.err.find("attention_mask"), std::string::npos) << missing.err;
  EXPECT_EQ(qvl({"infer", "/none.onnx", "--inputs", in, "--outputs", out}).exit_code, 3);
}

TEST(Cli, Inspect) {
  const auto result = qvl({"inspect", demo_folder() / "shapes_vl_text_with_image_fp16.onnx", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json json = parse_json(result.out, "out");
  EXPECT_EQ(json["opset"], 17);
  EXPECT_EQ(json["inputs"], Json::parse(R"([{"name": "input_ids", "dtype": "I64", "shape": ["batch", "seq"]},
                                            {"name": "attention_mask", "dtype": "I64", "shape": ["batch", "seq"]},
                                            {"name": "image_embeds", "dtype": "F16", "shape": ["batch", "seq", 192]}])"));
  EXPECT_EQ(json["outputs"],
            Json::parse(R"([{"name": "logits", "dtype": "F16", "shape": ["batch", "seq", 800]}])"));
  EXPECT_EQ(json["ops"]["MatMul"], 4 * 9 + 1);
  EXPECT_FALSE(json["ops"].contains("Gemm"));
  EXPECT_GT(json["parameters"], 1000000);
  EXPECT_GT(json["bytes"], 2000000);
  const auto folder = qvl({"inspect", demo_folder(), "--json"});
  EXPECT_EQ(parse_json(folder.out, "out").size(), 3U);
  const auto text = qvl({"inspect", demo_folder()});
  EXPECT_NE(text.out.find("vision_features"), std::string::npos);
  // Weights are not needed.
  const test::TemporaryFolder alone;
  fs::copy(demo_folder() / "shapes_vl_text_fp16.onnx", alone.path() / "m.onnx");
  EXPECT_EQ(qvl({"inspect", alone.path() / "m.onnx"}).exit_code, 0);
}

// The artifacts' inputs and outputs, as users' scripts expect them.
TEST(Cli, ArtifactsHaveTheContractsPorts) {
  const Json all = parse_json(qvl({"inspect", demo_folder(), "--json"}).out, "out");
  const Json& vision = all["shapes_vl_vision_672_fp32.onnx"];
  EXPECT_EQ(vision["inputs"],
            Json::parse(R"([{"name": "pixel_values", "dtype": "F32", "shape": [1, 3, 672, 672]}])"));
  EXPECT_EQ(vision["outputs"],
            Json::parse(R"([{"name": "vision_features", "dtype": "F32", "shape": [576, 192]}])"));
  EXPECT_EQ(all["shapes_vl_text_fp16.onnx"]["inputs"].size(), 2U);
  const test::TemporaryFolder folder;
  EXPECT_EQ(qvl({"export", test::demo_checkpoint(), "--out", folder.path(), "--only", "text", "--mask-type",
                 "bool", "--stem", "s"})
                .exit_code,
            0);
  const Json text = parse_json(qvl({"inspect", folder.path() / "s_text_fp16.onnx", "--json"}).out, "out");
  EXPECT_EQ(text["inputs"][1]["dtype"], "BOOL");
}

}  // namespace
}  // namespace qvl
