// A small tokenizer for checkpoints that come without one.
#pragma once

#include <cstdint>
#include <string>

namespace qvl::qwen25vl {

// The text of a tokenizer.json with Qwen2.5's split and special tokens, but without merges: a text has one
// token for each of its bytes (ids 0 to 255), and <|image_pad|> has the id given, the other special tokens
// those around it in Qwen2.5's order. The ids between bytes and special tokens, which no text is encoded to
// but which a model may answer, are written " <ID>". Throws UsageError when the special tokens would not lie
// behind the bytes.
[[nodiscard]] std::string byte_tokenizer_json(std::int64_t image_token_id);

}  // namespace qvl::qwen25vl
