#include "checkpoint/safetensors_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <tuple>
#include <unordered_set>
#include <utility>

#include "core/json_text.h"
#include "core/message_quote.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the reference library's limit
constexpr std::size_t kMaxRank = 32;

// One tensor's description as it stands in the JSON.
struct RawEntry {
  std::string name;
  std::string dtype;
  Shape shape;
  std::vector<std::uint64_t> offsets;
  bool has_dtype = false;
  bool has_shape = false;
  bool has_offsets = false;
};

// Receives the header's JSON as events, so that it is checked on the way and takes no more memory than its
// tensors:
//   { NAME: {"dtype": TEXT, "shape": [INT, …], "data_offsets": [INT, INT]}, …,
//     "__metadata__": {TEXT: TEXT, …} }
// Nothing else is let through. (The methods and their signatures are those that Json::sax_parse asks for.)
class HeaderEvents {
 public:
  explicit HeaderEvents(std::string_view source) : source_(source) {}

  [[nodiscard]] std::vector<RawEntry>& entries() { return entries_; }
  [[nodiscard]] std::map<std::string, std::string>& metadata() { return metadata_; }

  bool start_object(std::size_t /*elements*/);
  bool end_object();
  bool key(std::string& text);
  bool start_array(std::size_t /*elements*/);
  bool end_array();
  bool string(std::string& text);
  bool number_unsigned(std::uint64_t value);
  bool number_integer(std::int64_t value) { return refuse(fmt::format("{}", value)); }
  bool number_float(double /*value*/, const std::string& text) { return refuse(text); }
  bool boolean(bool value) { return refuse(value ? "true" : "false"); }
  // The reference library reads null metadata as none.
  bool null() { return (place_ == Place::root && key_ == "__metadata__") || refuse("null"); }
  bool binary(Json::binary_t& /*value*/) { return refuse("binary data"); }
  bool parse_error(std::size_t position, const std::string& /*token*/, const Json::exception& /*error*/) {
    fail(fmt::format("the header is not valid JSON at byte {}", position + kLengthBytes));
  }

 private:
  enum class Place { outside, root, metadata, entry, shape, offsets };

  [[noreturn]] void fail(const std::string& what) const {
    throw InputError(fmt::format("{} is not a valid safetensors file: {}", source_, what));
  }
  [[noreturn]] bool refuse(std::string_view found) const;
  [[nodiscard]] std::string where() const;
  void begin_entry_field(const std::string& text);

  std::string_view source_;
  std::vector<RawEntry> entries_;
  std::map<std::string, std::string> metadata_;
  std::unordered_set<std::string> names_;
  Place place_ = Place::outside;
  std::string key_;
  bool has_metadata_ = false;
};

std::string HeaderEvents::where() const {
  switch (place_) {
    case Place::outside:
      return "the header";
    case Place::root:
      return "the entry " + quote_for_message(key_);
    case Place::metadata:
      return "the metadata " + quote_for_message(key_);
    case Place::shape:
      return "the shape of tensor " + quote_for_message(entries_.back().name);
    case Place::offsets:
      return "data_offsets of tensor " + quote_for_message(entries_.back().name);
    case Place::entry:
      break;
  }
  return fmt::format("{} of tensor {}", quote_for_message(key_), quote_for_message(entries_.back().name));
}

bool HeaderEvents::refuse(std::string_view found) const {
  const char* expected = "an object is expected";
  if (place_ == Place::metadata) expected = "a text is expected";
  if (place_ == Place::shape || place_ == Place::offsets) expected = "numbers of 0 and more are expected";
  if (place_ == Place::entry) {
    expected = key_ == "dtype" ? "the name of a type is expected" : "a list of numbers is expected";
  }
  fail(fmt::format("{} has {}; {}", where(), found.substr(0, 40), expected));
}

bool HeaderEvents::start_object(std::size_t /*elements*/) {
  if (place_ == Place::outside) {
    place_ = Place::root;
  } else if (place_ == Place::root && key_ == "__metadata__") {
    if (std::exchange(has_metadata_, true)) fail("\"__metadata__\" occurs twice");
    place_ = Place::metadata;
  } else if (place_ == Place::root) {
    if (!names_.insert(key_).second) fail(fmt::format("tensor {} occurs twice", quote_for_message(key_)));
    entries_.emplace_back().name = key_;
    place_ = Place::entry;
  } else {
    refuse("an object");
  }
  return true;
}

bool HeaderEvents::end_object() {
  if (place_ == Place::entry) {
    const RawEntry& entry = entries_.back();
    for (const auto& [present, field] : {std::pair{entry.has_dtype, "dtype"},
                                         {entry.has_shape, "shape"},
                                         {entry.has_offsets, "data_offsets"}}) {
      if (!present) fail(fmt::format("tensor {} has no \"{}\"", quote_for_message(entry.name), field));
    }
  }
  place_ = place_ == Place::root ? Place::outside : Place::root;
  return true;
}

bool HeaderEvents::key(std::string& text) {
  key_ = text;
  if (place_ == Place::entry) begin_entry_field(text);
  if (place_ == Place::metadata && metadata_.contains(text)) {
    fail(fmt::format("the metadata {} occurs twice", quote_for_message(text)));
  }
  return true;
}

void HeaderEvents::begin_entry_field(const std::string& text) {
  RawEntry& entry = entries_.back();
  bool* present = nullptr;
  if (text == "dtype") present = &entry.has_dtype;
  if (text == "shape") present = &entry.has_shape;
  if (text == "data_offsets") present = &entry.has_offsets;
  if (present == nullptr)
    fail(fmt::format("tensor {} has an unknown field {}", quote_for_message(entry.name),
                     quote_for_message(text)));
  if (std::exchange(*present, true)) fail(fmt::format("{} occurs twice", where()));
}

bool HeaderEvents::start_array(std::size_t /*elements*/) {
  if (place_ != Place::entry || key_ == "dtype") refuse("a list");
  place_ = key_ == "shape" ? Place::shape : Place::offsets;
  return true;
}

bool HeaderEvents::end_array() {
  if (place_ == Place::offsets && entries_.back().offsets.size() != 2) fail(where() + " are not two numbers");
  place_ = Place::entry;
  return true;
}

bool HeaderEvents::string(std::string& text) {
  if (place_ == Place::metadata) {
    metadata_.emplace(key_, text);
  } else if (place_ == Place::entry && key_ == "dtype") {
    entries_.back().dtype = text;
  } else {
    refuse(quote_for_message(text));
  }
  return true;
}

bool HeaderEvents::number_unsigned(std::uint64_t value) {
  if (place_ == Place::shape) {
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
      refuse(fmt::format("{}", value));
    if (entries_.back().shape.size() == kMaxRank)
      fail(fmt::format("{} has more than {} dimensions", where(), kMaxRank));
    entries_.back().shape.push_back(static_cast<std::int64_t>(value));
  } else if (place_ == Place::offsets) {
    if (entries_.back().offsets.size() == 2) fail(where() + " are not two numbers");
    entries_.back().offsets.push_back(value);
  } else {
    refuse(fmt::format("{}", value));
  }
  return true;
}

[[noreturn]] void fail(std::string_view source, std::string_view what) {
  throw InputError(fmt::format("{} is not a valid safetensors file: {}", source, what));
}

// The header's length, from the 8 bytes (little-endian) before it.
std::uint64_t header_length(std::span<const std::byte> file, std::string_view source) {
  if (file.size() < kLengthBytes) {
    fail(source, fmt::format("it has {} bytes; a header is expected", file.size()));
  }
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i) length |= std::to_integer<std::uint64_t>(file[i]) << (8 * i);
  if (length > kMaxHeaderBytes || length > file.size() - kLengthBytes) {
    fail(source, fmt::format("its header of {} bytes is longer than {}", length,
                             length > kMaxHeaderBytes ? "the 100 MB that are allowed"
                                                      : "the file, which is cut off"));
  }
  return length;
}

// `data_bytes`: of the part of the file after the header, which begins at `data_begin`.
TensorEntry checked(RawEntry&& raw, std::uint64_t data_begin, std::uint64_t data_bytes,
                    std::string_view source) {
  const std::optional<DType> dtype = dtype_from_name(raw.dtype);
  if (!dtype) {
    throw InputError(
        fmt::format("{}: tensor {} has the type {}, which qvl does not read; a checkpoint in F32, F16 or "
                    "BF16 is expected",
                    source, quote_for_message(raw.name), quote_for_message(raw.dtype)));
  }
  const std::uint64_t begin = raw.offsets[0];
  const std::uint64_t end = raw.offsets[1];
  if (begin > end) {
    fail(source,
         fmt::format("tensor {} begins at {} and ends at {}", quote_for_message(raw.name), begin, end));
  }
  if (end > data_bytes) {
    fail(source,
         fmt::format("tensor {} ends at byte {} of its data, which has only {}: the file is cut off or its "
                     "header is wrong",
                     quote_for_message(raw.name), end, data_bytes));
  }
  const std::optional<std::int64_t> count = element_count(raw.shape);
  std::uint64_t expected = 0;
  if (!count || __builtin_mul_overflow(static_cast<std::uint64_t>(*count), size_bytes(*dtype), &expected)) {
    fail(source, fmt::format("tensor {} has the impossible shape {}", quote_for_message(raw.name),
                             to_string(raw.shape)));
  }
  if (end - begin != expected) {
    fail(source, fmt::format("tensor {} has {} bytes; {} of {} take {}", quote_for_message(raw.name),
                             end - begin, to_string(raw.shape), raw.dtype, expected));
  }
  return {std::move(raw.name), *dtype, std::move(raw.shape), data_begin + begin, data_begin + end};
}

// The reference library takes only files whose tensors lie one behind the other to the very end.
void check_cover(const SafetensorsHeader& header, std::uint64_t file_bytes, std::string_view source) {
  std::uint64_t position = header.data_begin_bytes;
  for (const TensorEntry& entry : header.entries) {
    if (entry.begin_bytes < position) {
      fail(source, fmt::format("tensor {} overlaps the tensor before it", quote_for_message(entry.name)));
    }
    if (entry.begin_bytes > position) {
      fail(source, fmt::format("there are {} bytes of no tensor before tensor {}",
                               entry.begin_bytes - position, quote_for_message(entry.name)));
    }
    position = entry.end_bytes;
  }
  if (position != file_bytes) {
    fail(source, fmt::format("there are {} bytes of no tensor at its end", file_bytes - position));
  }
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::span<const std::byte> file_bytes, std::string_view source) {
  const std::uint64_t length = header_length(file_bytes, source);
  const auto* text = reinterpret_cast<const char*>(file_bytes.data() + kLengthBytes);
  if (length == 0 || text[0] != '{') fail(source, "its header does not begin with {");
  HeaderEvents events(source);
  Json::sax_parse(text, text + length, &events);

  SafetensorsHeader header;
  header.metadata = std::move(events.metadata());
  header.data_begin_bytes = kLengthBytes + length;
  const std::uint64_t data_bytes = file_bytes.size() - header.data_begin_bytes;
  header.entries.reserve(events.entries().size());
  for (RawEntry& raw : events.entries()) {
    header.entries.push_back(checked(std::move(raw), header.data_begin_bytes, data_bytes, source));
  }
  // The name decides between empty tensors at one place.
  std::sort(header.entries.begin(), header.entries.end(), [](const TensorEntry& a, const TensorEntry& b) {
    return std::tie(a.begin_bytes, a.end_bytes, a.name) < std::tie(b.begin_bytes, b.end_bytes, b.name);
  });
  check_cover(header, file_bytes.size(), source);
  return header;
}

}  // namespace qvl
