// Strings numbered from 0 on, found by number and by content.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qvl {

// Many short strings, one after the other in one block.
class StringBlock {
 public:
  void add(std::string_view text) {
    block_.append(text);
    ends_.push_back(block_.size());
  }
  [[nodiscard]] std::size_t size() const noexcept { return ends_.size(); }
  // i < size(). Valid until the next add().
  [[nodiscard]] std::string_view operator[](std::size_t i) const noexcept {
    const std::size_t begin = i == 0 ? 0 : ends_[i - 1];
    return {block_.data() + begin, ends_[i] - begin};
  }

 private:
  std::string block_;
  std::vector<std::size_t> ends_;
};

// At most 2^32 - 1 strings. Safe to read from several threads.
class TokenTable {
 public:
  // Gives the string the next number. Of two equal strings the first is found.
  void add(std::string_view content) {
    if ((contents_.size() + 1) * 2 > slots_.size()) grow();
    contents_.add(content);
    place(contents_.size() - 1, hash_of(content));
  }
  [[nodiscard]] std::size_t size() const noexcept { return contents_.size(); }
  [[nodiscard]] std::string_view operator[](std::size_t id) const noexcept { return contents_[id]; }

  [[nodiscard]] std::optional<std::uint32_t> find(std::string_view content) const noexcept {
    if (slots_.empty()) return std::nullopt;
    const std::uint32_t hash = hash_of(content);
    for (std::size_t i = hash & mask(); slots_[i].number != 0; i = (i + 1) & mask()) {
      if (slots_[i].hash == hash && contents_[slots_[i].number - 1] == content) return slots_[i].number - 1;
    }
    return std::nullopt;
  }

 private:
  struct Slot {
    std::uint32_t hash = 0;
    std::uint32_t number = 0;  // from 1 on; 0: empty
  };

  [[nodiscard]] std::size_t mask() const noexcept { return slots_.size() - 1; }
  static std::uint32_t hash_of(std::string_view text) noexcept {
    return static_cast<std::uint32_t>(std::hash<std::string_view>{}(text));
  }
  void place(std::size_t id, std::uint32_t hash) noexcept {
    std::size_t i = hash & mask();
    while (slots_[i].number != 0) i = (i + 1) & mask();
    slots_[i] = {hash, static_cast<std::uint32_t>(id + 1)};
  }
  void grow() {
    slots_.assign(slots_.empty() ? 16 : slots_.size() * 2, Slot{});
    for (std::size_t id = 0; id < contents_.size(); ++id) place(id, hash_of(contents_[id]));
  }

  StringBlock contents_;
  std::vector<Slot> slots_;  // open addressing; a power of two, at most half full
};

}  // namespace qvl
