// A good model folder, and copies of it to break.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/json_text.h"
#include "core/sha256.h"
#include "qvl/export.h"
#include "qvl/verify.h"
#include "support/test_data.h"

namespace qvl {

// Of tiny-sharded, for pictures of 56 x 28 pixels, the data of its text artifacts one file with two names;
// exported once.
inline const std::filesystem::path& good_folder() {
  static const test::TemporaryFolder root;
  static const std::filesystem::path out = [] {
    ExportOptions options;
    options.checkpoint = test::data("checkpoints/tiny-sharded");
    options.out = root.path() / "out";
    options.stem = "m";
    options.image_width_pixels = 56;
    options.image_height_pixels = 28;
    options.hard_link = true;
    export_checkpoint(options);
    return options.out;
  }();
  return out;
}

inline const std::string kVision = "m_vision_56x28_fp32.onnx";
inline const std::string kText = "m_text_fp16.onnx";
inline const std::string kPictures = "m_text_with_image_fp16.onnx";

class Broken : public testing::Test {
 protected:
  Broken() {
    for (const auto& entry : std::filesystem::directory_iterator(good_folder())) {
      // The data of the two text artifacts stays one file, as exported.
      if (entry.path().filename() != kPictures + "_data")
        std::filesystem::copy(entry.path(), folder_ / entry.path().filename());
    }
    std::filesystem::create_hard_link(folder_ / (kText + "_data"), folder_ / (kPictures + "_data"));
  }

  [[nodiscard]] VerifyOptions options() const {
    VerifyOptions options;
    options.folder = folder_;
    options.checkpoint = test::data("checkpoints/tiny-sharded");
    options.run = false;
    return options;
  }

  [[nodiscard]] std::string read(const std::string& file) const { return test::read_file(folder_ / file); }

  // In place: hard links stay links.
  void write(const std::string& file, const std::string& bytes) const {
    test::write_file(folder_ / file, bytes);
  }

  void flip(const std::string& file, std::uint64_t byte, unsigned bit) const {
    std::fstream stream(folder_ / file, std::ios::binary | std::ios::in | std::ios::out);
    stream.seekg(static_cast<std::streamoff>(byte));
    const int value = stream.get() ^ (1 << bit);
    stream.seekp(static_cast<std::streamoff>(byte));
    stream.put(static_cast<char>(value));
    ASSERT_TRUE(stream.flush());
  }

  // Makes the manifest's checksums and sizes those of the files, as a careful forger would.
  void forge_checksums() const {
    Json manifest = read_json_file(folder_ / "manifest.json");
    for (Json& artifact : manifest["artifacts"]) {
      for (const char* key : {"file", "data_file"}) {
        const std::string file = artifact[key];
        artifact["sha256"][file] = sha256_of_file(folder_ / file);
        artifact["bytes"][file] = std::filesystem::file_size(folder_ / file);
      }
    }
    for (Json& file : manifest["files"]) {
      const std::string name = file["file"];
      file["sha256"] = sha256_of_file(folder_ / name);
      file["bytes"] = std::filesystem::file_size(folder_ / name);
    }
    write("manifest.json", manifest.dump());
  }

  // Names of the checks that failed.
  static std::vector<std::string> failed(const Certificate& certificate) {
    std::vector<std::string> names;
    for (const Check& check : certificate.checks) {
      if (check.status == CheckStatus::failed) names.push_back(check.name);
    }
    return names;
  }

  static std::string detail_of(const Certificate& certificate, const std::string& name) {
    for (const Check& check : certificate.checks) {
      if (check.name == name) return check.detail;
    }
    return "no check " + name;
  }

  void expect_failed(const std::vector<std::string>& names, const std::string& detail) const {
    const Certificate certificate = verify_folder(options());
    EXPECT_EQ(failed(certificate), names);
    EXPECT_EQ(certificate.passed(), names.empty());
    if (!names.empty()) {
      EXPECT_NE(detail_of(certificate, names.front()).find(detail), std::string::npos)
          << detail_of(certificate, names.front());
    }
  }

  const test::TemporaryFolder root_;
  const std::filesystem::path& folder_ = root_.path();
};

}  // namespace qvl
