// Every number of an evaluation against the models run by themselves and formulas written out plainly.
#include "qvl/evaluate.h"
#include "models/picture_pixels.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/convert.h"
#include "core/json_text.h"
#include "engine/chat_prompt.h"
#include "engine/session_defaults.h"
#include "engine/vision_encoder.h"
#include "image/decode.h"
#include "models/picture_pixels.h"
#include "qvl/engine.h"
#include "qvl/export.h"
#include "runtime/session.h"
#include "support/error_text.h"
#include "support/test_data.h"
#include "text/tokenizer.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;
using test::contains;
using test::input_error;

const fs::path& root() {
  static const test::TemporaryFolder folder;
  return folder.path();
}

// The demo for small pictures: answers are in its words, but what they say is wrong.
fs::path demo(const std::string& name, bool f32, std::int64_t pixels, std::vector<std::string> only = {}) {
  const fs::path out = root() / name;
  if (fs::exists(out)) return out;
  ExportOptions options;
  options.checkpoint = test::demo_checkpoint();
  options.out = out;
  options.text_in_f32 = f32;
  options.hard_link = !f32;  // of the other the two text artifacts have a data file each
  options.image_width_pixels = options.image_height_pixels = pixels;
  if (!only.empty()) options.only = only;
  export_checkpoint(options);
  return out;
}
fs::path half() { return demo("half", false, 112); }
fs::path full() { return demo("full", true, 112); }

Json chat(const std::vector<std::string>& pictures, const std::string& text) {
  Json parts = Json::array();
  for (const std::string& picture : pictures)
    parts.push_back({{"type", "image"}, {"image", test::data("shapes-data/images/" + picture).string()}});
  parts.push_back({{"type", "text"}, {"text", text}});
  return {{"messages", {{{"role", "user"}, {"content", parts}}}}};
}

fs::path write_rows(const std::string& name, const std::vector<Json>& rows) {
  std::string text;
  for (const Json& row : rows) text += row.dump() + "\n";
  test::write_file(root() / name, text);
  return root() / name;
}

Answer ask(const fs::path& folder, const Json& row, std::int64_t max_new_tokens) {
  Engine engine({.folder = folder, .threads = 1, .keep_loaded = false});
  Question question;
  question.max_new_tokens = max_new_tokens;
  for (const Json& part : row["messages"][0]["content"]) {
    if (part["type"] == "image") {
      question.pictures.emplace_back(part["image"].get<std::string>());
    } else {
      question.prompt = part["text"].get<std::string>();
    }
  }
  return engine.ask(question);
}

EvaluateOptions options_for(const std::vector<fs::path>& folders, const fs::path& data) {
  EvaluateOptions options;
  options.folders = folders;
  options.data = data;
  options.threads = 1;
  options.max_new_tokens = 12;
  return options;
}

// Rows of the next token's logits at the last `count` places of the prompt with the tokens behind it, by the
// artifacts themselves.
std::vector<std::vector<float>> logits_of(const fs::path& path, const Json& row,
                                          const std::vector<std::int64_t>& forced, std::size_t count) {
  const ModelFolder folder(path);
  const auto messages = parse_messages(row.dump(), "row");
  std::vector<float> features;  // of all pictures, in the order of the prompt
  const VisionEncoder vision(folder.artifact("vision"), engine_session_options(Provider::cpu, 1));
  for (const ChatPart& part : messages.front().parts) {
    if (part.kind != ChatPart::Kind::image) continue;
    const Tensor encoded = vision.encode(
        fixed_size_pixels(read_image(part.value), folder.picture_size(), folder.preprocessor()), nullptr);
    features.insert(features.end(), encoded.as<float>().begin(), encoded.as<float>().end());
  }
  std::vector<std::int64_t> ids = chat_prompt_ids(folder, Tokenizer::load(folder.tokenizer()), messages);
  const std::size_t first = ids.size() - 1;
  ids.insert(ids.end(), forced.begin(), forced.end());
  const auto length = static_cast<std::int64_t>(ids.size());
  const std::int64_t width = folder.model().facts().hidden_size;
  const Tensor mask =
      Tensor::of<std::int64_t>(DType::i64, {1, length}, std::vector<std::int64_t>(ids.size(), 1));
  Tensor embeds(DType::f32, {1, length, width});
  std::size_t next = 0;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] != folder.model().facts().image_token_id) continue;
    std::copy_n(features.begin() + static_cast<std::ptrdiff_t>(next), width,
                embeds.as<float>().begin() + static_cast<std::ptrdiff_t>(i) * width);
    next += static_cast<std::size_t>(width);
  }
  const Session session(folder.artifact(features.empty() ? "text" : "text_with_image"),
                        engine_session_options(Provider::cpu, 1));
  std::vector<NamedTensor> inputs{{"input_ids", {DType::i64, {1, length}, std::as_bytes(std::span(ids))}},
                                  {"attention_mask", mask.view()}};
  Tensor typed;
  if (!features.empty()) {
    typed = Tensor(session.inputs().back().dtype, embeds.shape());
    convert(DType::f32, embeds.bytes(), typed.dtype(), typed.bytes());
    inputs.push_back({"image_embeds", typed.view()});
  }
  const OutputTensor logits = std::move(session.run(inputs).front());
  std::vector<float> all(static_cast<std::size_t>(length * logits.shape().back()));
  convert(logits.dtype(), logits.bytes(), DType::f32, std::as_writable_bytes(std::span(all)));
  std::vector<std::vector<float>> rows;
  for (std::size_t i = first; i < first + count; ++i) {
    const auto at = all.begin() + static_cast<std::ptrdiff_t>(i) * logits.shape().back();
    rows.emplace_back(at, at + logits.shape().back());
  }
  return rows;
}

std::vector<long double> distribution(const std::vector<float>& logits) {
  std::vector<long double> p;
  long double sum = 0;
  for (const float x : logits) sum += p.emplace_back(std::exp(static_cast<long double>(x)));
  for (long double& x : p) x /= sum;
  return p;
}

double divergence(const std::vector<float>& a, const std::vector<float>& b) {
  const auto p = distribution(a);
  const auto q = distribution(b);
  long double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) sum += p[i] * std::log(p[i] / q[i]);
  return static_cast<double>(sum);
}

std::int64_t best(const std::vector<float>& logits) {
  return std::ranges::max_element(logits) - logits.begin();
}

// As numpy.percentile.
double percentile(std::vector<double> values, double share) {
  std::ranges::sort(values);
  const double place = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const auto above = std::min(below + 1, values.size() - 1);
  return std::lerp(values[below], values[above], place - static_cast<double>(below));
}

class EvaluateTest : public ::testing::Test {
 protected:
  // What the folders answer, what they do not, a chat without a picture, one of two pictures that come
  // before, too, and one whose answer nobody knows.
  static std::vector<Json> rows() {
    static const std::vector<Json> made = [] {
      std::vector<Json> all{chat({"e000.jpg"}, "How many shapes are there?"),
                            chat({"e001.jpg"}, "What color is the shape at the center?"),
                            chat({}, "How many shapes are there?"),
                            chat({"e001.jpg", "e000.jpg"}, "What is at the top left?"),
                            chat({"e002.jpg"}, "Describe the image.")};
      for (const std::size_t i : {0U, 2U, 3U}) all[i]["answer"] = ask(full(), all[i], kLimit).text;
      all[1]["answer"] = "The shape is of no color.";
      return all;
    }();
    return made;
  }
  static constexpr std::int64_t kLimit = 12;
};

TEST_F(EvaluateTest, NumbersAreThoseOfPlainLoops) {
  std::vector<double> kl;
  double same_best = 0;
  std::int64_t same_ids = 0;
  std::vector<std::int64_t> exact(2);
  const Tokenizer tokenizer = Tokenizer::load(full() / "tokenizer.json");
  for (const Json& row : rows()) {
    const Answer a = ask(full(), row, kLimit);
    const Answer b = ask(half(), row, kLimit);
    same_ids += a.ids == b.ids && a.stop == b.stop ? 1 : 0;
    if (row.contains("answer")) {
      exact[0] += a.stop == StopReason::eos && a.text == row["answer"] ? 1 : 0;
      exact[1] += b.stop == StopReason::eos && b.text == row["answer"] ? 1 : 0;
    }
    auto forced = row.contains("answer") ? tokenizer.encode(row["answer"].get<std::string>()) : a.ids;
    const bool cut_off = !row.contains("answer") && a.stop == StopReason::length;
    const std::size_t positions = forced.size() + (cut_off ? 0 : 1);
    if (cut_off) forced.pop_back();
    const auto p = logits_of(full(), row, forced, positions);
    const auto q = logits_of(half(), row, forced, positions);
    for (std::size_t i = 0; i < positions; ++i) {
      kl.push_back(divergence(p[i], q[i]));
      same_best += best(p[i]) == best(q[i]) ? 1 : 0;
    }
  }
  const auto count = static_cast<double>(kl.size());
  double mean = 0;
  double squares = 0;
  for (const double x : kl) mean += x / count;
  for (const double x : kl) squares += (x - mean) * (x - mean);

  const Evaluation found = evaluate_folders(options_for({full(), half()}, write_rows("all.jsonl", rows())));
  EXPECT_EQ(found.data, "all.jsonl");
  EXPECT_EQ(found.reference, full());
  EXPECT_EQ(found.questions, 5);
  EXPECT_EQ(found.known, 4);
  EXPECT_EQ(found.positions, static_cast<std::int64_t>(kl.size()));
  ASSERT_EQ(found.folders.size(), 2U);
  EXPECT_EQ(found.folders[0].folder, full());
  EXPECT_EQ(found.folders[0].exact, exact[0]);
  EXPECT_EQ(exact[0], 3);  // one answer is made up
  EXPECT_FALSE(found.folders[0].kl || found.folders[0].top1 || found.folders[0].same);
  const EvaluatedFolder& other = found.folders[1];
  EXPECT_EQ(other.folder, half());
  EXPECT_EQ(other.exact, exact[1]);
  EXPECT_EQ(other.same, same_ids);
  // Double precision leaves 1e-15 of sums of this kind.
  const auto expect_near = [](const std::optional<double>& value, double expected) {
    ASSERT_TRUE(value);
    EXPECT_NEAR(*value, expected, 1e-6 * expected + 1e-13);
  };
  EXPECT_GT(mean, 1e-9);
  expect_near(other.kl, mean);
  expect_near(other.kl_stderr, std::sqrt(squares / (count - 1) / count));
  expect_near(other.kl_median, percentile(kl, 0.5));
  expect_near(other.kl_p99, percentile(kl, 0.99));
  EXPECT_DOUBLE_EQ(*other.top1, same_best / count);
  for (const EvaluatedFolder& folder : found.folders) {
    EXPECT_GT(*folder.seconds_per_answer, 0);
    EXPECT_GT(*folder.seconds_per_answer_mean, 0);
  }
}

// An answer that goes on where it was cut off is not the one that is known, and has no end to compare at.
TEST_F(EvaluateTest, WhatIsCutOffIsNotRight) {
  Json row = chat({"e002.jpg"}, "Describe the image.");
  const Answer cut = ask(half(), row, 3);
  ASSERT_EQ(cut.stop, StopReason::length);
  row["answer"] = cut.text;
  EvaluateOptions options = options_for({half()}, write_rows("cut.jsonl", {row}));
  options.max_new_tokens = 3;
  EXPECT_EQ(evaluate_folders(options).folders[0].exact, 0);
  row.erase("answer");
  options.data = write_rows("cut.jsonl", {row});
  options.answers = false;
  EXPECT_EQ(evaluate_folders(options).positions, 3);
}

TEST_F(EvaluateTest, BytesCountHardLinksOnce) {
  const Evaluation found = evaluate_folders(options_for({half()}, write_rows("one.jsonl", {rows().front()})));
  std::set<ino_t> seen;
  std::uint64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(half())) {
    if (entry.path().string().find(".onnx") == std::string::npos) continue;
    struct stat status{};
    ASSERT_EQ(::stat(entry.path().c_str(), &status), 0);
    if (seen.insert(status.st_ino).second) bytes += static_cast<std::uint64_t>(status.st_size);
  }
  EXPECT_EQ(seen.size(), 5U);  // three graphs, two files of data
  EXPECT_EQ(found.folders[0].bytes, bytes);
}

TEST_F(EvaluateTest, AFolderIsItselfToTheBit) {
  EvaluateOptions options = options_for({half(), half()}, write_rows("two.jsonl", {rows()[0], rows()[2]}));
  const Evaluation found = evaluate_folders(options);
  EXPECT_EQ(found.folders[1].kl, 0);
  EXPECT_EQ(found.folders[1].kl_p99, 0);
  EXPECT_EQ(found.folders[1].top1, 1);
  EXPECT_EQ(found.folders[1].same, 2);
  EXPECT_EQ(found.folders[1].exact, found.folders[0].exact);
}

TEST_F(EvaluateTest, TheReferenceIsARowWhereverItStands) {
  EvaluateOptions options = options_for({half()}, write_rows("one.jsonl", {rows().front()}));
  options.reference = full();
  const Evaluation first = evaluate_folders(options);
  ASSERT_EQ(first.folders.size(), 2U);
  EXPECT_EQ(first.folders[0].folder, full());
  EXPECT_FALSE(first.folders[0].kl);
  EXPECT_GT(first.folders[1].kl.value_or(0), 0);
  options.folders = {half(), full() / "."};
  const Evaluation second = evaluate_folders(options);
  ASSERT_EQ(second.folders.size(), 2U);
  EXPECT_EQ(second.folders[0].folder, half());
  EXPECT_EQ(second.folders[0].kl, first.folders[1].kl);
  EXPECT_FALSE(second.folders[1].kl);
}

// A box is right in pixels of the picture, whatever the model's size: here what the model says of them is
// the data.
TEST_F(EvaluateTest, BoxesAreInPixelsOfThePicture) {
  const std::string question = "Detect all shapes in the image and return their locations in JSON format.";
  Json row = chat({"e013.jpg"}, question);  // 320 x 240
  const Answer answer = ask(half(), row, 0);
  const std::size_t begin = answer.text.find('[');
  const std::size_t end = answer.text.rfind(']');
  ASSERT_NE(begin, std::string::npos) << answer.text;
  Json boxes = parse_json(answer.text.substr(begin, end + 1 - begin), "answer");
  std::erase_if(boxes.get_ref<Json::array_t&>(), [](const Json& box) {
    return box["bbox_2d"][0] >= box["bbox_2d"][2] || box["bbox_2d"][1] >= box["bbox_2d"][3];
  });
  ASSERT_FALSE(boxes.empty()) << answer.text;
  const auto exact = [&](double x, double y) {
    Json scaled = boxes;
    for (Json& box : scaled) {
      for (std::size_t i = 0; i < 4; ++i)
        box["bbox_2d"][i] = box["bbox_2d"][i].get<double>() * (i % 2 == 0 ? x : y);
    }
    row["boxes"] = scaled;
    EvaluateOptions options = options_for({half()}, write_rows("boxes.jsonl", {row}));
    options.max_new_tokens = 0;
    return evaluate_folders(options).folders[0].exact;
  };
  EXPECT_EQ(exact(320.0 / 112, 240.0 / 112), 1);
  EXPECT_EQ(exact(1, 1), 0);
}

TEST_F(EvaluateTest, WithoutAnswersOnlyDistributions) {
  const auto data = write_rows("all.jsonl", rows());
  EvaluateOptions options = options_for({full(), half()}, data);
  const Evaluation with = evaluate_folders(options);
  options.answers = false;
  const Evaluation without = evaluate_folders(options);
  EXPECT_EQ(without.positions, with.positions);
  EXPECT_EQ(without.folders[1].kl, with.folders[1].kl);
  EXPECT_EQ(without.folders[1].top1, with.folders[1].top1);
  for (const EvaluatedFolder& folder : without.folders)
    EXPECT_FALSE(folder.exact || folder.same || folder.seconds_per_answer || folder.seconds_per_answer_mean);
  // Data without answers will do then.
  options.data = write_rows("unknown.jsonl", {rows().back()});
  EXPECT_GT(evaluate_folders(options).folders[1].kl.value_or(0), 0);
  options.answers = true;
  EXPECT_TRUE(contains(input_error([&] { (void)evaluate_folders(options); }), "has an answer or boxes"));
}

TEST_F(EvaluateTest, ProgressGoesToTheEnd) {
  EvaluateOptions options = options_for({half()}, write_rows("all.jsonl", rows()));
  options.samples = 2;
  options.answers = false;
  std::vector<std::string> seen;
  options.on_progress = [&](const EvaluateProgress& p) {
    EXPECT_EQ(p.folder, half().string());
    seen.push_back(p.stage + std::to_string(p.done) + "/" + std::to_string(p.total));
  };
  EXPECT_EQ(evaluate_folders(options).questions, 2);
  EXPECT_EQ(seen, (std::vector<std::string>{"pictures0/2", "pictures1/2", "pictures2/2", "questions0/2",
                                            "questions1/2", "questions2/2"}));
}

TEST_F(EvaluateTest, RefusesFoldersThatCannotBeCompared) {
  const auto data = write_rows("all.jsonl", rows());
  const auto error_of = [&](const std::vector<fs::path>& folders, const fs::path& file) {
    return input_error([&] { (void)evaluate_folders(options_for(folders, file)); });
  };
  EXPECT_TRUE(contains(error_of({half(), root()}, data), "has no manifest.json"));
  const std::string size = error_of({half(), demo("larger", false, 140)}, data);
  EXPECT_TRUE(contains(size, "is for pictures of 140x140") && contains(size, "for 112x112")) << size;
  // Without a picture in the data it does not matter.
  EXPECT_EQ(error_of({half(), demo("larger", false, 140)}, write_rows("text.jsonl", {rows()[2]})), "");
  EXPECT_TRUE(contains(error_of({demo("blind", false, 112, {"text"})}, data), "has no vision artifact"));
  EXPECT_TRUE(contains(error_of({half()}, root() / "none.jsonl"), "none.jsonl"));
  Json talkative = rows()[2];
  for (int i = 0; i < 5000; ++i) talkative["answer"] = talkative["answer"].get<std::string>() + " word";
  EXPECT_TRUE(
      contains(error_of({half()}, write_rows("long.jsonl", {talkative})), "with its answer; the model"));
}

TEST_F(EvaluateTest, RefusesAnotherTokenizer) {
  const fs::path other = root() / "other-tokenizer";
  fs::copy(half(), other);
  Json tokenizer = read_json_file(other / "tokenizer.json");
  tokenizer["model"]["merges"] = Json::array();
  test::write_file(other / "tokenizer.json", tokenizer.dump());
  const auto data = write_rows("all.jsonl", rows());
  const std::string error = input_error([&] { (void)evaluate_folders(options_for({half(), other}, data)); });
  EXPECT_TRUE(contains(error, "all.jsonl:1: the tokens in " + other.string())) << error;
}

TEST_F(EvaluateTest, RefusesWrongOptions) {
  const auto data = write_rows("all.jsonl", rows());
  EXPECT_THROW((void)evaluate_folders(options_for({}, data)), UsageError);
  EvaluateOptions options = options_for({half()}, data);
  options.provider = "tpu";
  EXPECT_THROW((void)evaluate_folders(options), UsageError);
  options = options_for({half()}, data);
  options.samples = -1;
  EXPECT_THROW((void)evaluate_folders(options), UsageError);
}

TEST_F(EvaluateTest, IsInterrupted) {
  EvaluateOptions options = options_for({half()}, write_rows("all.jsonl", rows()));
  CancelToken cancel;
  options.cancel = &cancel;
  options.on_progress = [&](const EvaluateProgress& p) {
    if (p.stage == "questions" && p.done == 1) cancel.cancel();
  };
  EXPECT_THROW((void)evaluate_folders(options), Interrupted);
}

}  // namespace
}  // namespace qvl
