#include "checkpoint/npz.h"

#include <fmt/format.h>
#include <zip.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "core/mapped_file.h"
#include "core/message_quote.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::string_view kSuffix = ".npy";
// A deflated byte stands for at most so many: one bit each for the length 258 and its distance.
constexpr std::uint64_t kMaxDeflateRatio = 1032;

struct ZipClose {
  void operator()(zip_t* archive) const noexcept { zip_discard(archive); }
};
struct ZipFileClose {
  void operator()(zip_file_t* file) const noexcept { zip_fclose(file); }
};
using Archive = std::unique_ptr<zip_t, ZipClose>;

[[noreturn]] void refuse_archive(std::string_view source, std::string_view what) {
  throw InputError(fmt::format("{} is not a valid .npz file: {}", source, what));
}

std::string text_of(zip_error_t& error) {
  std::string text = zip_error_strerror(&error);
  zip_error_fini(&error);
  return text;
}

Archive open_archive(std::span<const std::byte> bytes, std::string_view source) {
  if (bytes.empty())
    refuse_archive(source, "it is empty");  // libzip takes that for an archive without members
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* memory = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
  if (memory == nullptr) throw MachineError(fmt::format("cannot read {}: {}", source, text_of(error)));
  zip_t* archive = zip_open_from_source(memory, ZIP_RDONLY, &error);
  if (archive == nullptr) {
    zip_source_free(memory);
    refuse_archive(source, text_of(error));
  }
  zip_error_fini(&error);
  return Archive(archive);
}

// One member, read from its beginning. What it gives is at most what is asked for, whatever it holds.
class Member {
 public:
  Member(zip_t* archive, std::uint64_t index, std::string source)
      : file_(zip_fopen_index(archive, index, 0)), source_(std::move(source)) {
    if (file_ == nullptr)
      throw InputError(fmt::format("{} cannot be read: {}", source_, zip_strerror(archive)));
  }

  // As many bytes as there are, up to target.size().
  std::size_t read_some(std::span<std::byte> target) {
    std::size_t done = 0;
    while (done < target.size()) {
      const zip_int64_t n = zip_fread(file_.get(), target.data() + done, target.size() - done);
      if (n < 0) {
        throw InputError(fmt::format("{} cannot be read: {}", source_, zip_file_strerror(file_.get())));
      }
      if (n == 0) break;
      done += static_cast<std::size_t>(n);
    }
    return done;
  }

  void read(std::span<std::byte> target) {
    if (read_some(target) < target.size()) throw InputError(source_ + " ends before its last element");
  }

  // The checksum is compared when the end has been seen.
  void expect_end() {
    std::byte more{};
    if (read_some({&more, 1}) > 0) throw InputError(source_ + " goes on after its last element");
  }

 private:
  std::unique_ptr<zip_file_t, ZipFileClose> file_;
  std::string source_;
};

// `source` in Fortran order to `target` in C order, of the same shape.
void reorder(std::span<const std::byte> source, Tensor& target) {
  const Shape& shape = target.shape();
  const std::size_t element_bytes = size_bytes(target.dtype());
  std::vector<std::size_t> stride_bytes(shape.size());
  std::size_t stride = element_bytes;
  for (std::size_t d = shape.size(); d-- > 0; stride *= static_cast<std::size_t>(shape[d]))
    stride_bytes[d] = stride;
  std::vector<std::int64_t> index(shape.size());
  std::size_t offset = 0;
  for (std::size_t from = 0; from < source.size(); from += element_bytes) {
    std::memcpy(target.bytes().data() + offset, source.data() + from, element_bytes);
    for (std::size_t d = 0; d < shape.size(); ++d) {
      offset += stride_bytes[d];
      if (++index[d] < shape[d]) break;
      offset -= stride_bytes[d] * static_cast<std::size_t>(shape[d]);
      index[d] = 0;
    }
  }
}

}  // namespace

struct NpzFile::State {
  MappedFile file;
  std::string source;
  Archive archive;
  std::vector<NpzEntry> entries;  // the index is that of the archive

  void open(std::span<const std::byte> bytes);
  [[nodiscard]] std::string place(std::string_view member) const {
    return fmt::format("{} in {}", quote_for_message(member), source);
  }
  // What the archive says of a member, checked before anything of it is read.
  [[nodiscard]] zip_stat_t checked_stat(std::uint64_t index) const;
  [[nodiscard]] NpzEntry read_entry(std::uint64_t index, const zip_stat_t& stat) const;
};

void NpzFile::State::open(std::span<const std::byte> bytes) {
  archive = open_archive(bytes, source);
  const zip_int64_t count = zip_get_num_entries(archive.get(), 0);
  std::unordered_set<std::string_view> names;
  std::uint64_t compressed_bytes = 0;
  entries.reserve(static_cast<std::size_t>(count));
  for (zip_uint64_t i = 0; i < static_cast<zip_uint64_t>(count); ++i) {
    const zip_stat_t stat = checked_stat(i);
    if (!names.insert(stat.name).second)
      refuse_archive(source, fmt::format("it has {} twice", quote_for_message(stat.name)));
    // Else a small file could hold any number of large members, all of the same bytes.
    if (__builtin_add_overflow(compressed_bytes, stat.comp_size, &compressed_bytes) ||
        compressed_bytes > bytes.size()) {
      refuse_archive(source, fmt::format("its members take more than its {} bytes", bytes.size()));
    }
    entries.push_back(read_entry(i, stat));
  }
}

zip_stat_t NpzFile::State::checked_stat(std::uint64_t index) const {
  constexpr zip_uint64_t kNeeded =
      ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
  zip_stat_t stat;
  zip_stat_init(&stat);
  if (zip_stat_index(archive.get(), index, 0, &stat) != 0 || (stat.valid & kNeeded) != kNeeded) {
    refuse_archive(source,
                   fmt::format("its member {} cannot be read: {}", index, zip_strerror(archive.get())));
  }
  if (!std::string_view(stat.name).ends_with(kSuffix)) {
    refuse_archive(source, fmt::format("its member {} is not a .npy file", quote_for_message(stat.name)));
  }
  if (stat.encryption_method != ZIP_EM_NONE) {
    throw InputError(place(stat.name) + " is encrypted; save it without");
  }
  const bool deflated = stat.comp_method == ZIP_CM_DEFLATE;
  if (!deflated && stat.comp_method != ZIP_CM_STORE) {
    throw InputError(
        fmt::format("{} is compressed with method {}, which qvl does not read; save it with "
                    "numpy.savez or numpy.savez_compressed",
                    place(stat.name), stat.comp_method));
  }
  if (deflated ? stat.size / kMaxDeflateRatio > stat.comp_size : stat.size != stat.comp_size) {
    throw InputError(fmt::format("{} is said to have {} bytes, which its {} in the file cannot hold",
                                 place(stat.name), stat.size, stat.comp_size));
  }
  return stat;
}

NpzEntry NpzFile::State::read_entry(std::uint64_t index, const zip_stat_t& stat) const {
  const std::string where = place(stat.name);
  Member member(archive.get(), index, where);
  std::vector<std::byte> header(kNpyPrefixBytes);
  header.resize(member.read_some(header));
  const std::uint64_t header_bytes = npy_header_bytes(header, where);
  const std::size_t prefix = header.size();
  if (header_bytes > prefix) {
    header.resize(static_cast<std::size_t>(header_bytes));
    header.resize(prefix + member.read_some(std::span(header).subspan(prefix)));
  }
  NpzEntry entry;
  entry.name = std::string_view(stat.name).substr(0, std::strlen(stat.name) - kSuffix.size());
  entry.header = parse_npy_header(header, where);
  const std::uint64_t rest = stat.size - std::min(stat.size, entry.header.header_bytes);
  if (rest != entry.header.data_bytes) {
    throw InputError(fmt::format("{} has {} bytes of elements; {} of {} take {}", where, rest,
                                 to_string(entry.header.shape), qvl::name(entry.header.dtype),
                                 entry.header.data_bytes));
  }
  return entry;
}

NpzFile::NpzFile(const std::filesystem::path& path) : state_(std::make_unique<State>()) {
  state_->file = MappedFile(path);
  state_->source = path.string();
  state_->open(state_->file.bytes());
}

NpzFile::NpzFile(std::span<const std::byte> bytes, std::string source) : state_(std::make_unique<State>()) {
  state_->source = std::move(source);
  state_->open(bytes);
}

NpzFile::~NpzFile() = default;
NpzFile::NpzFile(NpzFile&&) noexcept = default;
NpzFile& NpzFile::operator=(NpzFile&&) noexcept = default;

const std::vector<NpzEntry>& NpzFile::entries() const noexcept { return state_->entries; }

Tensor NpzFile::read(std::size_t index) const {
  const NpzEntry& entry = state_->entries.at(index);
  const std::string where = state_->place(entry.name + std::string(kSuffix));
  Member member(state_->archive.get(), index, where);
  std::vector<std::byte> skipped(static_cast<std::size_t>(entry.header.header_bytes));
  member.read(skipped);
  Tensor tensor(entry.header.dtype, entry.header.shape);
  if (entry.header.fortran_order) {
    std::vector<std::byte> columns(tensor.bytes().size());
    member.read(columns);
    reorder(columns, tensor);
  } else {
    member.read(tensor.bytes());
  }
  member.expect_end();
  return tensor;
}

}  // namespace qvl
