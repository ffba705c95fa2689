#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/regex_split.h"

#include <fmt/format.h>
#include <pcre2.h>

#include <chrono>

#include "qvl/error.h"
#include "text/regex_syntax.h"
#include "text/utf8.h"

namespace qvl {
namespace {

using Clock = std::chrono::steady_clock;

// Steps of one match; a good pattern needs a few per character.
constexpr std::uint32_t kMatchLimit = 10'000'000;
constexpr std::uint32_t kHeapLimitKibibytes = 256U << 10U;
constexpr std::size_t kJitStackBytes = std::size_t{8} << 20U;
constexpr std::size_t kMaxPatternBytes = 16384;
// Time for one text. Good patterns do tens of MiB a second.
constexpr double kBaseSeconds = 2.0;
constexpr double kSecondsPerMebibyte = 2.0;

struct FreeWith {
  void operator()(pcre2_code* p) const { pcre2_code_free(p); }
  void operator()(pcre2_compile_context* p) const { pcre2_compile_context_free(p); }
  void operator()(pcre2_match_data* p) const { pcre2_match_data_free(p); }
  void operator()(pcre2_match_context* p) const { pcre2_match_context_free(p); }
  void operator()(pcre2_jit_stack* p) const { pcre2_jit_stack_free(p); }
};

std::string message_of(int code) {
  PCRE2_UCHAR buffer[256] = {};
  pcre2_get_error_message(code, buffer, sizeof buffer);
  return reinterpret_cast<const char*>(buffer);
}

PCRE2_SPTR units(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

}  // namespace

struct RegexSplitter::Pattern {
  std::string source;
  std::unique_ptr<pcre2_code, FreeWith> code;
};

struct RegexSplitter::Workspace::State {
  std::unique_ptr<pcre2_match_data, FreeWith> data{pcre2_match_data_create(1, nullptr)};
  std::unique_ptr<pcre2_match_context, FreeWith> context{pcre2_match_context_create(nullptr)};
  std::unique_ptr<pcre2_jit_stack, FreeWith> stack;
};

RegexSplitter::Workspace::Workspace() = default;
RegexSplitter::Workspace::~Workspace() = default;
RegexSplitter::~RegexSplitter() = default;
RegexSplitter::RegexSplitter(RegexSplitter&&) noexcept = default;
RegexSplitter& RegexSplitter::operator=(RegexSplitter&&) noexcept = default;

RegexSplitter::RegexSplitter(std::string_view pattern, std::string_view source) {
  if (pattern.size() > kMaxPatternBytes) {
    throw InputError(fmt::format("{}: the pattern has {} bytes; at most {} are supported", source,
                                 pattern.size(), kMaxPatternBytes));
  }
  const std::string rewritten = to_pcre2_syntax(pattern, source);
  const std::unique_ptr<pcre2_compile_context, FreeWith> context(pcre2_compile_context_create(nullptr));
  if (!context) throw MachineError("no memory for a regular expression");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  auto compiled = std::make_unique<Pattern>();
  compiled->source = source;
  int error = 0;
  PCRE2_SIZE offset = 0;
  compiled->code.reset(pcre2_compile(units(rewritten), rewritten.size(),
                                     PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &offset,
                                     context.get()));
  if (!compiled->code) {
    throw InputError(
        fmt::format("{}: the pattern {} does not compile: {}", source, pattern, message_of(error)));
  }
  // Where compiling to machine code is not possible, matching falls back to the interpreter by itself.
  pcre2_jit_compile(compiled->code.get(), PCRE2_JIT_COMPLETE);
  pattern_ = std::move(compiled);
}

void RegexSplitter::split(std::string_view text, Workspace& workspace,
                          const std::function<void(std::string_view)>& emit) const {
  if (!workspace.state_) {
    auto state = std::make_unique<Workspace::State>();
    state->stack.reset(pcre2_jit_stack_create(std::size_t{32} << 10U, kJitStackBytes, nullptr));
    if (!state->data || !state->context) throw MachineError("no memory for a regular expression");
    pcre2_set_match_limit(state->context.get(), kMatchLimit);
    pcre2_set_heap_limit(state->context.get(), kHeapLimitKibibytes);
    if (state->stack) pcre2_jit_stack_assign(state->context.get(), nullptr, state->stack.get());
    workspace.state_ = std::move(state);
  }
  const Workspace::State& state = *workspace.state_;
  const auto deadline =
      Clock::now() +
      std::chrono::duration<double>(kBaseSeconds +
                                    kSecondsPerMebibyte * (static_cast<double>(text.size()) / (1U << 20U)));
  std::size_t emitted = 0;  // everything before is in pieces
  std::size_t start = 0;    // where to look for the next match
  for (std::size_t matches = 1; start < text.size(); ++matches) {
    int found = pcre2_match(pattern_->code.get(), units(text), text.size(), start, PCRE2_NO_UTF_CHECK,
                            state.data.get(), state.context.get());
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) {
      found = pcre2_match(pattern_->code.get(), units(text), text.size(), start,
                          PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, state.data.get(), state.context.get());
    }
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0 || (matches % 8 == 0 && Clock::now() > deadline)) {
      throw InputError(fmt::format("{}: splitting a text of {} bytes by the pattern failed at byte {}: {}",
                                   pattern_->source, text.size(), start,
                                   found < 0 ? message_of(found) : "it takes too long"));
    }
    const PCRE2_SIZE* match = pcre2_get_ovector_pointer(state.data.get());
    if (match[0] > emitted) emit(text.substr(emitted, match[0] - emitted));
    if (match[1] > match[0]) emit(text.substr(match[0], match[1] - match[0]));
    emitted = match[1];
    start = match[1];
    if (match[1] == match[0] && start < text.size()) start += code_point_at(text.data() + start).length;
  }
  if (emitted < text.size()) emit(text.substr(emitted));
}

}  // namespace qvl
