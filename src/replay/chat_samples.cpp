#include "replay/chat_samples.h"

#include <fmt/format.h>

#include <set>
#include <span>
#include <system_error>

#include "core/sha256.h"
#include "core/text_file.h"
#include "qvl/error.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostSamplesNamed = 10;  // of missing pictures

std::vector<Picture> pictures_of(const ChatSample& sample, const fs::path& folder, const std::string& where) {
  std::vector<Picture> pictures;
  for (const ChatMessage& message : sample.messages) {
    for (const ChatPart& part : message.parts) {
      if (part.kind != ChatPart::Kind::image) continue;
      try {
        pictures.push_back(Picture::at(part.value, folder));
      } catch (const InputError& error) {
        throw InputError(fmt::format("{}: {}", where, error.what()));
      }
    }
  }
  return pictures;
}

// With its length, so that "ab", "c" is not "a", "bc".
void add_text(Sha256& hash, std::string_view text) {
  const std::string length = fmt::format("{}:", text.size());
  hash.update(std::as_bytes(std::span(length)));
  hash.update(std::as_bytes(std::span(text)));
}

}  // namespace

ChatSamples::ChatSamples(const fs::path& file, std::size_t limit, const InputOptions& input)
    : file_name_(file.filename().string()),
      samples_(parse_chat_lines(read_text_file(file), file.string(), limit, input.on_warning)) {
  if (samples_.empty()) {
    throw InputError(
        fmt::format("{} holds no sample; one chat a line is expected: {{\"messages\": […], "
                    "\"answer\": \"…\"}}",
                    file.string()));
  }
  const fs::path folder = fs::absolute(file).parent_path();
  std::set<std::string> missing;
  std::string named;
  pictures_.reserve(samples_.size());
  for (std::size_t i = 0; i < samples_.size(); ++i) {
    pictures_.push_back(pictures_of(samples_[i], folder, name(i)));
    for (const Picture& picture : pictures_.back()) {
      std::error_code error;
      if (!picture.is_file() || fs::is_regular_file(picture.path(), error)) continue;
      if (!missing.insert(picture.name()).second) continue;
      if (missing.size() <= kMostSamplesNamed) named += fmt::format("\n  {} ({})", picture.name(), name(i));
    }
  }
  if (missing.empty()) return;
  if (missing.size() > kMostSamplesNamed)
    named += fmt::format("\n  and {} more", missing.size() - kMostSamplesNamed);
  throw InputError(fmt::format("{} names {} picture{} not there; paths are relative to its folder:{}",
                               file.string(), missing.size(), missing.size() == 1 ? " that is" : "s that are",
                               named));
}

std::string ChatSamples::name(std::size_t index) const {
  const ChatSample& sample = samples_.at(index);
  return fmt::format("{}{}{}", file_name_, sample.in_array ? "" : ":", sample.place());
}

const std::string& ChatSamples::row(std::size_t index) const { return samples_.at(index).row; }

const std::vector<ChatMessage>& ChatSamples::messages(std::size_t index) const {
  return samples_.at(index).messages;
}

const std::vector<Picture>& ChatSamples::pictures(std::size_t index) const { return pictures_.at(index); }

const std::optional<std::string>& ChatSamples::answer(std::size_t index) const {
  return samples_.at(index).answer;
}

std::string ChatSamples::sha256(std::size_t index) const {
  const ChatSample& sample = samples_.at(index);
  Sha256 hash;
  std::size_t picture = 0;
  for (const ChatMessage& message : sample.messages) {
    add_text(hash, "message");
    add_text(hash, message.role);
    for (const ChatPart& part : message.parts) {
      const bool image = part.kind == ChatPart::Kind::image;
      add_text(hash, image ? "image" : "text");
      add_text(hash, image ? pictures_.at(index).at(picture++).sha256() : part.value);
    }
  }
  add_text(hash, sample.answer ? "answer" : "no answer");
  if (sample.answer) add_text(hash, *sample.answer);
  return hash.hex();
}

}  // namespace qvl
