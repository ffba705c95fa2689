// Text from tokens as they come.
#pragma once

#include <string>

#include "text/tokenizer.h"

namespace qvl {

// Everything that push() and finish() return, put together, is what Tokenizer::decode() gives for all ids at
// once. A character whose bytes are spread over several tokens is held back until it is whole, so that each
// returned string is valid UTF-8. Not safe to use from several threads at once.
class Detokenizer {
 public:
  Detokenizer(Tokenizer tokenizer, bool skip_special);

  // The characters that this token completes; often none.
  [[nodiscard]] std::string push(TokenId id);
  // What is left: U+FFFD for an unfinished character. Ready for another text afterwards.
  [[nodiscard]] std::string finish();

 private:
  Tokenizer tokenizer_;
  bool skip_special_ = false;
  std::string pending_;  // the bytes of an unfinished character, at most 3
};

}  // namespace qvl
