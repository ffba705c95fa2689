#include "core/json_text.h"

#include <fmt/format.h>

#include <functional>
#include <set>
#include <vector>

#include "core/text_file.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr int kMaxDepth = 256;

// Called by the parser for each part of the text.
struct KeyCheck {
  std::string_view source;
  std::vector<std::set<std::string>> keys;  // of the objects that are open

  bool operator()(int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second)
      throw InputError(fmt::format("{}: the key {} is there twice in one object", source, parsed.dump()));
    return true;
  }
};

}  // namespace

Json parse_json(std::string_view text, std::string_view source, RepeatedKeys repeated) {
  bool too_deep = false;
  // Counted by hand: the parser's own callback is slow on big files.
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size() && !too_deep; ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) too_deep = true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  if (too_deep) {
    throw InputError(fmt::format("{}: JSON nested deeper than {} levels", source, kMaxDepth));
  }
  try {
    if (repeated == RepeatedKeys::last_counts) return Json::parse(text.begin(), text.end());
    KeyCheck check{source, {}};
    return Json::parse(text.begin(), text.end(), std::ref(check));
  } catch (const Json::exception& error) {
    // Without the library's own mark, "[json.exception.parse_error.101] ".
    const std::string_view what = error.what();
    throw InputError(fmt::format("{} is not valid JSON: {}", source,
                                 what.substr(what.starts_with('[') ? what.find(' ') + 1 : 0)));
  }
}

Json read_json_file(const std::filesystem::path& path, std::size_t max_bytes) {
  return parse_json(read_text_file(path, max_bytes), path.string());
}

}  // namespace qvl
