// What verify says of quantized folders, good and broken.
#include <gtest/gtest.h>

#include <fstream>

#include "core/json_text.h"
#include "core/sha256.h"
#include "qvl/quantize.h"
#include "qvl/verify.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

class VerifyQuantized : public testing::Test {
 protected:
  VerifyQuantized() {
    ExportOptions options;
    options.checkpoint = checkpoint_;
    options.out = folder_.path() / "plain";
    options.image_width_pixels = options.image_height_pixels = 56;
    (void)export_checkpoint(options);
  }

  fs::path quantize(const std::string& format, const std::string& algorithm, const std::string& embedding) {
    QuantizeOptions options;
    options.model = folder_.path() / "plain";
    options.format = format;
    options.algorithm = algorithm;
    options.embedding = embedding;
    options.out = folder_.path() / (format + algorithm + embedding);
    (void)quantize_model(options);
    return options.out;
  }

  Certificate verify(const fs::path& folder, bool run = false) {
    VerifyOptions options;
    options.folder = folder;
    options.checkpoint = checkpoint_;
    options.run = run;
    return verify_folder(options);
  }

  static std::string failures(const Certificate& certificate) {
    std::string text;
    for (const Check& check : certificate.checks) {
      if (check.status == CheckStatus::failed) text += check.name + ": " + check.detail + "\n";
    }
    return text;
  }

  const fs::path checkpoint_ = test::data("checkpoints/tiny-tied");
  test::TemporaryFolder folder_;
};

TEST_F(VerifyQuantized, PassesWhatWasWritten) {
  EXPECT_EQ(failures(verify(quantize("int4:16", "nearest", "int4:16"), true)), "");
  EXPECT_EQ(failures(verify(quantize("int8", "nearest", ""))), "");
  EXPECT_EQ(failures(verify(quantize("int8-dynamic", "nearest", ""))), "");
  EXPECT_EQ(failures(verify(quantize("int4:32", "least-squares", "int8:16"))), "");
  EXPECT_EQ(failures(verify(quantize("int8:16", "nearest", "int8:32"), true)), "");
  EXPECT_EQ(failures(verify(quantize("int8:16", "least-squares", "int8:16"), true)),
            "");  // the head shares the table's
}

// A byte of every stored weight, with checksums made good again.
TEST_F(VerifyQuantized, FindsAByteInEveryWeight) {
  for (const char* format : {"int4:16", "int8", "int8:32", "int8-dynamic"}) {
    const fs::path out = quantize(format, "nearest", "int8:16");
    const Json manifest = read_json_file(out / "manifest.json");
    int flipped = 0;
    for (const std::size_t a : {0U, 1U}) {
      const Json& artifact = manifest["artifacts"][a];
      const std::string data = artifact["data_file"];
      for (const Json& tensor : artifact["tensors"]) {
        if (!tensor.contains("quantization") || flipped % 7 != 0) {
          ++flipped;
          continue;
        }
        ++flipped;
        const auto at = tensor["offset"].get<std::int64_t>() + tensor["bytes"].get<std::int64_t>() / 2;
        const auto turn = [&] {
          std::fstream stream(out / data, std::ios::binary | std::ios::in | std::ios::out);
          stream.seekg(at);
          const int byte = stream.get() ^ 0x11;
          stream.seekp(at);
          stream.put(static_cast<char>(byte));
        };
        turn();
        const std::string found = failures(verify(out));
        const std::string which = a == 0 ? "weights.vision" : "weights.text";
        EXPECT_NE(found.find(which + ": "), std::string::npos) << tensor["name"] << "\n" << found;
        EXPECT_NE(found.find("output channel"), std::string::npos) << found;
        turn();
      }
    }
    EXPECT_GT(flipped, 20);
  }
}

TEST_F(VerifyQuantized, FindsAnErrorThatIsNotTheManifests) {
  const fs::path out = quantize("int4:32", "least-squares", "");
  Json manifest = read_json_file(out / "manifest.json");
  for (Json& tensor : manifest["artifacts"][0]["tensors"]) {
    if (!tensor.contains("quantization") || tensor["quantization"]["role"] != "levels") continue;
    tensor["quantization"]["relative_error"] = 0.5;
    break;
  }
  test::write_file(out / "manifest.json", manifest.dump());
  EXPECT_NE(failures(verify(out)).find("the manifest says 0.5"), std::string::npos);
}

}  // namespace
}  // namespace qvl
