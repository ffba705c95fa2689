#include "models/qwen25vl/published_sizes.h"

#include <array>

namespace qvl::qwen25vl {
namespace {

struct PublishedSize {
  std::string_view name;
  std::int64_t hidden_size;
  std::int64_t intermediate_size;
  std::int64_t num_hidden_layers;
  std::int64_t num_attention_heads;
  std::int64_t num_key_value_heads;
};

// From the config.json of Qwen2.5-VL-{3B,7B,32B,72B}-Instruct.
constexpr std::array kPublished{
    PublishedSize{"3b", 2048, 11008, 36, 16, 2}, PublishedSize{"7b", 3584, 18944, 28, 28, 4},
    PublishedSize{"32b", 5120, 27648, 64, 40, 8}, PublishedSize{"72b", 8192, 29568, 80, 64, 8}};

}  // namespace

std::optional<std::string_view> published_size(const TextConfig& text) {
  for (const PublishedSize& p : kPublished) {
    if (text.hidden_size == p.hidden_size && text.intermediate_size == p.intermediate_size &&
        text.num_hidden_layers == p.num_hidden_layers && text.num_attention_heads == p.num_attention_heads &&
        text.num_key_value_heads == p.num_key_value_heads) {
      return p.name;
    }
  }
  return std::nullopt;
}

}  // namespace qvl::qwen25vl
