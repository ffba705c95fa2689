#include "evaluation/labelled_box.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/json_text.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::size_t kMostObjectBytes = 4096;
constexpr double kLeastOverlap = 0.5;
constexpr double kMostPixels = 1e9;  // areas stay finite

std::optional<LabelledBox> box_of(const Json& object) {
  if (!object.is_object()) return std::nullopt;
  const auto corners = object.find("bbox_2d");
  const auto label = object.find("label");
  if (corners == object.end() || label == object.end() || !label->is_string()) return std::nullopt;
  if (!corners->is_array() || corners->size() != 4) return std::nullopt;
  for (const Json& corner : *corners) {
    if (!corner.is_number() || !(std::abs(corner.get<double>()) <= kMostPixels)) return std::nullopt;
  }
  const Json& c = *corners;
  return LabelledBox{label->get<std::string>(), c[0].get<double>(), c[1].get<double>(), c[2].get<double>(),
                     c[3].get<double>()};
}

double area(const LabelledBox& box) {
  return std::max(0.0, box.x2 - box.x1) * std::max(0.0, box.y2 - box.y1);
}

// Gives each wanted box one of its own: augmenting paths (Kuhn 1955).
class Matching {
 public:
  Matching(std::span<const LabelledBox> wanted, std::span<const LabelledBox> found)
      : wanted_(wanted), found_(found), taken_by_(found.size()) {}

  bool place(std::size_t wanted) {
    tried_.assign(found_.size(), false);
    return place_again(wanted);
  }

 private:
  bool place_again(std::size_t wanted) {
    for (std::size_t f = 0; f < found_.size(); ++f) {
      if (tried_[f] || found_[f].label != wanted_[wanted].label ||
          intersection_over_union(wanted_[wanted], found_[f]) < kLeastOverlap)
        continue;
      tried_[f] = true;
      if (!taken_by_[f] || place_again(*taken_by_[f])) {
        taken_by_[f] = wanted;
        return true;
      }
    }
    return false;
  }

  std::span<const LabelledBox> wanted_;
  std::span<const LabelledBox> found_;
  std::vector<std::optional<std::size_t>> taken_by_;
  std::vector<bool> tried_;
};

}  // namespace

std::vector<LabelledBox> parse_boxes(std::string_view json, std::string_view source) {
  const Json rows = parse_json(json, source);
  if (!rows.is_array() || rows.empty()) {
    throw InputError(fmt::format(
        "{}: an array of {{\"bbox_2d\": [x1, y1, x2, y2], \"label\": \"…\"}}, one at least, is expected",
        source));
  }
  std::vector<LabelledBox> boxes;
  for (const Json& row : rows) {
    const auto box = box_of(row);
    if (!box || area(*box) <= 0) {
      throw InputError(
          fmt::format("{}[{}] is no box: a text `label` and `bbox_2d` [x1, y1, x2, y2] with x1 < x2 and "
                      "y1 < y2 are expected",
                      source, boxes.size()));
    }
    boxes.push_back(*box);
  }
  return boxes;
}

std::vector<LabelledBox> boxes_in_answer(std::string_view text) {
  std::vector<LabelledBox> boxes;
  std::vector<std::size_t> open;  // objects that have begun
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') {
      in_string = false;  // none goes over lines: a quotation mark too many spoils one line
    } else if (in_string && c == '\\') {
      ++i;
    } else if (c == '"') {
      in_string = !open.empty() && !in_string;
    } else if (!in_string && c == '{') {
      open.push_back(i);
    } else if (!in_string && c == '}' && !open.empty()) {
      const std::string_view object = text.substr(open.back(), i + 1 - open.back());
      open.pop_back();
      if (object.size() > kMostObjectBytes) continue;
      const Json json = Json::parse(object, nullptr, /*allow_exceptions=*/false);
      if (auto box = box_of(json)) boxes.push_back(std::move(*box));
    }
  }
  return boxes;
}

LabelledBox stretched(const LabelledBox& box, PixelSize from, PixelSize to) {
  const double x = static_cast<double>(to.width) / static_cast<double>(from.width);
  const double y = static_cast<double>(to.height) / static_cast<double>(from.height);
  return {box.label, box.x1 * x, box.y1 * y, box.x2 * x, box.y2 * y};
}

double intersection_over_union(const LabelledBox& a, const LabelledBox& b) {
  const LabelledBox both{"", std::max(a.x1, b.x1), std::max(a.y1, b.y1), std::min(a.x2, b.x2),
                         std::min(a.y2, b.y2)};
  const double common = area(both);
  return common > 0 ? common / (area(a) + area(b) - common) : 0;
}

bool all_found(std::span<const LabelledBox> wanted, std::span<const LabelledBox> found) {
  Matching matching(wanted, found);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (!matching.place(i)) return false;
  }
  return true;
}

}  // namespace qvl
