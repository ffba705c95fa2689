// Files that are not as they must be.
#include <gtest/gtest.h>

#include "qvl/error.h"
#include "text/tokenizer.h"
#include "tokenizer_file_builder.h"

namespace qvl {
namespace {

using Json = nlohmann::json;

std::string error_of(const std::string& json) {
  try {
    (void)Tokenizer::parse(json, "broken.json");
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

// The small tokenizer with one value changed.
std::string error_with(const std::string& pointer, const Json& value) {
  Json file = test::small_tokenizer();
  file[Json::json_pointer(pointer)] = value;
  return error_of(file.dump());
}

std::string error_without(const std::string& parent, const std::string& name) {
  Json file = test::small_tokenizer();
  file[Json::json_pointer(parent)].erase(name);
  return error_of(file.dump());
}

#define EXPECT_SAYS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST(TokenizerFile, TheSmallTokenizerIsFine) {
  EXPECT_EQ(error_of(test::small_tokenizer().dump()), "no error");
}

TEST(TokenizerFile, NamesTheFileAndTheField) {
  EXPECT_EQ(error_with("/model/type", "Unigram"), "broken.json: model.type must be \"BPE\", not \"Unigram\"");
  EXPECT_EQ(error_without("", "decoder"), "broken.json: decoder is missing");
}

TEST(TokenizerFile, RefusesOtherModels) {
  EXPECT_SAYS(error_with("/model", 3), "model must be an object");
  EXPECT_SAYS(error_with("/model/dropout", 0.1), "model.dropout must be null or 0.0, not 0.1");
  EXPECT_SAYS(error_with("/model/continuing_subword_prefix", "##"), "model.continuing_subword_prefix");
  EXPECT_SAYS(error_with("/model/end_of_word_suffix", "</w>"), "model.end_of_word_suffix");
  EXPECT_SAYS(error_with("/model/ignore_merges", "yes"), "model.ignore_merges must be true or false");
}

TEST(TokenizerFile, RefusesWrongIds) {
  EXPECT_SAYS(error_with("/model/vocab/the", -1), "model.vocab[\"the\"] must be an id from 0 to 258, not -1");
  EXPECT_SAYS(error_with("/model/vocab/the", 4000000000U), "not 4000000000");
  EXPECT_SAYS(error_with("/model/vocab/the", 1e30), "model.vocab[\"the\"]");
  EXPECT_SAYS(error_with("/model/vocab/the", "257"), "model.vocab[\"the\"]");
  EXPECT_SAYS(error_with("/model/vocab/the", 5), "has the id 5 twice");
  EXPECT_SAYS(error_with("/model/vocab", Json::array()), "model.vocab must be an object");
  EXPECT_SAYS(error_with("/model/vocab", Json::object()), "model.vocab must be an object");
  EXPECT_SAYS(error_with("/model/vocab", {{"a", 0}}), "lacks");
}

TEST(TokenizerFile, RefusesWrongMerges) {
  EXPECT_SAYS(error_with("/model/merges", "t h"), "model.merges must be an array");
  EXPECT_SAYS(error_with("/model/merges/1", "t"),
              "model.merges[1] must be \"a b\" or [\"a\", \"b\"], not \"t\"");
  EXPECT_SAYS(error_with("/model/merges/1", "t h e"), "model.merges[1]");
  EXPECT_SAYS(error_with("/model/merges/1", 7), "model.merges[1]");
  EXPECT_SAYS(error_with("/model/merges/1", {"t", "h", "e"}), "model.merges[1]");
  EXPECT_SAYS(error_with("/model/merges/1", {"t", 3}), "model.merges[1]");
  EXPECT_SAYS(error_with("/model/merges/1", "q zz"),
              "model.merges[1] needs the token \"zz\", which is not in model.vocab");
  EXPECT_SAYS(error_with("/model/merges/1", "q z"), "needs the token \"qz\"");
}

TEST(TokenizerFile, RefusesOtherNormalizers) {
  EXPECT_SAYS(error_with("/normalizer", {{"type", "NFKC"}}), "normalizer.type must be \"NFC\", not \"NFKC\"");
  EXPECT_SAYS(error_with("/normalizer", "NFC"), "normalizer must be an object of type NFC");
  EXPECT_SAYS(error_with("/normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "Lowercase"}}}}}),
              "normalizer.normalizers[0].type");
  EXPECT_EQ(error_with("/normalizer", nullptr), "no error");
}

TEST(TokenizerFile, RefusesOtherPreTokenizers) {
  const std::string split = "/pre_tokenizer/pretokenizers/0";
  const std::string bytes = "/pre_tokenizer/pretokenizers/1";
  EXPECT_SAYS(error_with("/pre_tokenizer", nullptr),
              "pre_tokenizer must be an object of type ByteLevel, not null");
  EXPECT_SAYS(error_with("/pre_tokenizer", {{"type", "Metaspace"}}), "not \"Metaspace\"");
  EXPECT_SAYS(error_with("/pre_tokenizer/pretokenizers", Json::array()), "pre_tokenizer.pretokenizers");
  EXPECT_SAYS(error_with(split + "/behavior", "Removed"),
              "pretokenizers[0].behavior must be \"Isolated\", not \"Removed\"");
  EXPECT_SAYS(error_with(split + "/invert", true), "pretokenizers[0].invert must be false, not true");
  EXPECT_SAYS(error_with(split + "/pattern", {{"String", " "}}), "pretokenizers[0].pattern");
  EXPECT_SAYS(error_with(split + "/type", "Digits"), "pretokenizers[0].type");
  EXPECT_SAYS(error_with(bytes + "/add_prefix_space", true),
              "pretokenizers[1].add_prefix_space must be false");
  EXPECT_SAYS(error_with(bytes + "/use_regex", true), "pretokenizers[1].use_regex must be false");
  EXPECT_SAYS(error_with(bytes + "/use_regex", "no"), "pretokenizers[1].use_regex must be true or false");
  EXPECT_SAYS(error_with(split + "/pattern/Regex", "(a"), "does not compile");
  EXPECT_SAYS(error_with(split + "/pattern/Regex", "\\bword"), "\\b at byte 0");
  EXPECT_SAYS(error_with(split + "/pattern/Regex", std::string(20000, 'a')), "20000 bytes");
}

TEST(TokenizerFile, RefusesOtherProcessorsAndDecoders) {
  EXPECT_SAYS(error_with("/post_processor", {{"type", "TemplateProcessing"}}),
              "post_processor.type must be \"ByteLevel\"");
  EXPECT_SAYS(error_with("/decoder", nullptr), "decoder must be an object of type ByteLevel, not null");
  EXPECT_SAYS(error_with("/decoder/type", "WordPiece"), "decoder.type");
}

TEST(TokenizerFile, RefusesWrongAddedTokens) {
  EXPECT_SAYS(error_with("/added_tokens", Json::object()), "added_tokens must be an array");
  EXPECT_SAYS(error_with("/added_tokens/1", "x"), "added_tokens[1] must be an object");
  EXPECT_SAYS(error_with("/added_tokens/1/id", 300),
              "added_tokens[1].id must be 260 (the next free id; ids have no gaps), not 300");
  EXPECT_SAYS(error_with("/added_tokens/1/id", -1), "added_tokens[1].id must be 260");
  EXPECT_SAYS(error_with("/added_tokens/1/content", "the"),
              "added_tokens[1].id must be 257 (the id of this token in model.vocab)");
  EXPECT_SAYS(error_with("/added_tokens/1/content", "<|end|>"), "added_tokens[1]");
  EXPECT_SAYS(error_with("/added_tokens/1/content", ""), "added_tokens[1].content");
  EXPECT_SAYS(error_with("/added_tokens/1/content", std::string(5000, 'x')), "added_tokens[1].content");
  EXPECT_SAYS(error_with("/added_tokens/1/lstrip", 1), "added_tokens[1].lstrip must be true or false, not 1");
  EXPECT_SAYS(error_without("/added_tokens/1", "special"), "added_tokens[1].special is missing");
  Json twice = test::small_tokenizer();
  twice["added_tokens"].push_back(twice["added_tokens"][1]);
  EXPECT_SAYS(error_of(twice.dump()), "added_tokens[2]");
}

TEST(TokenizerFile, RefusesWhatIsNotAnObject) {
  EXPECT_SAYS(error_of("[]"), "the top level must be an object");
  EXPECT_SAYS(error_of("{"), "broken.json is not valid JSON");
  EXPECT_SAYS(error_of(""), "broken.json is not valid JSON");
  EXPECT_SAYS(error_of("{\"model\": \"\\ud800\"}"), "broken.json is not valid JSON");
  const std::string whole = test::small_tokenizer().dump();
  for (std::size_t cut = 0; cut < whole.size(); cut += 97)
    EXPECT_NE(error_of(whole.substr(0, cut)), "no error");
}

TEST(TokenizerFile, ShortensWhatItQuotes) {
  const std::string message = error_with("/model/type", std::string(3000, 'x'));
  EXPECT_LT(message.size(), 200U);
  EXPECT_SAYS(message, "xxx…");
}

}  // namespace
}  // namespace qvl
