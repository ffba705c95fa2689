// What a certificate finds without goldens: broken files, manifests, graphs and weights.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "qvl/export.h"
#include "qvl/verify.h"
#include "qvl/version.h"
#include "support/test_data.h"
#include "unit/verify/broken_folder.h"
#include "verify/file_checks.h"
#include "verify/graph_checks.h"
#include "verify/weight_checks.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

using Names = std::vector<std::string>;

TEST(Certificate, OfAGoodFolder) {
  for (const bool f32 : {false, true}) {
    for (const MaskType mask : {MaskType::int64, MaskType::boolean}) {
      const test::TemporaryFolder root;
      ExportOptions export_options;
      export_options.checkpoint = test::data("checkpoints/tiny-tied");
      export_options.out = root.path();
      export_options.image_width_pixels = export_options.image_height_pixels = 56;
      export_options.text_in_f32 = f32;
      export_options.mask_type = mask;
      export_options.hard_link = f32;
      export_options.tied_head = mask == MaskType::boolean;
      export_checkpoint(export_options);
      VerifyOptions options;
      options.folder = root.path();
      options.threads = 1;
      for (const bool with_checkpoint : {false, true}) {
        if (with_checkpoint) options.checkpoint = export_options.checkpoint;
        const Certificate certificate = verify_folder(options);
        EXPECT_TRUE(certificate.passed());
        for (const Check& check : certificate.checks) {
          const bool weights = check.name.starts_with("weights.");
          EXPECT_EQ(check.status, weights && !with_checkpoint ? CheckStatus::skipped : CheckStatus::passed)
              << check.name << ": " << check.detail;
          EXPECT_EQ(check.tensors.value_or(0) > 30,
                    check.name.starts_with("manifest.") || (weights && with_checkpoint))
              << check.name;
        }
        EXPECT_EQ(certificate.checks.size(), with_checkpoint ? 21U : 20U);
      }
    }
  }
}

TEST(Certificate, SkipsWhatNeedsAMissingArtifact) {
  const test::TemporaryFolder root;
  ExportOptions export_options;
  export_options.checkpoint = test::data("checkpoints/tiny-tied");
  export_options.out = root.path();
  export_options.only = {"text"};
  export_checkpoint(export_options);
  VerifyOptions options;
  options.folder = root.path();
  const Certificate certificate = verify_folder(options);
  EXPECT_TRUE(certificate.passed());
  Names skipped;
  for (const Check& check : certificate.checks) {
    if (check.status == CheckStatus::skipped) skipped.push_back(check.name);
  }
  EXPECT_EQ(skipped, (Names{"weights.text", "run.vision", "run.text_with_image.padding", "run.text_agreement",
                            "run.pictures"}));
}

TEST(Certificate, RefusesWhatIsNoFolder) {
  VerifyOptions options;
  options.folder = "/none";
  EXPECT_THROW((void)verify_folder(options), InputError);
  options.folder = good_folder();
  options.provider = "tpu";
  EXPECT_THROW((void)verify_folder(options), UsageError);
  options.provider = "cpu";
  options.checkpoint = "/none";
  EXPECT_THROW((void)verify_folder(options), InputError);
}

TEST(Certificate, IsInterrupted) {
  CancelToken cancel;
  cancel.cancel();
  VerifyOptions options;
  options.folder = good_folder();
  options.cancel = &cancel;
  EXPECT_THROW((void)verify_folder(options), Interrupted);
}

TEST_F(Broken, NotAtAll) { expect_failed({}, ""); }

// One bit in every tensor of every data file, by the checksum, and by the comparison with the checkpoint,
// which names the tensor.
TEST_F(Broken, OneBitInEveryTensor) {
  const VerifyOptions o = options();
  Subject subject = open_subject(o);
  CheckList before;
  check_files(subject, before);
  check_configs(subject, before);
  check_graphs(subject, before);
  std::mt19937 random(20260101);
  std::size_t flipped = 0;
  for (const SubjectArtifact& artifact : subject.artifacts) {
    if (artifact.manifest.artifact == "text_with_image") continue;  // one file with text
    const std::string name = artifact.manifest.artifact == "vision" ? "vision" : "text";
    const std::string& file = artifact.manifest.data_file;
    for (const TensorReport& t : artifact.manifest.tensors) {
      const std::uint64_t byte = t.offset_bytes + random() % t.size_bytes;
      const unsigned bit = random() % 8;
      flip(file, byte, bit);
      CheckList checks;
      check_checksums(subject, checks);
      check_constants(subject, checks);
      check_weights(subject, checks);
      Certificate found{checks.take(), ""};
      const std::string which = t.source.empty() ? "constants." : "weights.";
      const Names both = name == "text" ? Names{"checksums", which + "text", which + "text_with_image"}
                                        : Names{"checksums", which + "vision"};
      EXPECT_EQ(failed(found), both) << t.name;
      EXPECT_EQ(detail_of(found, which + name).find(t.name + " is not what it was made from: element ["), 0U)
          << detail_of(found, which + name);
      EXPECT_NE(detail_of(found, which + name).find("; 1 of "), std::string::npos);
      flip(file, byte, bit);
      ++flipped;
    }
  }
  EXPECT_EQ(flipped, 85U);
  EXPECT_TRUE(verify_folder(o).passed());
}

TEST_F(Broken, OneBitInAWeightWithForgedChecksums) {
  const Json manifest = read_json_file(folder_ / "manifest.json");
  const Json& t = manifest["artifacts"][1]["tensors"][5];
  flip(kText + "_data", t["offset"].get<std::uint64_t>() + t["bytes"].get<std::uint64_t>() - 1, 7);
  forge_checksums();
  expect_failed({"weights.text", "weights.text_with_image"}, t["name"].get<std::string>() + " is not what");
}

TEST_F(Broken, OneBitBetweenTensors) {
  const Json manifest = read_json_file(folder_ / "manifest.json");
  const Json& t = manifest["artifacts"][0]["tensors"][0];
  const std::uint64_t end = t["offset"].get<std::uint64_t>() + t["bytes"].get<std::uint64_t>();
  ASSERT_NE(end % 4096, 0U);
  flip(kVision + "_data", end, 0);
  expect_failed({"checksums", "manifest.vision"}, kVision + "_data");
  forge_checksums();
  expect_failed({"manifest.vision"}, "byte " + std::to_string(end));
  flip(kVision + "_data", end, 0);
  flip(kVision + "_data", fs::file_size(folder_ / (kVision + "_data")) - 1, 3);  // behind the last one
  forge_checksums();
  expect_failed({"manifest.vision"}, "between tensors");
}

TEST_F(Broken, OneBitInAGraph) {
  const std::string good = read(kPictures);
  // A constant inside the graph: the id of the image token, 771.
  std::string bytes = good;
  const std::size_t at = bytes.find(std::string("\x03\x03\0\0\0\0\0\0", 8));
  ASSERT_NE(at, std::string::npos);
  bytes[at] ^= 1;
  write(kPictures, bytes);
  expect_failed({"checksums", "graph.text_with_image"}, kPictures);
  forge_checksums();
  expect_failed({"graph.text_with_image"}, "initializer scalar_i64_771 has another value than expected");
}

// Any byte of any graph: never a crash, never unnoticed by the checksum.
TEST_F(Broken, RandomBytesInGraphs) {
  std::mt19937 random(7);
  for (const std::string& file : {kVision, kText, kPictures}) {
    const std::string good = read(file);
    for (int i = 0; i < 8; ++i) {
      std::string bytes = good;
      bytes[random() % bytes.size()] ^= static_cast<char>(1U << random() % 8);
      write(file, bytes);
      const Certificate certificate = verify_folder(options());
      EXPECT_EQ(certificate.first_failure()->name, "checksums");
    }
    write(file, good);
  }
}

TEST_F(Broken, CutMissingAndSwappedFiles) {
  const std::string vision = read(kVision + "_data");
  const std::string text = read(kText + "_data");
  write(kVision + "_data", vision.substr(0, vision.size() - 4096));
  expect_failed({"files", "checksums", "manifest.vision"}, "the manifest says");
  fs::remove(folder_ / (kVision + "_data"));
  expect_failed({"files", "checksums", "manifest.vision", "graph.vision"}, kVision + "_data is missing");
  write(kVision + "_data", text);
  write(kText + "_data", vision);
  expect_failed({"files", "checksums", "manifest.vision", "manifest.text", "manifest.text_with_image"},
                "bytes");
  write(kVision + "_data", vision);
  write(kText + "_data", text);
  expect_failed({}, "");
  const std::string graph = read(kText);
  write(kText, read(kPictures));
  expect_failed({"files", "checksums", "manifest.text", "graph.text"}, kText);
  fs::remove(folder_ / kText);
  expect_failed({"files", "checksums", "manifest.text", "graph.text"}, kText + " is missing");
  write(kText, graph);
  fs::rename(folder_ / kText, folder_ / "x");
  fs::create_directory(folder_ / kText);
  expect_failed({"files", "checksums", "manifest.text", "graph.text"}, "not a regular file");
}

TEST_F(Broken, Configs) {
  const std::string tokenizer = read("tokenizer.json");
  write("tokenizer.json", tokenizer + " ");
  expect_failed({"files", "configs", "checksums"}, "tokenizer.json has ");
  EXPECT_EQ(detail_of(verify_folder(options()), "configs"), "not the checkpoint's: tokenizer.json");
  write("tokenizer.json", "{");
  const Certificate certificate = verify_folder(options());
  EXPECT_EQ(failed(certificate), (Names{"files", "configs", "checksums"}));
  EXPECT_EQ(detail_of(certificate, "graph.text"), "the configs cannot be read");
  write("tokenizer.json", tokenizer);
  // Another model's config: the graphs are not those that it makes.
  std::string config = read("config.json");
  config.replace(config.find("\"rms_norm_eps\": 1e-06"), 21, "\"rms_norm_eps\": 1e-05");
  write("config.json", config);
  expect_failed({"configs", "checksums", "graph.text", "graph.text_with_image"}, "config.json");
}

// What export copied and somebody deleted or replaced is missed, although qvl itself could do without it.
TEST_F(Broken, CopiedFilesThatAreGone) {
  const test::TemporaryFolder checkpoint;
  for (const auto& entry : fs::directory_iterator(test::data("checkpoints/tiny-sharded")))
    fs::copy(entry.path(), checkpoint.path() / entry.path().filename());
  VerifyOptions o = options();
  o.checkpoint = checkpoint.path();
  const auto configs = [&] { return detail_of(verify_folder(o), "configs"); };
  for (const std::string file : {"tokenizer_config.json", "chat_template.jinja", "merges.txt"}) {
    test::write_file(checkpoint.path() / file, "{}");
    fs::remove(folder_ / file);
    EXPECT_EQ(configs(), "not the checkpoint's: " + file + " (missing)");
    fs::create_directory(folder_ / file);
    EXPECT_EQ(configs(), "not the checkpoint's: " + file);
    fs::remove(folder_ / file);
    write(file, "{}");
    EXPECT_NE(configs().find("equal the checkpoint's"), std::string::npos);
  }
  test::write_file(checkpoint.path() / "notes.json", "{}");  // export does not copy it
  write("notes.json", "[]");
  EXPECT_NE(configs().find("equal the checkpoint's"), std::string::npos);
}

// Without the checkpoint, and with values that every reader takes.
TEST_F(Broken, ConfigsThatWereEdited) {
  VerifyOptions o = options();
  o.checkpoint.clear();
  EXPECT_EQ(failed(verify_folder(o)), Names{});
  struct Edit {
    std::string file;
    std::string from;
    std::string to;
  };
  for (const Edit& edit : std::vector<Edit>{{"preprocessor_config.json", "0.48145466", "0.5"},
                                            {"generation_config.json", "761,", "760,"},
                                            {"tokenizer.json", "}", "} "},
                                            {"config.json", "{", "{ "}}) {
    const std::string good = read(edit.file);
    std::string text = good;
    ASSERT_NE(text.find(edit.from), std::string::npos) << edit.file;
    write(edit.file, text.replace(text.find(edit.from), edit.from.size(), edit.to));
    const Certificate certificate = verify_folder(o);
    EXPECT_EQ(detail_of(certificate, "checksums"), "not as exported (SHA-256): " + edit.file);
    const bool same_size = edit.from.size() == edit.to.size();
    EXPECT_EQ(failed(certificate), same_size ? (Names{"checksums"}) : (Names{"files", "checksums"}));
    fs::remove(folder_ / edit.file);
    EXPECT_NE(detail_of(verify_folder(o), "files").find(edit.file + " is missing"), std::string::npos);
    write(edit.file, good);
  }
  EXPECT_EQ(failed(verify_folder(o)), Names{});
}

TEST_F(Broken, FilesThatWereNotExported) {
  VerifyOptions o = options();
  write("notes.txt", "mine");
  EXPECT_EQ(failed(verify_folder(o)), Names{});
  EXPECT_NE(detail_of(verify_folder(o), "files").find("; beside them, not of the export: notes.txt"),
            std::string::npos);
  write("chat_template.jinja", "{{ messages }}");  // it would change what every chat becomes
  EXPECT_EQ(failed(verify_folder(o)), Names{"files"});
  EXPECT_EQ(detail_of(verify_folder(o), "files"),
            "chat_template.jinja was not exported: the manifest does not list it, and it would be read");
}

TEST_F(Broken, OlderManifestsListNoConfigs) {
  Json manifest = read_json_file(folder_ / "manifest.json");
  manifest.erase("files");
  write("manifest.json", manifest.dump());
  VerifyOptions o = options();
  o.checkpoint.clear();
  const Certificate certificate = verify_folder(o);
  EXPECT_EQ(failed(certificate), Names{});
  const auto check = std::ranges::find(certificate.checks, "checksums.configs", &Check::name);
  ASSERT_NE(check, certificate.checks.end());
  EXPECT_EQ(check->status, CheckStatus::skipped);
  for (const std::string file : {"config.json", "generation_config.json", "tokenizer.json"})
    EXPECT_NE(check->detail.find(file), std::string::npos) << check->detail;
}

// A folder can change while it is looked at.
TEST(CheckList, ErrorsOfTheFileSystemAreFailures) {
  CheckList checks;
  EXPECT_FALSE(checks.add("gone", [] {
    (void)fs::file_size("/none/such");
    return passed("");
  }));
  EXPECT_NE(checks.take().front().detail.find("/none/such"), std::string::npos);
}

TEST_F(Broken, AnotherCheckpoint) {
  VerifyOptions o = options();
  o.checkpoint = test::data("checkpoints/tiny-tied");
  EXPECT_EQ(failed(verify_folder(o)),
            (Names{"configs", "checkpoint", "weights.vision", "weights.text", "weights.text_with_image"}));
  // A fine-tune: one weight differs, beyond the bytes that the fingerprint samples, or within.
  for (const bool sampled : {false, true}) {
    const test::TemporaryFolder tuned;
    for (const auto& entry : fs::directory_iterator(test::data("checkpoints/tiny-sharded")))
      fs::copy(entry.path(), tuned.path() / entry.path().filename());
    const Checkpoint checkpoint = Checkpoint::open(tuned.path());
    const TensorEntry& entry = *checkpoint.find("model.embed_tokens.weight");
    for (const auto& shard : fs::directory_iterator(tuned.path())) {
      if (shard.path().extension() != ".safetensors") continue;
      std::string bytes = test::read_file(shard.path());
      if (bytes.find("\"" + entry.name + "\"") == std::string::npos) continue;
      bytes[entry.begin_bytes + (sampled ? 0 : 5000)] ^= 1;
      test::write_file(shard.path(), bytes);
    }
    o.checkpoint = tuned.path();
    const Certificate certificate = verify_folder(o);
    EXPECT_EQ(failed(certificate), sampled ? (Names{"checkpoint", "weights.text", "weights.text_with_image"})
                                           : (Names{"weights.text", "weights.text_with_image"}));
    EXPECT_EQ(detail_of(certificate, "weights.text").find("model.embed_tokens.weight is not"), 0U);
  }
}

// Changes one value of the manifest and says which check must notice.
TEST_F(Broken, ManifestsThatAreNotTrue) {
  const Json good = read_json_file(folder_ / "manifest.json");
  struct Case {
    std::string path;
    Json value;
    Names failed;
  };
  const std::string vision_tensor = "/artifacts/0/tensors/5";
  for (const Case& c :
       std::vector<Case>{{"/fingerprint", "00", {"checkpoint"}},
                         {"/stem", "other", {"graph.vision", "graph.text", "graph.text_with_image"}},
                         {"/artifacts/0/opset", 18, {"graph.vision"}},
                         {"/artifacts/0/image_size/width", 84, {"graph.vision"}},
                         {"/artifacts/2/image_size/width", 100'000, {"graph.text_with_image"}},
                         {"/artifacts/2/image_size/width", 84, {"graph.text_with_image"}},
                         {"/artifacts/1/inputs/0/dtype", "I32", {"graph.text"}},
                         {"/artifacts/1/outputs/0/name", "scores", {"graph.text"}},
                         {"/artifacts/1/data_file",
                          kVision + "_data",
                          {"files", "checksums", "manifest.text", "graph.text"}},
                         {vision_tensor + "/name", "visual.other", {"manifest.vision"}},
                         {vision_tensor + "/offset", 4096, {"manifest.vision"}},
                         {vision_tensor + "/bytes", 4, {"manifest.vision"}},
                         {vision_tensor + "/dtype", "F16", {"manifest.vision"}},
                         {vision_tensor + "/source_dtype", "F32", {"weights.vision"}},
                         {vision_tensor + "/source", "visual.other", {"weights.vision"}},
                         {vision_tensor + "/subnormal", 3, {"weights.vision"}},
                         {vision_tensor + "/max_abs_error", 0.5, {"weights.vision"}},
                         {"/artifacts/0/tensors/0/transform", "none", {"weights.vision"}},
                         {vision_tensor + "/transform", "transpose", {"weights.vision"}}}) {
    Json manifest = good;
    const Json::json_pointer at(c.path);
    ASSERT_TRUE(manifest.contains(at)) << c.path;
    ASSERT_NE(manifest[at], c.value) << c.path;
    manifest[at] = c.value;
    if (c.path == "/artifacts/1/data_file") {
      manifest["artifacts"][1]["sha256"] = {{kText, ""}, {kVision + "_data", ""}};
      manifest["artifacts"][1]["bytes"] = {{kText, 0}, {kVision + "_data", 0}};
    }
    write("manifest.json", manifest.dump());
    EXPECT_EQ(failed(verify_folder(options())), c.failed) << c.path;
  }
}

TEST_F(Broken, ManifestsWithTensorsMissingOrTooMany) {
  const Json good = read_json_file(folder_ / "manifest.json");
  Json manifest = good;
  manifest["artifacts"][0]["tensors"].erase(3);
  write("manifest.json", manifest.dump());
  expect_failed({"manifest.vision"}, "which the manifest does not list");
  manifest = good;
  manifest["artifacts"][0]["tensors"].push_back(good["artifacts"][0]["tensors"][0]);
  write("manifest.json", manifest.dump());
  expect_failed({"manifest.vision"}, "which the graph does not have");
  manifest = good;
  manifest["artifacts"] = Json::array();
  write("manifest.json", manifest.dump());
  expect_failed({"files"}, "no artifact");
}

// A weight that is called computed would not be compared.
TEST_F(Broken, AWeightThatIsCalledComputed) {
  Json manifest = read_json_file(folder_ / "manifest.json");
  Json& t = manifest["artifacts"][0]["tensors"][5];
  for (const char* key :
       {"source_dtype", "transform", "overflowed", "subnormal", "not_finite", "max_abs_error"})
    t.erase(key);
  t["source"] = "computed";
  write("manifest.json", manifest.dump());
  expect_failed({"weights.vision"}, "the manifest says computed");
}

// Of a square matrix the shape does not tell in which layout it lies, and a forged manifest says that it lies
// as in the checkpoint: the model is what says how it must lie.
TEST_F(Broken, ASquareWeightThatIsNotTransposed) {
  Json manifest = read_json_file(folder_ / "manifest.json");
  const auto square = [](const Json& t) {
    return t["transform"] == "transpose" && t["shape"][0] == t["shape"][1];
  };
  std::string name;
  for (const std::size_t artifact : {1U, 2U}) {  // one data file
    Json& tensors = manifest["artifacts"][artifact]["tensors"];
    const auto t = std::ranges::find_if(tensors, square);
    ASSERT_NE(t, tensors.end());
    (*t)["transform"] = "none";
    if (artifact == 2U) continue;
    name = (*t)["name"];
    std::string bytes = read(kText + "_data");
    const auto side = (*t)["shape"][0].get<std::size_t>();
    ASSERT_EQ((*t)["bytes"].get<std::size_t>(), side * side * sizeof(std::uint16_t));
    std::vector<std::uint16_t> values(side * side);
    char* const place = bytes.data() + (*t)["offset"].get<std::size_t>();
    std::memcpy(values.data(), place, values.size() * sizeof(std::uint16_t));
    for (std::size_t row = 0; row < side; ++row) {
      for (std::size_t column = 0; column < row; ++column)
        std::swap(values[row * side + column], values[column * side + row]);
    }
    std::memcpy(place, values.data(), values.size() * sizeof(std::uint16_t));
    write(kText + "_data", bytes);
  }
  write("manifest.json", manifest.dump());
  forge_checksums();
  expect_failed({"weights.text", "weights.text_with_image"}, "another transform of " + name);
}

// Wrong numbers that nothing but a run can see: without a checkpoint, and with checksums that fit them.
TEST_F(Broken, RunsThatShowIt) {
  struct Case {
    std::string tensor;
    std::string data_file;
    std::string bytes;  // of an element, over and over
    Names failed;
  };
  const std::string nan("\0\0\xc0\x7f", 4);
  const std::string zero(4, '\0');
  fs::remove(folder_ / (kPictures + "_data"));
  fs::copy(folder_ / (kText + "_data"),
           folder_ / (kPictures + "_data"));  // no link: one artifact at a time is broken
  const Json manifest = read_json_file(folder_ / "manifest.json");
  for (const Case& c : std::vector<Case>{
           {"visual.merger.mlp.2.bias", kVision, nan, {"run.vision"}},
           {"visual.patch_embed.proj.weight", kVision, zero, {"run.vision"}},
           {"model.norm.weight",
            kText,
            std::string("\x00\x7e", 2),
            {"run.text.padding", "run.text_agreement"}},
           {"model.norm.weight",
            kPictures,
            std::string("\x00\x7e", 2),
            {"run.text_with_image.padding", "run.text_agreement", "run.pictures"}},
           {"model.norm.weight", kPictures, std::string("\0\0", 2), {"run.text_agreement", "run.pictures"}},
           {"lm_head.weight", kText, std::string("\x00\x3c", 2), {"run.text_agreement"}}}) {
    const std::string good = read(c.data_file + "_data");
    std::string bytes = good;
    for (const Json& artifact : manifest["artifacts"]) {
      if (artifact["file"] != c.data_file) continue;
      for (const Json& t : artifact["tensors"]) {
        if (t["name"] != c.tensor) continue;
        for (std::size_t i = 0; i < t["bytes"]; ++i)
          bytes[t["offset"].get<std::size_t>() + i] = c.bytes[i % c.bytes.size()];
      }
    }
    ASSERT_NE(bytes, good) << c.tensor;
    write(c.data_file + "_data", bytes);
    forge_checksums();
    VerifyOptions o = options();
    o.checkpoint.clear();
    o.run = true;
    o.threads = 1;
    EXPECT_EQ(failed(verify_folder(o)), c.failed) << c.data_file << " " << c.tensor;
    write(c.data_file + "_data", good);
  }
}

// A graph of another version of qvl is not compared with ours: that its padding shows is seen when it runs.
TEST_F(Broken, PaddingThatShows) {
  std::string bytes = read(kText);
  const std::string version = QVL_VERSION;
  bytes.replace(bytes.find(version), version.size(), std::string(version.size(), '9'));
  write(kText, bytes);
  forge_checksums();
  VerifyOptions o = options();
  o.run = true;
  o.threads = 1;
  EXPECT_EQ(failed(verify_folder(o)), Names{});
  EXPECT_NE(detail_of(verify_folder(o), "graph.text").find("not compared"), std::string::npos);
  // What hides padding and later tokens from attention is the lowest float; 0 hides nothing.
  const std::size_t lowest = bytes.find("\xff\xff\x7f\xff");
  ASSERT_NE(lowest, std::string::npos);
  bytes.replace(lowest, 4, 4, '\0');
  write(kText, bytes);
  forge_checksums();
  EXPECT_EQ(failed(verify_folder(o)), (Names{"run.text.padding", "run.text_agreement"}));
}

// Random damage: a certificate or an InputError, never anything else.
TEST_F(Broken, RandomManifests) {
  const std::string good = read("manifest.json");
  std::mt19937 random(11);
  std::size_t refused = 0;
  for (int i = 0; i < 40; ++i) {
    std::string bytes = good;
    for (int k = 0; k < 3; ++k) {
      const std::size_t at = random() % bytes.size();
      if (random() % 3 == 0) {
        bytes.erase(at, random() % 40);
      } else {
        bytes[at] = "0123456789{}[],:\"x-"[random() % 19];
      }
    }
    write("manifest.json", bytes);
    try {
      (void)verify_folder(options());
    } catch (const InputError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 0U);
}

}  // namespace
}  // namespace qvl
