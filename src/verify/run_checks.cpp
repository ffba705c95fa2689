#include "verify/run_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "image/rgb_image.h"
#include "models/picture_pixels.h"
#include "verify/outputs.h"
#include "verify/text_input.h"

namespace qvl {
namespace {

constexpr std::size_t kShortRow = 9;  // tokens
constexpr std::size_t kLongRow = 13;

// Colours that run along both sides, every pixel apart from its neighbours; `turned` is another one.
RgbImage gradient(PixelSize size, bool turned) {
  RgbImage image(size);
  for (std::int64_t y = 0; y < size.height; ++y) {
    for (std::int64_t x = 0; x < size.width; ++x) {
      std::uint8_t* pixel = image.row(y) + x * RgbImage::kChannels;
      const std::int64_t across = 255 * x / size.width;
      const std::int64_t down = 255 * y / size.height;
      pixel[0] = static_cast<std::uint8_t>(turned ? 255 - down : across);
      pixel[1] = static_cast<std::uint8_t>(turned ? across : down);
      pixel[2] = static_cast<std::uint8_t>((x * 7 + y * 13) % 256);
    }
  }
  return image;
}

class RunChecks {
 public:
  RunChecks(Subject& subject, CheckList& checks)
      : subject_(subject), checks_(checks), options_(session_options_of(subject)) {}

  void run() {
    checks_.add("run.vision", [this] { return vision(); });
    text("run.text.padding", kTextArtifact);
    text("run.text_with_image.padding", kTextWithImageArtifact);
  }

 private:
  // Why an artifact is not run; empty when it is.
  std::string obstacle(std::string_view artifact) {
    if (subject_.find(artifact) == nullptr) return "the folder has no such artifact";
    if (subject_.runnable(artifact) == nullptr) return "the artifact failed its checks";
    return subject_.configs ? "" : "the configs cannot be read";
  }

  Check vision() {
    if (const std::string why = obstacle(kVisionArtifact); !why.empty()) return skipped(why);
    const ManifestArtifact& a = subject_.find(kVisionArtifact)->manifest;
    const PixelSize size{a.image_height_pixels, a.image_width_pixels};
    const Session session(subject_.place(a.file), options_);
    std::vector<std::vector<float>> features;
    for (const bool turned : {false, true}) {
      const Tensor pixels = normalised_pixels(gradient(size, turned), subject_.configs->preprocessor);
      features.push_back(floats_of(
          session.run({{"pixel_values", pixels.view()}}, {"vision_features"}, subject_.options.cancel)
              .front()
              .view()));
      const std::vector<float>& values = features.back();
      if (!all_finite(values)) return failed("vision_features are not finite");
      const auto [low, high] = std::ranges::minmax(values);
      if (!(low < high)) return failed("vision_features are constant");
    }
    if (features[0] == features[1]) return failed("two different pictures have the same features");
    features_ = features[0];
    features_.insert(features_.end(), features[1].begin(), features[1].end());
    return passed(fmt::format("2 pictures of {} x {}: features are finite, not constant, not the same",
                              size.width, size.height));
  }

  // All checks of one text artifact, in one session.
  void text(const std::string& padding_check, std::string_view artifact) {
    const bool with_image = artifact == kTextWithImageArtifact;
    if (const std::string why = obstacle(artifact); !why.empty()) {
      checks_.add(padding_check, skipped(why));
      if (with_image) {
        checks_.add("run.text_agreement", skipped("text_with_image is not run"));
        checks_.add("run.pictures", skipped("text_with_image is not run"));
      }
      return;
    }
    std::optional<TextRunner> runner;
    checks_.add(padding_check, [&] {
      runner.emplace(subject_, *subject_.find(artifact), options_);
      return padding(*runner, artifact);
    });
    if (!with_image) return;
    checks_.add("run.text_agreement", [this] { return agreement(); });
    checks_.add("run.pictures",
                [&] { return runner ? pictures(*runner) : skipped("text_with_image cannot be loaded"); });
  }

  [[nodiscard]] std::int64_t padding_id() const {
    const GenerationConfig& generation = subject_.configs->generation;
    return generation.pad_token_id.value_or(generation.eos_token_ids.front());
  }

  // The logits at these places of a batch.
  [[nodiscard]] std::vector<float> logits(const TextRunner& runner, const TokenBatch& batch,
                                          std::span<const float> features,
                                          std::span<const std::int64_t> places) const {
    return rows_of(runner.run(batch, features, {"logits"}).front().view(),
                   subject_.configs->model->facts().vocab_size, places);
  }

  Check padding(const TextRunner& runner, std::string_view artifact) {
    const TokenIds row = plain_ids(*subject_.configs, kShortRow, 1);
    const TokenIds longer = plain_ids(*subject_.configs, kLongRow, 2);
    const TokenBatch alone = TokenBatch::of(std::vector<TokenIds>{row}, PaddingSide::right, padding_id());
    std::vector<float>& expected = artifact == kTextArtifact ? text_logits_ : picture_logits_;
    expected = logits(runner, alone, {}, alone.tokens());
    if (!all_finite(expected)) return failed("logits are not finite");
    double worst = 0;
    for (const PaddingSide side : {PaddingSide::right, PaddingSide::left}) {
      const TokenBatch batch = TokenBatch::of(std::vector<TokenIds>{row, longer}, side, padding_id());
      const std::vector<float> found = logits(runner, batch, {}, batch.tokens());  // of the short row first
      if (!all_finite(found)) return failed("logits of a padded batch are not finite");
      worst = std::max(worst, difference_of(std::span(found).first(expected.size()), expected).relative);
    }
    return within(worst, bar_of(subject_.find(artifact)->dtype),
                  fmt::format("a row of {} tokens gives {} logits alone and padded to {} on either side",
                              kShortRow, worst == 0 ? "bit for bit the same" : "the same", kLongRow));
  }

  Check agreement() {
    if (text_logits_.empty() || picture_logits_.empty())
      return skipped("both text artifacts must run for it");
    const SubjectArtifact& text = *subject_.find(kTextArtifact);
    const SubjectArtifact& other = *subject_.find(kTextWithImageArtifact);
    const double difference = difference_of(picture_logits_, text_logits_).relative;
    const DType coarser = text.dtype == DType::f32 ? other.dtype : text.dtype;
    return within(difference, bar_of(coarser),
                  fmt::format("text and text_with_image give {} logits for {} tokens of text",
                              difference == 0 ? "bit for bit the same" : "the same", kShortRow));
  }

  // Plain tokens around `count` image tokens for each picture.
  [[nodiscard]] TokenIds picture_prompt(std::size_t count, std::uint32_t pictures) const {
    const ModelFacts& model = subject_.configs->model->facts();
    TokenIds ids = plain_ids(*subject_.configs, 3, 3);
    for (std::uint32_t picture = 0; picture < pictures; ++picture) {
      ids.push_back(model.picture_start_token_id);
      ids.insert(ids.end(), count, model.image_token_id);
      ids.push_back(model.picture_end_token_id);
      const TokenIds more = plain_ids(*subject_.configs, 3, 4 + picture);
      ids.insert(ids.end(), more.begin(), more.end());
    }
    std::erase_if(ids, [](std::int64_t id) { return id < 0; });  // configs need not name every token
    return ids;
  }

  Check pictures(const TextRunner& runner) {
    if (features_.empty()) return skipped("vision is not run");
    const ManifestArtifact& vision = subject_.find(kVisionArtifact)->manifest;
    const ManifestArtifact& text = subject_.find(kTextWithImageArtifact)->manifest;
    if (vision.image_width_pixels != text.image_width_pixels ||
        vision.image_height_pixels != text.image_height_pixels) {
      return failed("vision and text_with_image are not for one picture size");
    }
    const auto width = static_cast<std::size_t>(subject_.configs->model->facts().hidden_size);
    const std::size_t tokens = features_.size() / width / 2;
    const TokenBatch both =
        TokenBatch::of(std::vector<TokenIds>{picture_prompt(tokens, 2)}, PaddingSide::right, padding_id());
    if (!all_finite(logits(runner, both, features_, both.tokens())))
      return failed("logits after two pictures are not finite");
    // A few image tokens are enough to see that they count.
    const std::size_t few = std::min<std::size_t>(tokens, 4);
    const TokenBatch small =
        TokenBatch::of(std::vector<TokenIds>{picture_prompt(few, 1)}, PaddingSide::right, padding_id());
    const std::vector<std::int64_t> last{small.length() - 1};
    const std::span<const float> all(features_);
    const std::vector<float> one = logits(runner, small, all.first(few * width), last);
    const std::vector<float> other = logits(runner, small, all.subspan(tokens * width, few * width), last);
    Check check = compare_pictures(one, other);
    if (check.status == CheckStatus::passed) {
      check.detail =
          fmt::format("{} tokens with two pictures among them: logits are finite, and depend on the pictures",
                      both.length());
    }
    return check;
  }

  Subject& subject_;
  CheckList& checks_;
  SessionOptions options_;
  std::vector<float> features_;        // of both pictures, one after the other
  std::vector<float> text_logits_;     // of the short row alone, by text
  std::vector<float> picture_logits_;  // the same, by text_with_image
};

}  // namespace

Check compare_pictures(std::span<const float> one, std::span<const float> other) {
  // Before they are compared: a NaN is not equal to itself.
  if (!all_finite(one) || !all_finite(other)) return failed("logits after a picture are not finite");
  if (std::ranges::equal(one, other)) return failed("the logits do not depend on the image features");
  return passed("logits are finite, and depend on the picture");
}

void check_runs(Subject& subject, CheckList& checks) { RunChecks(subject, checks).run(); }

}  // namespace qvl
