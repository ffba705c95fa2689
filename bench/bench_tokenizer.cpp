// Encoding speed, one thread, with the real Qwen2.5 tokenizer. The words of the English text are the
// vocabulary's own (it is in order of frequency), drawn by Zipf's law; every twentieth is two of them run
// together.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "text/detokenizer.h"
#include "text/tokenizer.h"

namespace {

using qvl::TokenId;
using qvl::Tokenizer;

constexpr std::size_t kTextBytes = std::size_t{4} << 20U;

const Tokenizer& tokenizer() {
  static const Tokenizer loaded = Tokenizer::load(QVL_QWEN_TOKENIZER);
  return loaded;
}

bool is_missing(benchmark::State& state) {
  if (std::filesystem::exists(QVL_QWEN_TOKENIZER)) return false;
  state.SkipWithError("the Qwen2.5 tokenizer is not here; scripts/setup.sh fetches it");
  return true;
}

// Rank r with a probability in proportion to 1 / (r + 2.7).
std::size_t zipf(std::mt19937& random, std::size_t count) {
  const double uniform = std::uniform_real_distribution<double>(0.0, 1.0)(random);
  const double top = std::log((static_cast<double>(count) + 2.7) / 2.7);
  return std::min(count - 1, static_cast<std::size_t>(2.7 * std::exp(uniform * top) - 2.7));
}

std::vector<std::string> english_words() {
  std::vector<std::string> words;
  const auto size = static_cast<TokenId>(tokenizer().vocab_size());
  for (TokenId id = 0; id < size && words.size() < 20000; ++id) {
    const std::string_view bytes = tokenizer().token_bytes(id);
    if (bytes.size() < 2 || bytes.size() > 14 || bytes[0] != ' ') continue;
    const std::string_view letters = bytes.substr(1);
    if (letters.find_first_not_of("abcdefghijklmnopqrstuvwxyz") == std::string_view::npos)
      words.emplace_back(letters);
  }
  return words;
}

std::string english() {
  const std::vector<std::string> words = english_words();
  std::mt19937 random(11);
  const auto one_in = [&random](unsigned n) { return random() % n == 0; };
  std::string text;
  bool starts = true;
  while (text.size() < kTextBytes) {
    std::string word = words[zipf(random, words.size())];
    if (one_in(20)) word += words[zipf(random, words.size())];
    if (starts || one_in(25)) word[0] = static_cast<char>(word[0] - 'a' + 'A');
    if (one_in(60)) word = std::to_string(random() % 2100);
    if (one_in(80)) word += "'s";
    starts = false;
    text += word;
    if (one_in(12)) {
      text += ". ";
      starts = true;
    } else if (one_in(14)) {
      text += ", ";
    } else if (one_in(120)) {
      text += ".\n\n";
      starts = true;
    } else {
      text += ' ';
    }
  }
  return text;
}

std::string chinese() {
  // Words of the vocabulary that are made of Han characters of the main block.
  std::vector<std::string> words;
  const auto size = static_cast<TokenId>(tokenizer().vocab_size());
  for (TokenId id = 0; id < size; ++id) {
    const std::string_view bytes = tokenizer().token_bytes(id);
    bool han = bytes.size() >= 3 && bytes.size() % 3 == 0;
    for (std::size_t i = 0; han && i < bytes.size(); i += 3) {
      const auto lead = static_cast<unsigned char>(bytes[i]);
      han = lead >= 0xE5 && lead <= 0xE9;
    }
    if (han) words.emplace_back(bytes);
  }
  std::mt19937 random(12);
  std::string text;
  while (text.size() < kTextBytes) {
    const std::size_t length = 3 + random() % 10;
    for (std::size_t i = 0; i < length; ++i) text += words[zipf(random, words.size())];
    text += random() % 3 == 0 ? "。" : "，";
  }
  return text;
}

std::string code() {
  const std::vector<std::string> words = english_words();
  std::mt19937 random(13);
  const auto name = [&] {
    std::string joined = words[zipf(random, words.size())];
    if (random() % 2 == 0) joined += "_" + words[zipf(random, words.size())];
    return joined;
  };
  std::string text;
  while (text.size() < kTextBytes) {
    const std::string indent((1 + random() % 4) * 2, ' ');
    switch (random() % 4) {
      case 0:
        text += indent + "if (" + name() + "[" + name() + "] != " + std::to_string(random() % 999) + ") {\n";
        break;
      case 1:
        text += indent + "const auto " + name() + " = " + name() + "." + name() + "(" + name() + ");\n";
        break;
      case 2:
        text += indent + "// The " + name() + " " + name() + " of the " + name() + ".\n";
        break;
      default:
        text += indent + "return " + name() + "->" + name() + ";\n" + indent + "}\n\n";
    }
  }
  return text;
}

void encode(benchmark::State& state, std::string (*make_text)()) {
  if (is_missing(state)) return;
  const std::string text = make_text();
  std::size_t tokens = 0;
  for (auto _ : state) {
    const std::vector<TokenId> ids = tokenizer().encode(text);
    benchmark::DoNotOptimize(ids.data());
    tokens = ids.size();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
  state.counters["bytes_per_token"] = static_cast<double>(text.size()) / static_cast<double>(tokens);
}

void BM_EncodeEnglish(benchmark::State& state) { encode(state, english); }
void BM_EncodeChinese(benchmark::State& state) { encode(state, chinese); }
void BM_EncodeCode(benchmark::State& state) { encode(state, code); }

// The first 64 KiB that a tokenizer sees: no word is in its cache yet.
void BM_EncodeEnglishCold(benchmark::State& state) {
  if (is_missing(state)) return;
  const std::string json_path = QVL_QWEN_TOKENIZER;
  const std::string text = english().substr(0, std::size_t{64} << 10U);
  for (auto _ : state) {
    state.PauseTiming();
    const Tokenizer fresh = Tokenizer::load(json_path);
    state.ResumeTiming();
    benchmark::DoNotOptimize(fresh.encode(text).data());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
}

void BM_EncodePrompt(benchmark::State& state) {
  encode(state, [] { return std::string("Describe the image in one sentence, please."); });
}

void BM_Decode(benchmark::State& state) {
  if (is_missing(state)) return;
  const std::vector<TokenId> ids = tokenizer().encode(english());
  std::size_t bytes = 0;
  for (auto _ : state) {
    const std::string text = tokenizer().decode(ids, true);
    benchmark::DoNotOptimize(text.data());
    bytes += text.size();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}

void BM_DetokenizeStream(benchmark::State& state) {
  if (is_missing(state)) return;
  const std::vector<TokenId> ids = tokenizer().encode(english());
  for (auto _ : state) {
    qvl::Detokenizer detokenizer(tokenizer(), true);
    for (const TokenId id : ids) benchmark::DoNotOptimize(detokenizer.push(id));
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * ids.size()));
}

void BM_Load(benchmark::State& state) {
  if (is_missing(state)) return;
  for (auto _ : state) benchmark::DoNotOptimize(Tokenizer::load(QVL_QWEN_TOKENIZER).vocab_size());
}

BENCHMARK(BM_EncodeEnglish)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_EncodeEnglishCold)->Unit(benchmark::kMillisecond)->Iterations(10);
BENCHMARK(BM_EncodeChinese)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_EncodeCode)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_EncodePrompt);
BENCHMARK(BM_Decode)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_DetokenizeStream)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_Load)->Unit(benchmark::kMillisecond);

}  // namespace
