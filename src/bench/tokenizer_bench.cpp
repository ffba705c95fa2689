#include "bench/tokenizer_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <random>
#include <vector>

#include "core/text_file.h"
#include "qvl/error.h"
#include "text/tokenizer.h"

namespace qvl {
namespace {

constexpr std::size_t kSampleBytes = std::size_t{4} << 20U;
constexpr std::size_t kMostWords = 20'000;
constexpr std::size_t kLeastWords = 100;

// Lower-case words of Latin letters that the vocabulary has with a space in front, the frequent ones first.
std::vector<std::string> words_of(const Tokenizer& tokenizer) {
  std::vector<std::string> words;
  const auto size = static_cast<TokenId>(tokenizer.vocab_size());
  for (TokenId id = 0; id < size && words.size() < kMostWords; ++id) {
    const std::string_view bytes = tokenizer.token_bytes(id);
    if (bytes.size() < 2 || bytes.size() > 14 || bytes.front() != ' ') continue;
    const std::string_view letters = bytes.substr(1);
    if (letters.find_first_not_of("abcdefghijklmnopqrstuvwxyz") == std::string_view::npos)
      words.emplace_back(letters);
  }
  if (words.size() >= kLeastWords) return words;
  words.clear();
  for (const char* first : {"ba", "de", "fi", "go", "lu", "ma", "ne", "ri", "so", "tu"}) {
    for (const char* last : {"r", "nt", "l", "st", "m", "ck", "ve", "ng", "th", "sh"})
      words.push_back(std::string(first) + last);
  }
  return words;
}

class TextMaker {
 public:
  explicit TextMaker(std::vector<std::string> words) : words_(std::move(words)) {}

  std::string make(std::size_t bytes) {
    std::string text;
    text.reserve(bytes + 64);
    while (text.size() < bytes) append_sentence(text);
    return text;
  }

 private:
  // Whole numbers of the generator only: the distributions of the standard library differ between its makers.
  bool one_in(unsigned n) { return random_() % n == 0; }

  // The word of rank r comes with a probability in proportion to 1 / (r + 2.7).
  const std::string& word() {
    constexpr double kShift = 2.7;
    const double uniform = static_cast<double>(random_() >> 11U) * 0x1p-53;
    const double top = std::log((static_cast<double>(words_.size()) + kShift) / kShift);
    const auto rank = static_cast<std::size_t>(kShift * std::exp(uniform * top) - kShift);
    return words_[std::min(rank, words_.size() - 1)];
  }

  void append_sentence(std::string& text) {
    const std::size_t count = 4 + random_() % 16;
    for (std::size_t i = 0; i < count; ++i) {
      std::string next = one_in(60) ? std::to_string(random_() % 2100) : word();
      if (one_in(20)) next += word();
      if (one_in(80)) next += "'s";
      if ((i == 0 || one_in(25)) && next.front() >= 'a')
        next.front() = static_cast<char>(next.front() - 'a' + 'A');
      text += next;
      if (i + 1 < count) text += one_in(14) ? ", " : " ";
    }
    text += one_in(10) ? ".\n\n" : ". ";
  }

  std::vector<std::string> words_;
  std::mt19937_64 random_{11};
};

}  // namespace

std::string sample_text(const Tokenizer& tokenizer, std::size_t bytes) {
  return TextMaker(words_of(tokenizer)).make(bytes);
}

TokenizerBenchResult bench_tokenizer(const TokenizerBenchOptions& options) {
  check_runs(options.runs);
  TokenizerBenchResult result;
  std::string text;
  if (!options.text.empty()) {
    text = read_text_file(options.text);
    if (text.empty()) throw InputError(fmt::format("{} is empty; a text is expected", options.text.string()));
  }
  const LimitsOptions limits{.seconds = options.limits_seconds,
                             .memory = true,
                             .progress = options.runs.progress,
                             .cancel = options.runs.cancel};
  std::optional<Tokenizer> tokenizer;
  result.load_seconds = seconds_of([&] { tokenizer = Tokenizer::load(options.tokenizer_json); });
  result.made_text = text.empty();
  if (text.empty()) text = sample_text(*tokenizer, kSampleBytes);
  result.limits.before = measure_limits(limits);
  result.text_bytes = text.size();
  MemoryWatch watch;
  std::vector<TokenId> ids;
  result.encode_seconds = time_runs(options.runs, "encode", [&] { ids = tokenizer->encode(text); });
  std::string decoded;
  result.decode_seconds = time_runs(options.runs, "decode", [&] { decoded = tokenizer->decode(ids, false); });
  result.most = watch.stop();
  result.tokens = ids.size();
  result.decoded_bytes = decoded.size();
  result.limits.after = measure_limits(limits);
  return result;
}

}  // namespace qvl
