// How what the models are given is read, wherever chats and pictures are.
#pragma once

#include <functional>
#include <string>

namespace qvl {

// What becomes of pixels that a picture says are transparent.
enum class Alpha {
  white,  // laid on white, as the model's own utilities and transformers do with pictures in memory
  drop,   // the colour that is stored, as transformers does with files
};

struct InputOptions {
  Alpha alpha = Alpha::white;
  // Prompts are written as Qwen2.5-VL's chat template does also where the folder has another one; without
  // this they are refused there.
  bool any_chat_template = false;
  // Told what was passed over or decided and may not be what was meant; one sentence a call. May be empty.
  std::function<void(const std::string&)> on_warning;

  void warn(const std::string& sentence) const {
    if (on_warning) on_warning(sentence);
  }
};

}  // namespace qvl
