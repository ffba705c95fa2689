#include "verify/file_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/parallel.h"
#include "core/sha256.h"
#include "core/text_file.h"
#include "exporter/export_source.h"
#include "folder/artifact_names.h"
#include "folder/copied_files.h"
#include "models/family.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

struct ListedFile {
  std::string name;
  std::string sha256;
  std::uint64_t size_bytes = 0;
};

std::array<ListedFile, 2> files_of(const ManifestArtifact& a) {
  return {ListedFile{a.file, a.file_sha256, a.file_bytes},
          ListedFile{a.data_file, a.data_sha256, a.data_bytes}};
}

// All that the manifest lists, and the artifact that each belongs to, if any.
struct ListedPart {
  ListedFile file;
  SubjectArtifact* artifact = nullptr;
};

std::vector<ListedPart> listed_files(Subject& subject) {
  std::vector<ListedPart> parts;
  for (SubjectArtifact& a : subject.artifacts) {
    for (const ListedFile& file : files_of(a.manifest)) parts.push_back({file, &a});
  }
  for (const ManifestFile& f : subject.manifest.files.value_or(std::vector<ManifestFile>{}))
    parts.push_back({{f.name, f.sha256, f.bytes}, nullptr});
  return parts;
}

// What lies in the folder and is not listed. What qvl would read of it, as if it were exported, is `read`.
struct Strangers {
  std::vector<std::string> read;
  std::vector<std::string> others;
};

Strangers strangers_in(const Subject& subject, const std::vector<ListedPart>& listed) {
  Strangers found;
  std::error_code error;
  for (fs::directory_iterator it(subject.options.folder, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    const auto is_this = [&](const ListedPart& part) { return part.file.name == name; };
    if (name == kManifestName || std::ranges::any_of(listed, is_this)) continue;
    const bool is_read = std::ranges::find(copied_files(), name) != copied_files().end();
    if (is_read && !subject.manifest.files) continue;  // of an older manifest, which lists none of them
    (is_read ? found.read : found.others).push_back(name);
  }
  std::ranges::sort(found.read);
  std::ranges::sort(found.others);
  return found;
}

// What is wrong with a file's place or size; empty when nothing is.
std::string problem_of(const fs::path& place, const ListedFile& file) {
  std::error_code error;
  const fs::file_status status = fs::status(place, error);
  if (!fs::exists(status)) return fmt::format("{} is missing", file.name);
  if (!fs::is_regular_file(status)) return fmt::format("{} is not a regular file", file.name);
  const std::uintmax_t size = fs::file_size(place, error);
  if (error) return fmt::format("{} cannot be looked at: {}", file.name, error.message());
  if (size == file.size_bytes) return "";
  return fmt::format("{} has {} bytes; the manifest says {}", file.name, size, file.size_bytes);
}

// One file under one or more names.
struct HashedFile {
  std::vector<ListedFile> names;
  fs::path place;
  std::string found;
};

std::vector<HashedFile> files_to_hash(const Subject& subject, const std::vector<ListedPart>& listed) {
  std::vector<HashedFile> files;
  for (const ListedPart& part : listed) {
    const fs::path place = subject.place(part.file.name);
    if (std::error_code error; !fs::is_regular_file(place, error)) continue;
    const auto same = [&](const HashedFile& other) {
      std::error_code error;
      return fs::equivalent(other.place, place, error) && !error;
    };
    const auto found = std::ranges::find_if(files, same);
    if (found != files.end()) {
      found->names.push_back(part.file);
    } else {
      files.push_back({{part.file}, place, ""});
    }
  }
  return files;
}

// An older manifest lists no configs: what there is of them, to be named.
std::string unlisted_configs(const Subject& subject) {
  std::vector<std::string_view> names;
  for (const std::string_view name : copied_files()) {
    if (std::error_code error; fs::exists(subject.options.folder / name, error)) names.push_back(name);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

// Hashing is bound by the processor, reading by the disk: two at a time.
void hash_all(std::vector<HashedFile>& files, const CancelToken* cancel, SharedProgress& progress) {
  parallel_for(files.size(), 2, cancel, [&](std::size_t i, unsigned) {
    files[i].found = sha256_of_file(files[i].place, cancel, [&](std::uint64_t n) { progress.advance(n); });
  });
}

// What export copied must be there and be the checkpoint's; how many files that are.
std::size_t compare_with_checkpoint(const Subject& subject) {
  std::size_t compared = 0;
  std::string different;
  for (const std::string_view name : copied_files()) {
    const fs::path original = subject.options.checkpoint / name;
    const fs::path copy = subject.options.folder / name;
    if (!fs::is_regular_file(original)) continue;
    ++compared;
    if (fs::is_regular_file(copy) && read_text_file(copy) == read_text_file(original)) continue;
    different +=
        fmt::format("{}{}{}", different.empty() ? "" : ", ", name, fs::exists(copy) ? "" : " (missing)");
  }
  if (!different.empty()) throw InputError(fmt::format("not the checkpoint's: {}", different));
  return compared;
}

}  // namespace

void check_files(Subject& subject, CheckList& checks) {
  checks.add("files", [&] {
    std::string problems;
    Check check = passed("");
    std::uint64_t bytes = 0;
    const auto add_problem = [&](const std::string& problem) {
      problems += (problems.empty() ? "" : "; ") + problem;
    };
    for (SubjectArtifact& a : subject.artifacts) a.whole = true;
    const std::vector<ListedPart> listed = listed_files(subject);
    for (const ListedPart& part : listed) {
      bytes += part.file.size_bytes;
      const std::string problem = problem_of(subject.place(part.file.name), part.file);
      if (problem.empty()) continue;
      if (part.artifact != nullptr) part.artifact->whole = false;
      add_problem(problem);
    }
    const Strangers strangers = strangers_in(subject, listed);
    for (const std::string& name : strangers.read)
      add_problem(name + " was not exported: the manifest does not list it, and it would be read");
    if (subject.artifacts.empty()) return failed("the manifest lists no artifact");
    if (!problems.empty()) return failed(problems);
    check.detail = fmt::format("{} files are there and have the manifest's sizes", listed.size());
    if (!strangers.others.empty())
      check.detail += fmt::format("; beside them, not of the export: {}", fmt::join(strangers.others, ", "));
    check.bytes = bytes;
    return check;
  });
}

void check_checksums(Subject& subject, CheckList& checks) {
  checks.add("checksums", [&] {
    const std::vector<ListedPart> listed = listed_files(subject);
    std::vector<HashedFile> files = files_to_hash(subject, listed);
    std::uint64_t total = 0;
    for (const HashedFile& file : files) total += fs::file_size(file.place);
    SharedProgress progress(subject.options.progress);
    progress.begin("checksums", total);
    hash_all(files, subject.options.cancel, progress);
    progress.end();
    std::string wrong;
    std::size_t names = 0;
    for (const HashedFile& file : files) {
      names += file.names.size();
      for (const ListedFile& name : file.names) {
        if (name.sha256 != file.found) wrong += (wrong.empty() ? "" : ", ") + name.name;
      }
    }
    if (!wrong.empty()) return failed(fmt::format("not as exported (SHA-256): {}", wrong));
    if (names < listed.size()) return failed("files are missing");
    Check check =
        passed(fmt::format("SHA-256 of {} files{} is the manifest's", names,
                           names > files.size() ? fmt::format(" ({} different)", files.size()) : ""));
    check.bytes = total;
    return check;
  });
  if (subject.manifest.files) return;
  checks.add(
      "checksums.configs",
      skipped(fmt::format("an older qvl wrote the manifest: it has no checksums of {}, and whether they "
                          "are unchanged cannot be told{}",
                          unlisted_configs(subject),
                          subject.checkpoint ? " from it" : " (--checkpoint compares them)")));
}

void check_configs(Subject& subject, CheckList& checks) {
  checks.add("configs", [&] {
    const fs::path& folder = subject.options.folder;
    FolderConfigs configs{read_model(folder / "config.json"), read_generation_config(folder),
                          read_preprocessor_config(folder), Tokenizer::load(folder / "tokenizer.json")};
    configs.model->require_same_pictures(configs.preprocessor, folder.string());
    configs.model->require_chat_tokens(configs.tokenizer, (folder / "tokenizer.json").string());
    subject.configs.emplace(std::move(configs));
    const std::string good = "configs and tokenizer can be read and fit each other";
    if (!subject.checkpoint) return passed(good);
    return passed(fmt::format("{}; {} files equal the checkpoint's", good, compare_with_checkpoint(subject)));
  });
}

}  // namespace qvl
