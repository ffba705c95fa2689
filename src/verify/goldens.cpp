#include "verify/goldens.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <string_view>

#include "checkpoint/safetensors.h"
#include "core/json_text.h"
#include "core/message_quote.h"
#include "qvl/error.h"
#include "verify/subject.h"

namespace qvl {
namespace {

constexpr std::string_view kFormat = "qvl-goldens-1";
constexpr std::int64_t kMostPixels = 100'000;    // of a side of a picture
constexpr std::int64_t kMostTokens = 1'000'000;  // of all rows of a case
constexpr std::size_t kMostCases = 10'000;

class Reader {
 public:
  Reader(const std::filesystem::path& path, const Model& model)
      : file_(path), source_(path.string()), facts_(model.facts()), stages_(model.golden_stages()) {}

  Goldens read() {
    if (text("format", "") != kFormat) {
      fail(fmt::format(
          "the format in its metadata is {}; \"{}\" is expected (tools/goldens/make_goldens.py writes it)",
          quote_for_message(text("format", "")), kFormat));
    }
    Goldens goldens;
    goldens.provenance = text("provenance", "not said");
    goldens.fingerprint = text("fingerprint", "");
    goldens.dtype = dtype();
    goldens.image_size = size_ = image_size();
    goldens.cases = cases();
    std::map<std::string_view, GoldenCase*> by_name;
    for (GoldenCase& c : goldens.cases) by_name.emplace(c.name, &c);
    for (const TensorEntry& entry : file_.entries()) {
      const std::size_t dot = entry.name.find('.');
      const auto found = by_name.find(std::string_view(entry.name).substr(0, dot));
      if (dot == std::string::npos || found == by_name.end())
        fail(fmt::format("tensor {} belongs to no case", quote_for_message(entry.name)));
      const TensorView view = file_.tensor(entry);
      found->second->tensors.emplace(entry.name.substr(dot + 1),
                                     Tensor::of<std::byte>(view.dtype, view.shape, view.bytes));
    }
    for (const GoldenCase& c : goldens.cases) check(c);
    return goldens;
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw InputError(fmt::format("{}: {}", source_, why));
  }

  [[nodiscard]] std::string text(const char* key, const char* otherwise) const {
    const auto found = file_.metadata().find(key);
    return found == file_.metadata().end() ? otherwise : found->second;
  }

  [[nodiscard]] DType dtype() const {
    const std::string name = text("dtype", "float32");
    if (name == "float32") return DType::f32;
    if (name == "float16") return DType::f16;
    if (name == "bfloat16") return DType::bf16;
    fail(fmt::format("dtype {}; float32, float16 or bfloat16 is expected", quote_for_message(name)));
  }

  [[nodiscard]] PixelSize image_size() const {
    const std::string size = text("image_size", "672x672");
    const std::size_t x = size.find('x');
    const auto side = [&](std::string_view digits) {
      std::int64_t value = 0;
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
      if (error != std::errc() || end != digits.data() + digits.size() || value < 1 || value > kMostPixels)
        fail(fmt::format("image_size {}; WIDTHxHEIGHT in pixels is expected", quote_for_message(size)));
      return value;
    };
    const PixelSize result{side(std::string_view(size).substr(x == std::string::npos ? 0 : x + 1)),
                           side(std::string_view(size).substr(0, x))};
    if (result.height * result.width > kMostPicturePixels)
      fail(fmt::format("image_size {}; at most {} pixels are expected", quote_for_message(size),
                       kMostPicturePixels));
    return result;
  }

  [[nodiscard]] std::vector<GoldenCase> cases() const {
    const Json list = parse_json(text("cases", "[]"), source_ + ", cases");
    if (!list.is_array() || list.empty() || list.size() > kMostCases)
      fail("no list of cases in its metadata");
    std::vector<GoldenCase> cases;
    std::set<std::string> names;
    for (const Json& entry : list) {
      GoldenCase c;
      const auto member = [&](const char* key) -> const Json* {
        if (!entry.is_object()) fail("a case that is no object");
        const auto found = entry.find(key);
        return found == entry.end() || found->is_null() ? nullptr : &*found;
      };
      const Json* name = member("name");
      const Json* kind = member("kind");
      if (name == nullptr || !name->is_string() || name->get_ref<const std::string&>().empty())
        fail("a case without a name");
      c.name = name->get<std::string>();
      if (kind == nullptr || (*kind != "text" && *kind != "image"))
        fail(fmt::format("case {}: kind must be \"text\" or \"image\"", quote_for_message(c.name)));
      c.has_picture = *kind == "image";
      if (const Json* messages = member("messages"))
        c.messages = parse_messages(messages->dump(-1, ' ', false, Json::error_handler_t::replace),
                                    source_ + ", case " + c.name);
      if (const Json* texts = member("text")) c.texts = texts_of(*texts, c.name);
      if (!names.insert(c.name).second || c.name.find('.') != std::string::npos)
        fail(fmt::format("case {}: a name without a dot, of one case only, is expected",
                         quote_for_message(c.name)));
      cases.push_back(std::move(c));
    }
    return cases;
  }

  [[nodiscard]] std::vector<std::string> texts_of(const Json& json, const std::string& name) const {
    const Json list = json.is_string() ? Json::array({json}) : json;
    std::vector<std::string> texts;
    if (!list.is_array())
      fail(fmt::format("case {}: text must be a string or a list", quote_for_message(name)));
    for (const Json& item : list) {
      if (!item.is_string()) fail(fmt::format("case {}: text must hold strings", quote_for_message(name)));
      texts.push_back(item.get<std::string>());
    }
    return texts;
  }

  // --- the tensors of one case ---

  [[noreturn]] void refuse(const GoldenCase& c, const std::string& tensor, const std::string& wanted) const {
    const Tensor* found = c.find(tensor);
    fail(fmt::format(
        "{} is {}; {} is expected", quote_for_message(c.name + "." + tensor),
        found == nullptr ? "missing" : fmt::format("{} {}", name(found->dtype()), to_string(found->shape())),
        wanted));
  }

  // -1 stands for any number of 1 or more.
  const Tensor* require(const GoldenCase& c, const std::string& tensor, DType dtype,
                        const Shape& shape) const {
    const Tensor* found = c.find(tensor);
    if (found == nullptr) return nullptr;
    const auto fits = [](std::int64_t wanted, std::int64_t size) {
      return wanted < 0 ? size >= 1 : size == wanted;
    };
    if (found->dtype() != dtype || !std::ranges::equal(shape, found->shape(), fits)) {
      std::string wanted;
      for (const std::int64_t size : shape)
        wanted += (wanted.empty() ? "" : ", ") + (size < 0 ? "n" : std::to_string(size));
      refuse(c, tensor, fmt::format("{} [{}]", name(dtype), wanted));
    }
    return found;
  }

  void require_range(const GoldenCase& c, const std::string& tensor, std::int64_t min,
                     std::int64_t max) const {
    const Tensor* found = c.find(tensor);
    if (found == nullptr) return;
    for (const std::int64_t value : found->as<std::int64_t>()) {
      if (value < min || value > max)
        fail(fmt::format("{} holds {}; {} to {} is expected", quote_for_message(c.name + "." + tensor), value,
                         min, max));
    }
  }

  void check(const GoldenCase& c) const {
    std::size_t known = pictures(c) + prompts(c);
    const auto count = [&](const Tensor* tensor) { known += tensor != nullptr ? 1 : 0; };
    const std::int64_t vision_rows = row_count(c, "vision.rows");
    const std::int64_t text_rows = row_count(c, "text.rows");
    const auto states = [&](const std::string& tensor, std::int64_t rows, std::int64_t width) {
      if (c.find(tensor) == nullptr) return;
      if (rows < 0) refuse(c, tensor.substr(0, tensor.find('.')) + ".rows", "the numbers of its rows");
      count(require(c, tensor, DType::f32, {rows, width}));
    };
    for (const StageValue& stage : stages_.vision) states(stage.stage, vision_rows, stages_.vision_width);
    for (const StageValue& stage : stages_.text) states(stage.stage, text_rows, facts_.hidden_size);
    known += (vision_rows >= 0 ? 1 : 0) + (text_rows >= 0 ? 1 : 0);
    if (known != c.tensors.size()) {
      fail(fmt::format("case {} has {} tensors that the format or the model does not know",
                       quote_for_message(c.name), c.tensors.size() - known));
    }
  }

  // -1: there is no such list.
  [[nodiscard]] std::int64_t row_count(const GoldenCase& c, const std::string& tensor) const {
    const Tensor* found = c.find(tensor);
    return found == nullptr ? -1 : found->shape().front();
  }

  // How many of the picture's tensors are there.
  std::size_t pictures(const GoldenCase& c) const {
    std::size_t known = 0;
    const auto count = [&](const Tensor* tensor) { known += tensor != nullptr ? 1 : 0; };
    count(require(c, "picture", DType::u8, {-1, -1, 3}));
    count(require(c, "resized", DType::u8, {size_.height, size_.width, 3}));
    count(require(c, "pixel_values", DType::f32, {1, facts_.picture_channels, size_.height, size_.width}));
    count(require(c, "vision_features", DType::f32, {facts_.picture_tokens(size_), facts_.hidden_size}));
    (void)require(c, "vision.rows", DType::i64, {-1});
    if (stages_.vision_rows) require_range(c, "vision.rows", 0, stages_.vision_rows(size_) - 1);
    if (const Tensor* picture = c.find("picture");
        picture != nullptr && std::ranges::max(picture->shape()) > kMostPixels) {
      refuse(c, "picture", fmt::format("a side of at most {} pixels", kMostPixels));
    }
    return known;
  }

  // How many of the prompt's and the answer's tensors are there.
  std::size_t prompts(const GoldenCase& c) const {
    const Tensor* ids = require(c, "input_ids", DType::i64, {-1, -1});
    if (ids == nullptr) {
      for (const char* tensor :
           {"attention_mask", "position_ids", "text.rows", "logits", "greedy_ids", "greedy_gaps"}) {
        if (c.find(tensor) != nullptr) refuse(c, "input_ids", "the ids of the prompt");
      }
      return 0;
    }
    if (ids->count() > kMostTokens) refuse(c, "input_ids", fmt::format("at most {} ids", kMostTokens));
    const std::int64_t batch = ids->shape()[0];
    const std::int64_t length = ids->shape()[1];
    const std::int64_t last_id = facts_.vocab_size - 1;
    std::size_t known = 1;
    const auto count = [&](const Tensor* tensor) { known += tensor != nullptr ? 1 : 0; };
    require_range(c, "input_ids", 0, last_id);
    count(require(c, "attention_mask", DType::i64, {batch, length}));
    require_range(c, "attention_mask", 0, 1);
    if (const Tensor* mask = c.find("attention_mask")) {
      for (std::int64_t row = 0; row < batch; ++row) {
        const auto values = mask->as<std::int64_t>().subspan(static_cast<std::size_t>(row * length),
                                                             static_cast<std::size_t>(length));
        if (std::ranges::count(values, 1) == 0) refuse(c, "attention_mask", "a token in every row");
      }
    }
    count(require(c, "position_ids", DType::i64, {3, batch, length}));
    (void)require(c, "text.rows", DType::i64, {-1});
    require_range(c, "text.rows", 0, batch * length - 1);
    if (const Tensor* logits = require(c, "logits", DType::f32, {batch, -1, facts_.vocab_size})) {
      if (logits->shape()[1] > length) refuse(c, "logits", fmt::format("at most {} positions", length));
      count(logits);
    }
    if (const Tensor* answer = require(c, "greedy_ids", DType::i64, {-1})) {
      if (batch != 1 || answer->count() > kMostTokens) refuse(c, "greedy_ids", "the answer to one prompt");
      count(answer);
      require_range(c, "greedy_ids", 0, last_id);
      count(require(c, "greedy_gaps", DType::f32, {answer->count()}));
    }
    return known;
  }

  SafetensorsFile file_;
  std::string source_;
  const ModelFacts& facts_;
  GoldenStages stages_;
  PixelSize size_;
};

}  // namespace

Goldens Goldens::open(const std::filesystem::path& path, const Model& model) {
  return Reader(path, model).read();
}

}  // namespace qvl
