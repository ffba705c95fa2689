#include "verify/stage_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>

#include "image/resize.h"
#include "models/family.h"
#include "models/picture_pixels.h"
#include "verify/outputs.h"
#include "verify/stage_compare.h"

namespace qvl {
namespace {

// (x / 255 - mean) / deviation in f32, in whatever order a version of the reference rounds it.
constexpr double kPixelBar = 1e-6;
// A reference in bfloat16 has 8 bits itself.
constexpr double kBf16Bar = 5e-2;
// Where its two highest logits are nearer than this, the reference's choice is not to be relied on.
constexpr float kF32Gap = 1e-3F;
constexpr float kF16Gap = 5e-2F;

// Every stage in the order of computation, as it stands in a certificate; "vision" and "text" stand for what
// is skipped as a whole.
std::vector<std::string> stage_order(const GoldenStages& stages) {
  std::vector<std::string> order{"resize", "pixel_values", "token_ids", "position_ids", "vision"};
  for (const StageValue& stage : stages.vision) order.push_back(stage.stage);
  for (const char* stage : {"vision_features", "text"}) order.emplace_back(stage);
  for (const StageValue& stage : stages.text) order.push_back(stage.stage);
  for (const char* stage : {"logits", "greedy"}) order.emplace_back(stage);
  return order;
}

class StageChecks {
 public:
  StageChecks(Subject& subject, const Goldens& goldens)
      : subject_(subject),
        goldens_(goldens),
        configs_(*subject.configs),
        stages_(configs_.model->golden_stages()),
        order_(stage_order(stages_)),
        options_(session_options_of(subject)),
        work_(goldens.cases.size()) {}

  void run() {
    for (std::size_t i = 0; i < work_.size(); ++i) {
      pixels(i);
      token_ids(i);
    }
    vision();
    text();
  }

  // Hands the checks over, in the order of cases and stages; gives back the first stage that failed.
  std::string deliver(CheckList& checks) {
    std::string first;
    for (auto& [place, check] : results_) {
      const std::string& stage = order_[place.second];
      if (first.empty() && check.status == CheckStatus::failed) first = stage;
      checks.add(fmt::format("golden.{}.{}", goldens_.cases[place.first].name, stage), std::move(check));
    }
    return first;
  }

 private:
  // What was computed for a case so far.
  struct Work {
    std::optional<Tensor> pixels;  // f32 [1, 3, height, width]
    std::vector<float> features;   // of the picture
  };

  void add(std::size_t i, const std::string& stage, const std::function<Check()>& make) {
    CheckList one;
    one.add("", make);
    const auto rank = static_cast<std::size_t>(std::ranges::find(order_, stage) - order_.begin());
    results_.insert_or_assign(std::pair(i, rank), std::move(one.take().front()));
  }

  // Does something that is no check itself; where it cannot be done, `stage` is what failed. Whether it was
  // done.
  bool attempt(std::size_t i, const std::string& stage, const std::function<void()>& work) {
    CheckList one;
    const bool done = one.add("", [&] {
      work();
      return passed("");
    });
    if (!done) add(i, stage, [&] { return one.take().front(); });
    return done;
  }

  [[nodiscard]] const Tensor* golden(std::size_t i, const std::string& tensor) const {
    return goldens_.cases[i].find(tensor);
  }

  // Inside the models the bars are those of the outputs: hidden states of the test models come to 5e-4 of the
  // largest value in f16, and 1e-6 in f32.
  [[nodiscard]] double bar(DType dtype) const {
    if (goldens_.dtype == DType::bf16) return kBf16Bar;
    return goldens_.dtype == DType::f16 ? kF16Bar : bar_of(dtype);
  }

  // --- before the models ---

  void pixels(std::size_t i) {
    const Tensor* picture = golden(i, "picture");
    const Tensor* resized = golden(i, "resized");
    const Tensor* expected = golden(i, "pixel_values");
    RgbImage ours;
    if (picture != nullptr) {
      ours = resize_bicubic(picture_of(*picture), goldens_.image_size);
      if (resized != nullptr) add(i, "resize", [&] { return compare_pixels(ours, picture_of(*resized)); });
    } else if (resized != nullptr) {
      ours = picture_of(*resized);
    }
    if (ours.height() > 0) {
      work_[i].pixels = normalised_pixels(ours, configs_.preprocessor);
      if (expected == nullptr) return;
      add(i, "pixel_values", [&] {
        return compare_rows(work_[i].pixels->as<float>(), expected->as<float>(), kPixelBar,
                            goldens_.image_size.width);
      });
    } else if (expected != nullptr) {
      work_[i].pixels = *expected;
    }
  }

  void token_ids(std::size_t i) {
    const GoldenCase& g = goldens_.cases[i];
    if (g.find("input_ids") == nullptr || (g.messages.empty() && g.texts.empty())) return;
    add(i, "token_ids", [&] {
      std::vector<TokenIds> rows;
      if (g.messages.empty()) {
        for (const std::string& text : g.texts) rows.push_back(configs_.tokenizer.encode(text));
      } else {
        const std::vector<std::int64_t> pictures(g.has_picture ? 1 : 0,
                                                 configs_.model->facts().picture_tokens(goldens_.image_size));
        rows.push_back(configs_.model->lay_out_prompt(
            configs_.tokenizer.encode(configs_.model->family().render_chat(g.messages)), pictures));
      }
      return compare_ids(rows, batch_of(g, nullptr));
    });
  }

  // --- the models ---

  [[nodiscard]] std::string why_not_run() const {
    return subject_.options.run ? "the artifact is not there, or failed its checks"
                                : "the models are not run";
  }

  // Those that some case has: no more is computed and copied than is compared. Those that the graph does not
  // have are skipped.
  std::vector<StageValue> wanted(const ModelProbe& graph, std::vector<StageValue> stages,
                                 std::span<const std::size_t> cases) {
    std::erase_if(stages, [&](const StageValue& s) {
      const bool there = graph.maker_of(s.value) != nullptr;
      bool asked_for = false;
      for (const std::size_t i : cases) {
        if (golden(i, s.stage) == nullptr) continue;
        asked_for = true;
        if (!there) {
          add(i, s.stage,
              [&] { return skipped(fmt::format("the graph has no value {}, as qvl calls it", s.value)); });
        }
      }
      return !there || !asked_for;
    });
    return stages;
  }

  void compare_inside(std::size_t i, std::span<const StageValue> stages,
                      std::span<const OutputTensor> outputs, std::span<const std::int64_t> rows,
                      std::int64_t width, DType dtype) {
    for (std::size_t s = 0; s < stages.size(); ++s) {
      const Tensor* expected = golden(i, stages[s].stage);
      if (expected == nullptr) continue;
      add(i, stages[s].stage, [&] {
        return compare_rows(rows_of(outputs[s].view(), width, rows), expected->as<float>(), bar(dtype),
                            width);
      });
    }
  }

  void vision() {
    std::vector<std::size_t> cases;
    for (std::size_t i = 0; i < work_.size(); ++i) {
      if (work_[i].pixels) cases.push_back(i);
    }
    const SubjectArtifact* artifact = subject_.runnable(kVisionArtifact);
    if (!subject_.options.run || artifact == nullptr) {
      for (const std::size_t i : cases) add(i, "vision", [&] { return skipped(why_not_run()); });
    } else if (!cases.empty()) {
      attempt(cases.front(), "vision", [&] {
        vision_inside(*artifact, cases);
        vision_features(*artifact, cases);
      });
    }
  }

  void vision_inside(const SubjectArtifact& artifact, std::span<const std::size_t> cases) {
    const std::vector<StageValue> stages = wanted(*artifact.probe, stages_.vision, cases);
    if (stages.empty()) return;
    std::vector<std::string> values;
    for (const StageValue& s : stages) values.push_back(s.value);
    const Session session = Session::from_bytes(artifact.probe->with_outputs(values),
                                                subject_.place(artifact.manifest.file), options_);
    for (const std::size_t i : cases) {
      const Tensor* rows = golden(i, "vision.rows");
      if (rows == nullptr) continue;
      const auto outputs =
          session.run({{"pixel_values", work_[i].pixels->view()}}, values, subject_.options.cancel);
      compare_inside(i, stages, outputs, stages_.our_rows(rows->as<std::int64_t>(), goldens_.image_size),
                     stages_.vision_width, DType::f32);
    }
  }

  void vision_features(const SubjectArtifact& artifact, std::span<const std::size_t> cases) {
    const Session session(subject_.place(artifact.manifest.file), options_);
    for (const std::size_t i : cases) {
      const auto output = session.run({{"pixel_values", work_[i].pixels->view()}}, {"vision_features"},
                                      subject_.options.cancel);
      work_[i].features = floats_of(output.front().view());
      const Tensor* expected = golden(i, "vision_features");
      if (expected == nullptr) continue;
      add(i, "vision_features", [&] {
        return compare_rows(work_[i].features, expected->as<float>(), bar(DType::f32), expected->shape()[1]);
      });
    }
  }

  // The golden's prompt, with the answer behind it where there is one.
  static TokenBatch batch_of(const GoldenCase& g, const Tensor* answer) {
    const Tensor& ids = *g.find("input_ids");
    const Tensor* mask = g.find("attention_mask");
    const std::int64_t more = answer == nullptr ? 0 : answer->count();
    const Shape shape{ids.shape()[0], ids.shape()[1] + more};
    TokenBatch batch{Tensor(DType::i64, shape), Tensor(DType::i64, shape)};
    std::ranges::fill(batch.mask.as<std::int64_t>(), 1);
    const auto length = static_cast<std::size_t>(ids.shape()[1]);
    const auto wide = static_cast<std::size_t>(shape[1]);
    for (std::size_t row = 0; row < static_cast<std::size_t>(shape[0]); ++row) {
      const auto to_ids = batch.ids.as<std::int64_t>().subspan(row * wide, wide);
      const auto to_mask = batch.mask.as<std::int64_t>().subspan(row * wide, wide);
      std::ranges::copy(ids.as<std::int64_t>().subspan(row * length, length), to_ids.begin());
      if (mask != nullptr)
        std::ranges::copy(mask->as<std::int64_t>().subspan(row * length, length), to_mask.begin());
      if (answer != nullptr) std::ranges::copy(answer->as<std::int64_t>(), to_ids.subspan(length).begin());
    }
    return batch;
  }

  void text() {
    std::map<std::size_t, std::vector<std::size_t>> by_artifact;  // by place in the set
    for (std::size_t i = 0; i < work_.size(); ++i) {
      if (golden(i, "input_ids") == nullptr) continue;
      const bool plain = !goldens_.cases[i].has_picture && subject_.runnable(kTextArtifact) != nullptr;
      const std::string_view which = plain ? kTextArtifact : kTextWithImageArtifact;
      if (!subject_.options.run || subject_.runnable(which) == nullptr) {
        add(i, "text", [&] { return skipped(why_not_run()); });
      } else if (goldens_.cases[i].has_picture && !has_features(i)) {
        add(i, "text", [] { return skipped("there are no features of its picture"); });
      } else {
        by_artifact[rank_of(subject_.manifest.set, which)].push_back(i);
      }
    }
    for (const auto& entry : by_artifact) {
      const std::vector<std::size_t>& cases = entry.second;
      const SubjectArtifact& artifact =
          *subject_.runnable(artifacts_of(subject_.manifest.set)[entry.first].name);
      attempt(cases.front(), "text", [&] {
        text_inside(artifact, cases);
        text_outputs(artifact, cases);
      });
    }
  }

  // Ours, or else the golden's.
  bool has_features(std::size_t i) {
    const Tensor* features = golden(i, "vision_features");
    if (work_[i].features.empty() && features != nullptr)
      work_[i].features.assign(features->as<float>().begin(), features->as<float>().end());
    return !work_[i].features.empty();
  }

  void text_inside(const SubjectArtifact& artifact, std::span<const std::size_t> cases) {
    const std::vector<StageValue> stages =
        wanted(*artifact.probe, artifact.kind.takes_pictures ? stages_.text_with_image : stages_.text, cases);
    const PositionValues positions =
        stages_.positions ? stages_.positions(*artifact.probe) : PositionValues{};
    std::vector<std::string> values;
    for (const StageValue& s : stages) values.push_back(s.value);
    for (const PositionValue& p : positions.found) values.push_back(p.value);
    std::optional<TextRunner> runner;
    if (!values.empty()) runner.emplace(subject_, artifact, options_, values);
    for (const std::size_t i : cases) {
      const TokenBatch batch = batch_of(goldens_.cases[i], nullptr);
      std::vector<OutputTensor> outputs;
      const auto run = [&] {
        if (runner) outputs = runner->run(batch, work_[i].features, values);
      };
      if (!attempt(i, "text", run)) continue;
      if (const Tensor* expected = golden(i, "position_ids")) {
        std::vector<TensorView> found;
        for (std::size_t p = 0; p < positions.found.size(); ++p)
          found.push_back(outputs[stages.size() + p].view());
        add(i, "position_ids", [&] { return compare_positions(batch, positions, found, *expected); });
      }
      if (const Tensor* rows = golden(i, "text.rows"))
        compare_inside(i, stages, outputs, rows->as<std::int64_t>(), configs_.model->facts().hidden_size,
                       artifact.dtype);
    }
  }

  void text_outputs(const SubjectArtifact& artifact, std::span<const std::size_t> cases) {
    const TextRunner runner(subject_, artifact, options_);
    const bool f32 = artifact.dtype == DType::f32 && goldens_.dtype == DType::f32;
    for (const std::size_t i : cases) {
      const Tensor* expected = golden(i, "logits");
      const Tensor* answer = golden(i, "greedy_ids");
      if (expected == nullptr && answer == nullptr) continue;
      const TokenBatch batch = batch_of(goldens_.cases[i], answer);
      std::vector<OutputTensor> outputs;
      if (!attempt(i, "text", [&] { outputs = runner.run(batch, work_[i].features, {"logits"}); })) continue;
      const TensorView logits = outputs.front().view();
      if (expected != nullptr) {
        const std::int64_t prompt = golden(i, "input_ids")->shape()[1];
        add(i, "logits",
            [&] { return compare_logits(batch, logits, *expected, prompt, bar(artifact.dtype)); });
      }
      if (answer != nullptr) {
        add(i, "greedy", [&] {
          return compare_answer(logits, *answer, golden(i, "greedy_gaps"), f32 ? kF32Gap : kF16Gap);
        });
      }
    }
  }

  Subject& subject_;
  const Goldens& goldens_;
  const FolderConfigs& configs_;
  GoldenStages stages_;
  std::vector<std::string> order_;
  SessionOptions options_;
  std::vector<Work> work_;                                        // by case
  std::map<std::pair<std::size_t, std::size_t>, Check> results_;  // by case and place of the stage in order_
};

// The sizes of the pictures that the folder's artifacts take must be that of the goldens.
Check fitting(Subject& subject, const Goldens& goldens) {
  if (!goldens.fingerprint.empty() && goldens.fingerprint != subject.manifest.fingerprint) {
    return failed(fmt::format("made from another checkpoint: its fingerprint is {}, the folder's is {}",
                              goldens.fingerprint, subject.manifest.fingerprint));
  }
  for (const std::string_view artifact : {kVisionArtifact, kTextWithImageArtifact}) {
    const SubjectArtifact* a = subject.find(artifact);
    if (a == nullptr) continue;
    const PixelSize size{a->manifest.image_height_pixels, a->manifest.image_width_pixels};
    if (size != goldens.image_size) {
      return failed(fmt::format("pictures of {} x {}; the folder's models take {} x {}",
                                goldens.image_size.width, goldens.image_size.height, size.width,
                                size.height));
    }
  }
  return passed(fmt::format("{} cases, of this checkpoint and picture size; made by {}", goldens.cases.size(),
                            goldens.provenance));
}

}  // namespace

std::string check_stages(Subject& subject, const Goldens& goldens, CheckList& checks) {
  if (!checks.add("goldens", [&] { return fitting(subject, goldens); })) return "";
  StageChecks stages(subject, goldens);
  stages.run();
  return stages.deliver(checks);
}

}  // namespace qvl
