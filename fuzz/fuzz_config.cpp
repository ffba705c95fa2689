// The three configs of a checkpoint, each on the same text. What they accept must hold together.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "checkpoint/generation_config.h"
#include "checkpoint/preprocessor_config.h"
#include "models/qwen25vl/model_config.h"
#include "qvl/error.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

template <class Call>
void run(Call&& call) {
  try {
    call();
  } catch (const qvl::InputError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  run([&] {
    const qvl::qwen25vl::ModelConfig config = qvl::qwen25vl::parse_model_config(text, "config.json");
    const qvl::qwen25vl::TextConfig& t = config.text;
    const qvl::qwen25vl::VisionConfig& v = config.vision;
    require(t.head_size() > 0 && t.head_size() * t.num_attention_heads == t.hidden_size &&
            t.head_size() % 2 == 0);
    require(t.num_attention_heads % t.num_key_value_heads == 0 && t.mrope_section.size() == 3);
    require(t.mrope_section[0] + t.mrope_section[1] + t.mrope_section[2] == t.head_size() / 2);
    require(v.head_size() > 0 && v.head_size() * v.num_heads == v.hidden_size && v.head_size() % 4 == 0);
    require(v.window_size % (v.patch_size * v.spatial_merge_size) == 0 && v.out_hidden_size == t.hidden_size);
    require(config.image_token_id >= 0 && config.image_token_id < t.vocab_size);
    require(config.image_token_id != config.video_token_id);
    for (const std::int64_t block : v.fullatt_block_indexes) require(block >= 0 && block < v.depth);
  });
  run([&] {
    const auto config =
        qvl::parse_generation_config(text, "generation_config.json", R"({"eos_token_id": 1})", "");
    require(!config.eos_token_ids.empty());
  });
  run([&] {
    const auto config = qvl::parse_generation_config("", "", text, "config.json");
    require(!config.eos_token_ids.empty());
  });
  run([&] {
    const auto config = qvl::parse_preprocessor_config(text, "preprocessor_config.json");
    require(config.min_pixels >= 1 && config.min_pixels <= config.max_pixels && config.patch_size >= 1);
  });
  return 0;
}
