// Chats, one a line or in an array. What is read must be what the samples are made of.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "qvl/error.h"
#include "text/chat_rows.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const auto lines = static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1;
    std::size_t last = 0;
    for (const qvl::ChatSample& sample : qvl::parse_chat_lines(text, "fuzz.jsonl")) {
      if (sample.line <= last || sample.messages.empty()) std::abort();
      if (!sample.in_array && sample.line > lines) std::abort();
      last = sample.line;
      for (const qvl::ChatMessage& message : sample.messages) {
        for (const qvl::ChatPart& part : message.parts) {
          if (part.kind == qvl::ChatPart::Kind::image && part.value.empty()) std::abort();
        }
      }
    }
  } catch (const qvl::InputError&) {
  }
  return 0;
}
