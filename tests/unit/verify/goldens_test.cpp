// The folder's models against goldens of the reference implementation, stage by stage.
#include "verify/goldens.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <random>

#include "checkpoint/safetensors.h"
#include "checkpoint/safetensors_writer.h"
#include "core/json_text.h"
#include "models/family.h"
#include "models/qwen25vl/golden_stages.h"
#include "qvl/export.h"
#include "qvl/version.h"
#include "support/test_data.h"
#include "verify/file_checks.h"
#include "verify/graph_checks.h"
#include "verify/stage_checks.h"

namespace qvl {
namespace {

using namespace qwen25vl;

namespace fs = std::filesystem;

struct Model {
  fs::path checkpoint;
  fs::path goldens;
  std::int64_t width;
  std::int64_t height;
};

Model model(const std::string& name) {
  const fs::path goldens = test::data("goldens/verify-" + name + ".safetensors");
  if (name == "shapes-vl") return {test::demo_checkpoint(), goldens, 56, 56};
  const fs::path checkpoint = test::data("checkpoints/" + name);
  return name == "tiny-tied" ? Model{checkpoint, goldens, 112, 112} : Model{checkpoint, goldens, 140, 84};
}

void export_to(const fs::path& out, const Model& m, bool f32, std::vector<std::string> only = {}) {
  ExportOptions options;
  options.checkpoint = m.checkpoint;
  options.out = out;
  options.stem = "m";
  options.image_width_pixels = m.width;
  options.image_height_pixels = m.height;
  options.text_in_f32 = f32;
  options.only = std::move(only);
  export_checkpoint(options);
}

// A golden file in memory, to be changed and written.
struct EditableGoldens {
  std::map<std::string, std::string> metadata;
  std::map<std::string, Tensor> tensors;

  explicit EditableGoldens(const fs::path& path) {
    const SafetensorsFile file(path);
    metadata = file.metadata();
    for (const TensorEntry& entry : file.entries()) {
      const TensorView view = file.tensor(entry);
      tensors.emplace(entry.name, Tensor::of<std::byte>(view.dtype, view.shape, view.bytes));
    }
  }

  void write(const fs::path& path) const {
    std::vector<NamedTensor> named;
    for (const auto& [name, tensor] : tensors) named.push_back({name, tensor.view()});
    write_safetensors(path, named, metadata);
  }
};

// The certificate of the stages alone, and the first that diverges.
Certificate stages(const fs::path& folder, const fs::path& goldens, bool run = true) {
  VerifyOptions options;
  options.folder = folder;
  options.threads = 1;
  options.run = run;
  Subject subject = open_subject(options);
  CheckList before;
  check_files(subject, before);
  check_configs(subject, before);
  check_graphs(subject, before);
  const Goldens read = Goldens::open(goldens, *subject.configs->model);
  CheckList checks;
  Certificate certificate;
  certificate.first_divergence = check_stages(subject, read, checks);
  certificate.checks = checks.take();
  return certificate;
}

std::size_t count(const Certificate& certificate, CheckStatus status) {
  return static_cast<std::size_t>(std::ranges::count(certificate.checks, status, &Check::status));
}

class Stages : public testing::TestWithParam<std::tuple<std::string, bool>> {};

TEST_P(Stages, AllAgreeWithTheReference) {
  const auto& [name, f32] = GetParam();
  const Model m = model(name);
  const test::TemporaryFolder folder;
  export_to(folder.path(), m, f32);
  const Certificate certificate = stages(folder.path(), m.goldens);
  EXPECT_EQ(certificate.first_divergence, "");
  for (const Check& check : certificate.checks)
    EXPECT_EQ(check.status, CheckStatus::passed) << check.name << ": " << check.detail;
  // goldens; of the picture 4 stages, blocks and 2 around them, layers and 3 around them; text and batch
  // likewise.
  const ModelConfig config = read_model_config(m.checkpoint / "config.json");
  EXPECT_EQ(certificate.checks.size(),
            static_cast<std::size_t>(1 + 4 + config.vision.depth + 2 + 3 * config.text.num_hidden_layers + 3 +
                                     5 + 4));
}

INSTANTIATE_TEST_SUITE_P(Models, Stages,
                         testing::Combine(testing::Values("tiny-tied", "tiny-sharded", "shapes-vl"),
                                          testing::Bool()),
                         [](const auto& instance) {
                           std::string name =
                               std::get<0>(instance.param) + (std::get<1>(instance.param) ? "F32" : "F16");
                           std::erase(name, '-');
                           return name;
                         });

// One folder in f32 for everything below.
const fs::path& good_folder() {
  static const test::TemporaryFolder root;
  static const fs::path out = [] {
    export_to(root.path() / "out", model("tiny-tied"), true);
    return root.path() / "out";
  }();
  return out;
}

// A weight that is not what it was: the stage that it belongs to is named, whatever diverges after it.
TEST(BrokenWeights, FirstStageThatDiverges) {
  const Json manifest = read_json_file(good_folder() / "manifest.json");
  const test::TemporaryFolder root;
  const fs::path folder = root.path() / "out";
  fs::copy(good_folder(), folder);  // copies of hard links
  const std::map<std::string, std::string> stage_of{
      {"visual.patch_embed.proj.weight", "vision.patch_embed"},
      {"visual.blocks.0.attn.qkv.bias", "vision.blocks.0"},
      {"visual.blocks.1.mlp.down_proj.bias", "vision.blocks.1"},
      {"visual.blocks.2.norm2.weight", "vision.blocks.2"},
      {"visual.merger.mlp.2.bias", "vision_features"},
      {"rotary.key_sin", "vision.blocks.0"},
      {"model.embed_tokens.weight", "text.embeddings"},
      {"model.layers.1.self_attn.v_proj.bias", "text.layers.1"},
      {"model.layers.2.input_layernorm.weight", "text.layers.2"},
      {"model.norm.weight", "logits"}};
  std::size_t seen = 0;
  for (const Json& artifact : manifest["artifacts"]) {
    for (const Json& t : artifact["tensors"]) {
      const auto found = stage_of.find(t["name"]);
      if (found == stage_of.end() || artifact["artifact"] == "text") continue;
      const fs::path data = folder / artifact["data_file"].get<std::string>();
      const std::string good = test::read_file(data);
      std::string bytes = good;
      const std::vector<float> other(t["bytes"].get<std::size_t>() / sizeof(float), 0.75F);
      std::memcpy(bytes.data() + t["offset"].get<std::size_t>(), other.data(), other.size() * sizeof(float));
      test::write_file(data, bytes);
      const Certificate certificate = stages(folder, model("tiny-tied").goldens);
      EXPECT_EQ(certificate.first_divergence, found->second) << found->first;
      EXPECT_EQ(certificate.first_failure()->name, "golden.image_0_0." + found->second);
      test::write_file(data, good);
      ++seen;
    }
  }
  EXPECT_EQ(seen, stage_of.size());
  EXPECT_EQ(stages(folder, model("tiny-tied").goldens).first_divergence, "");
}

// A golden that is changed: the stage is named, and what comes after it agrees, unless it is made from it.
TEST(ChangedGoldens, TheStageThatDiverges) {
  const Model m = model("tiny-tied");
  const test::TemporaryFolder folder;
  const fs::path path = folder.path() / "g.safetensors";
  const std::map<std::string, std::string> stage_of{{"resized", "resize"},
                                                    {"pixel_values", "pixel_values"},
                                                    {"position_ids", "position_ids"},
                                                    {"vision.blocks.1", "vision.blocks.1"},
                                                    {"vision_features", "vision_features"},
                                                    {"text.layers.0", "text.layers.0"},
                                                    {"logits", "logits"},
                                                    {"greedy_ids", "greedy"}};
  for (const auto& [tensor, stage] : stage_of) {
    EditableGoldens goldens(m.goldens);
    Tensor& changed = goldens.tensors.at("image_0_0." + tensor);
    if (changed.dtype() == DType::u8) {
      changed.as<std::uint8_t>()[77] ^= 1;
    } else if (changed.dtype() == DType::i64) {
      changed.as<std::int64_t>()[0] += 1;
    } else {
      changed.as<float>()[5] += 0.05F;
    }
    goldens.write(path);
    const Certificate certificate = stages(good_folder(), path);
    EXPECT_EQ(certificate.first_divergence, stage);
    EXPECT_EQ(count(certificate, CheckStatus::failed), 1U) << tensor;
  }
  // A changed picture: another one is resized. A changed id: the prompt is another one, and so is all after
  // it.
  EditableGoldens picture(m.goldens);
  std::ranges::fill(picture.tensors.at("image_0_0.picture").as<std::uint8_t>(), 200);
  picture.write(path);
  EXPECT_EQ(stages(good_folder(), path).first_divergence, "resize");
  EditableGoldens ids(m.goldens);
  ids.tensors.at("text_0.input_ids").as<std::int64_t>()[2] += 1;
  ids.write(path);
  EXPECT_EQ(stages(good_folder(), path).first_divergence, "token_ids");
  EditableGoldens nan(m.goldens);
  nan.tensors.at("text_0.logits").as<float>()[9] = NAN;
  nan.write(path);
  EXPECT_EQ(stages(good_folder(), path).first_divergence, "logits");
}

TEST(PartialGoldens, GoOnFromWhatThereIs) {
  const Model m = model("tiny-tied");
  const test::TemporaryFolder folder;
  const fs::path path = folder.path() / "g.safetensors";
  EditableGoldens goldens(m.goldens);
  for (const char* tensor : {"picture", "resized", "vision.rows", "vision.patch_embed", "vision.blocks.0",
                             "vision.blocks.1", "vision.blocks.2", "attention_mask", "logits", "greedy_gaps"})
    goldens.tensors.erase(std::string("image_0_0.") + tensor);
  goldens.write(path);
  const Certificate certificate = stages(good_folder(), path);
  EXPECT_EQ(certificate.first_divergence, "");
  EXPECT_EQ(count(certificate, CheckStatus::skipped), 0U);
  std::vector<std::string> names;
  for (const Check& check : certificate.checks) {
    if (check.name.starts_with("golden.image_0_0.")) names.push_back(check.name.substr(17));
  }
  EXPECT_EQ(names,
            (std::vector<std::string>{"token_ids", "position_ids", "vision_features", "text.embeddings",
                                      "text.layers.0", "text.layers.1", "text.layers.2", "greedy"}));
}

TEST(PartialFolders, SkipWhatCannotBeRun) {
  const Model m = model("tiny-tied");
  const test::TemporaryFolder folder;
  export_to(folder.path(), m, true, {"text_with_image"});
  // Without vision the goldens' features are taken; without the text artifact the other one takes plain text.
  const Certificate certificate = stages(folder.path(), m.goldens);
  EXPECT_EQ(certificate.first_divergence, "");
  EXPECT_EQ(count(certificate, CheckStatus::skipped), 1U);
  const Certificate none = stages(folder.path(), m.goldens, false);
  EXPECT_EQ(none.first_divergence, "");
  EXPECT_EQ(count(none, CheckStatus::skipped), 4U);
  EXPECT_EQ(count(none, CheckStatus::passed), 6U);  // goldens, the picture before the model, the prompts' ids
}

// Replaces a name all over a graph by another of its length, and the version of qvl that made it.
void rename_in_graph(const fs::path& graph, const std::string& name, const std::string& other) {
  ASSERT_EQ(name.size(), other.size());
  std::string bytes = test::read_file(graph);
  const std::string version = QVL_VERSION;
  if (const std::size_t at = bytes.find(version); at != std::string::npos)
    bytes.replace(at, version.size(), std::string(version.size(), '9'));
  std::size_t seen = 0;
  for (std::size_t at = bytes.find(name); at != std::string::npos; at = bytes.find(name, at)) {
    bytes.replace(at, name.size(), other);
    ++seen;
  }
  ASSERT_GT(seen, 0U) << name;
  test::write_file(graph, bytes);
}

// A graph that another version or program made may call its values what it likes: a stage that a golden has
// and the graph has not is said to be skipped.
TEST(GraphsOfAnotherProducer, StagesThatAreNotThereAreSkipped) {
  const Model m = model("tiny-tied");
  const test::TemporaryFolder root;
  const fs::path folder = root.path() / "out";
  fs::copy(good_folder(), folder);
  const fs::path vision = folder / "m_vision_112_fp32.onnx";
  const fs::path text = folder / "m_text_with_image_fp32.onnx";
  rename_in_graph(vision, "/visual/blocks.1/Add_1_output_0", "/visual/blocks.1/Sum_1_output_0");
  rename_in_graph(text, "/model/embed_tokens/Where_output_0", "/model/embed_tokens/Whose_output_0");
  std::map<std::string, std::string> skipped;
  const Certificate certificate = stages(folder, m.goldens);
  for (const Check& check : certificate.checks) {
    EXPECT_NE(check.status, CheckStatus::failed) << check.name << ": " << check.detail;
    if (check.status == CheckStatus::skipped) skipped.emplace(check.name, check.detail);
  }
  EXPECT_EQ(skipped, (std::map<std::string, std::string>{
                         {"golden.image_0_0.vision.blocks.1",
                          "the graph has no value /visual/blocks.1/Add_1_output_0, as qvl calls it"},
                         {"golden.image_0_0.text.embeddings",
                          "the graph has no value /model/embed_tokens/Where_output_0, as qvl calls it"}}));
  EXPECT_EQ(certificate.checks.size(), stages(good_folder(), m.goldens).checks.size());
  // None of the three sections of the rotary angles, or one of them, is found by its constant.
  const TextConfig config = read_model_config(folder / "config.json").text;
  const std::vector<std::int64_t>& section = config.mrope_section;
  const std::string last = fmt::format("rotary.inv_freq.{}_{}", section[0] + section[1], section[2]);
  rename_in_graph(text, last, "R" + last.substr(1));
  const PositionValues one_missing = position_values(ModelProbe(text), config);
  EXPECT_EQ(one_missing.found.size(), 2U);
  EXPECT_EQ(one_missing.missing, std::vector<std::size_t>{2});
  rename_in_graph(text, "rotary.inv_freq", "Rotary.inv_freq");
  EXPECT_EQ(position_values(ModelProbe(text), config).missing, (std::vector<std::size_t>{0, 1, 2}));
  for (const Check& check : stages(folder, m.goldens).checks) {
    if (check.name == "golden.image_0_0.position_ids") {
      EXPECT_EQ(check.detail,
                "the graph has no values that are known to be its positions of time, height, width");
      EXPECT_EQ(check.status, CheckStatus::skipped);
    }
  }
}

TEST(GoldensOfAnotherModel, AreAFailedCheck) {
  const test::TemporaryFolder folder;
  const fs::path path = folder.path() / "g.safetensors";
  EditableGoldens goldens(model("tiny-tied").goldens);
  goldens.metadata["fingerprint"] = "00";
  goldens.write(path);
  Certificate certificate = stages(good_folder(), path);
  ASSERT_EQ(certificate.checks.size(), 1U);
  EXPECT_EQ(certificate.checks[0].status, CheckStatus::failed);
  EXPECT_NE(certificate.checks[0].detail.find("another checkpoint"), std::string::npos);
  export_to(folder.path() / "small", {model("tiny-tied").checkpoint, "", 56, 56}, true);
  certificate = stages(folder.path() / "small", model("tiny-tied").goldens);
  ASSERT_EQ(certificate.checks.size(), 1U);
  EXPECT_NE(certificate.checks[0].detail.find("112 x 112"), std::string::npos)
      << certificate.checks[0].detail;
}

// More image tokens than features is a matter of the goldens, found when the model is run.
TEST(GoldensOfAnotherModel, FeaturesThatDoNotFitThePrompt) {
  const test::TemporaryFolder folder;
  const fs::path path = folder.path() / "g.safetensors";
  EditableGoldens goldens(model("tiny-tied").goldens);
  auto ids = goldens.tensors.at("image_0_0.input_ids").as<std::int64_t>();
  *std::ranges::find(ids, 771) = 5;
  goldens.write(path);
  const Certificate certificate = stages(good_folder(), path);
  EXPECT_EQ(certificate.first_divergence, "token_ids");
  EXPECT_TRUE(std::ranges::any_of(certificate.checks, [](const Check& check) {
    return check.name == "golden.image_0_0.text" && check.status == CheckStatus::failed;
  }));
}

TEST(GoldensFile, RefusesWhatDoesNotFit) {
  const Model m = model("tiny-tied");
  const auto config = read_model(m.checkpoint / "config.json");
  const test::TemporaryFolder folder;
  const fs::path path = folder.path() / "g.safetensors";
  const auto refused = [&](const std::string& what, const auto& change) {
    EditableGoldens goldens(m.goldens);
    change(goldens);
    goldens.write(path);
    try {
      (void)Goldens::open(path, *config);
      ADD_FAILURE() << what << " was accepted";
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find(what), std::string::npos) << error.what();
    }
  };
  const auto put = [](EditableGoldens& g, const std::string& name, DType dtype, const Shape& shape) {
    g.tensors.insert_or_assign(name, Tensor(dtype, shape));
  };
  refused("format", [](auto& g) { g.metadata["format"] = "qvl-goldens-2"; });
  refused("dtype", [](auto& g) { g.metadata["dtype"] = "int8"; });
  refused("image_size", [](auto& g) { g.metadata["image_size"] = "0x9"; });
  refused("at most 12845056", [](auto& g) { g.metadata["image_size"] = "90000x90000"; });
  refused("cases", [](auto& g) { g.metadata["cases"] = "[]"; });
  refused("cases", [](auto& g) { g.metadata["cases"] = "{"; });
  refused("kind", [](auto& g) { g.metadata["cases"] = R"([{"name": "a", "kind": "video"}])"; });
  refused("without a name", [](auto& g) { g.metadata["cases"] = R"([{"kind": "text"}])"; });
  refused("no object", [](auto& g) { g.metadata["cases"] = "[1]"; });
  refused("without a dot", [](auto& g) { g.metadata["cases"] = R"([{"name": "a.b", "kind": "text"}])"; });
  refused("belongs to no case", [&](auto& g) { put(g, "other.logits", DType::f32, {1}); });
  refused("does not know", [&](auto& g) { put(g, "text_0.vision.blocks.3", DType::f32, {1}); });
  refused("[n, n, 3]", [&](auto& g) { put(g, "image_0_0.picture", DType::u8, {4, 4}); });
  refused("U8 [112, 112, 3]", [&](auto& g) { put(g, "image_0_0.resized", DType::u8, {112, 111, 3}); });
  refused("F32 [16, 64]", [&](auto& g) { put(g, "image_0_0.vision_features", DType::f32, {15, 64}); });
  refused("F32 [4, 48]", [&](auto& g) { put(g, "image_0_0.vision.blocks.1", DType::f16, {4, 48}); });
  refused("vision.rows", [&](auto& g) { g.tensors.erase("image_0_0.vision.rows"); });
  refused("0 to 63",
          [&](auto& g) { g.tensors.at("image_0_0.vision.rows").template as<std::int64_t>()[1] = 64; });
  refused("holds -1", [&](auto& g) { g.tensors.at("text_0.text.rows").template as<std::int64_t>()[1] = -1; });
  refused("holds 800",
          [&](auto& g) { g.tensors.at("text_0.input_ids").template as<std::int64_t>()[0] = 800; });
  // Without rows there is nothing to compare, and with rows of another rank no number of them.
  for (const std::string rows : {"vision.rows", "text.rows"}) {
    refused("I64 [n]", [&](auto& g) { put(g, "image_0_0." + rows, DType::i64, {0}); });
    refused("I64 [n]", [&](auto& g) { put(g, "image_0_0." + rows, DType::i64, {}); });
  }
  refused("is missing", [&](auto& g) { g.tensors.erase("text_0.input_ids"); });
  refused("0 to 1",
          [&](auto& g) { g.tensors.at("text_0.attention_mask").template as<std::int64_t>()[0] = 2; });
  refused("a token in every row", [&](auto& g) {
    std::ranges::fill(g.tensors.at("text_0.attention_mask").template as<std::int64_t>(), 0);
  });
  refused("at most 23 positions", [&](auto& g) { put(g, "text_0.logits", DType::f32, {1, 24, 800}); });
  refused("the answer to one prompt", [&](auto& g) { put(g, "batch.greedy_ids", DType::i64, {3}); });
  refused("F32 [12]", [&](auto& g) { put(g, "text_0.greedy_gaps", DType::f32, {3}); });
}

TEST(GoldensFile, RandomBytesAreGoldensOrAnInputError) {
  const Model m = model("tiny-tied");
  const auto config = read_model(m.checkpoint / "config.json");
  const std::string good = test::read_file(m.goldens);
  const test::TemporaryFolder folder;
  const fs::path path = folder.path() / "g.safetensors";
  std::mt19937 random(3);
  std::size_t refused = 0;
  for (int i = 0; i < 150; ++i) {
    std::string bytes = good;
    for (int k = 0; k < 2; ++k) bytes[random() % 6000] = "0123456789{}[],:\"x-"[random() % 19];
    test::write_file(path, bytes);
    try {
      (void)Goldens::open(path, *config);
    } catch (const InputError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 50U);
}

// Ragged windows stand elsewhere in our order than in the reference's.
TEST(WindowRows, AreAPermutation) {
  VisionConfig vision;
  std::vector<std::int64_t> all(60);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int64_t>(i);
  std::vector<std::int64_t> ours = our_window_rows(all, {84, 140}, vision);
  EXPECT_NE(ours, std::vector<std::int64_t>());
  std::ranges::sort(ours);
  EXPECT_EQ(ours, all);
  EXPECT_EQ(our_window_rows(all, {112, 224}, vision), all);
  // 3 x 9 blocks of 4 patches in windows of 4 columns, the last one ragged: all of them behind each other
  // here, too.
  EXPECT_EQ(our_window_rows(std::vector<std::int64_t>{0, 47, 48, 107}, {84, 252}, vision),
            (std::vector<std::int64_t>{0, 47, 48, 107}));
  // 5 x 5: a whole window, one ragged at its right, one below, the corner; in both orders the same. 5 x 9 is
  // not.
  EXPECT_NE(our_window_rows(std::vector<std::int64_t>{4 * 32}, {252, 252}, vision),
            (std::vector<std::int64_t>{4 * 32}));
}

}  // namespace
}  // namespace qvl
