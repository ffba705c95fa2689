// Splits text at the matches of a regular expression, by PCRE2.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace qvl {

// As the behaviour `Isolated` of tokenizers: each match is a piece, and so is what lies between two matches;
// empty matches only cut. Immutable and safe to use from several threads.
class RegexSplitter {
 public:
  // `pattern` in Oniguruma's syntax (see regex_syntax.h). Throws InputError, naming `source`, for a pattern
  // that is not supported or does not compile.
  RegexSplitter(std::string_view pattern, std::string_view source);
  ~RegexSplitter();
  RegexSplitter(RegexSplitter&&) noexcept;
  RegexSplitter& operator=(RegexSplitter&&) noexcept;

  // What one thread needs for matching; reused between calls.
  class Workspace {
   public:
    Workspace();
    ~Workspace();
    Workspace(const Workspace&) = delete;
    Workspace& operator=(const Workspace&) = delete;

   private:
    friend class RegexSplitter;
    struct State;
    std::unique_ptr<State> state_;
  };

  // Calls `emit` with the pieces of `text` (valid UTF-8), in order; together they are the text. Throws
  // InputError when the pattern needs too many steps or too much time on this text: a hostile pattern can
  // take exponential time.
  void split(std::string_view text, Workspace& workspace,
             const std::function<void(std::string_view)>& emit) const;

 private:
  struct Pattern;
  std::unique_ptr<const Pattern> pattern_;
};

}  // namespace qvl
