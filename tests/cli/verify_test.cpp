// qvl verify: what it prints and its exit codes.
#include <gtest/gtest.h>

#include "cli/program.h"
#include "core/json_text.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;
using test::qvl;

// The demo for small pictures.
fs::path exported(const test::TemporaryFolder& root) {
  const fs::path out = root.path() / "out";
  const auto result = qvl({"export", test::demo_checkpoint(), "--out", out, "--image-size", "56", "--quiet"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return out;
}

TEST(Verify, HelpWithAnExample) {
  const auto result = qvl({"verify", "--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_NE(result.out.find("Example:\n  qvl verify"), std::string::npos) << result.out;
}

TEST(Verify, AGoodFolder) {
  const test::TemporaryFolder root;
  const fs::path out = exported(root);
  const auto table = qvl({"verify", out, "--checkpoint", test::demo_checkpoint(), "--quiet"});
  EXPECT_EQ(table.exit_code, 0) << table.err;
  EXPECT_EQ(table.err, "");
  EXPECT_TRUE(table.out.ends_with("\npassed\n")) << table.out;
  EXPECT_NE(table.out.find("weights.text "), std::string::npos);
  const auto result = qvl({"verify", out, "--goldens", test::data("goldens/verify-shapes-vl.safetensors"),
                           "--threads", "1", "--json", "--quiet"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const Json json = parse_json(result.out, "out");
  EXPECT_EQ(json["passed"], true);
  EXPECT_TRUE(json["first_divergence"].is_null());
  ASSERT_TRUE(json["checks"].is_array());
  for (const Json& check : json["checks"]) {
    const bool no_checkpoint = check["name"].get<std::string>().starts_with("weights.");
    EXPECT_EQ(check["status"], no_checkpoint ? "skipped" : "passed") << check.dump();
    EXPECT_FALSE(check["detail"].get<std::string>().empty());
  }
  const Json& last = json["checks"].back();
  EXPECT_EQ(last["name"], "golden.batch.logits");
  EXPECT_EQ(last["bar"], 0.01);
  EXPECT_LT(last["difference"].get<double>(), 0.01);
}

TEST(Verify, FailuresAreOne) {
  const test::TemporaryFolder root;
  const fs::path out = exported(root);
  const fs::path data = out / "shapes_vl_vision_56_fp32.onnx_data";
  std::string bytes = test::read_file(data);
  const Json manifest = read_json_file(out / "manifest.json");
  for (const Json& t : manifest["artifacts"][0]["tensors"]) {
    if (t["name"] != "visual.blocks.1.mlp.down_proj.bias") continue;
    for (std::size_t i = 0; i < t["bytes"]; i += 4) bytes[t["offset"].get<std::size_t>() + i + 3] = '\x40';
  }
  test::write_file(data, bytes);
  const auto table = qvl({"verify", out, "--no-run", "--quiet"});
  EXPECT_EQ(table.exit_code, 1);
  EXPECT_TRUE(table.out.ends_with("\nFAILED: first checksums\n")) << table.out;
  EXPECT_NE(table.err.find("shapes_vl_vision_56_fp32.onnx_data"), std::string::npos) << table.err;
  // With the goldens, the stage at which it matters.
  const auto result = qvl(
      {"verify", out, "--goldens", test::data("goldens/verify-shapes-vl.safetensors"), "--json", "--quiet"});
  EXPECT_EQ(result.exit_code, 1);
  const Json json = parse_json(result.out, "out");
  EXPECT_EQ(json["passed"], false);
  EXPECT_EQ(json["first_divergence"], "vision.blocks.1");
}

TEST(Verify, UnusableInputIsThree) {
  const test::TemporaryFolder root;
  EXPECT_EQ(qvl({"verify", root.path()}).exit_code, 3);
  const fs::path out = exported(root);
  EXPECT_EQ(qvl({"verify", out, "--checkpoint", "/none"}).exit_code, 3);
  const auto goldens = qvl({"verify", out, "--goldens", test::data("goldens/tiny-tied.safetensors")});
  EXPECT_EQ(goldens.exit_code, 3);
  EXPECT_NE(goldens.err.find("qvl-goldens-1"), std::string::npos) << goldens.err;
  EXPECT_EQ(goldens.out, "");
  test::write_file(out / "manifest.json", "{}");
  EXPECT_EQ(qvl({"verify", out}).exit_code, 3);
  EXPECT_EQ(qvl({"verify"}).exit_code, 2);
  EXPECT_EQ(qvl({"verify", out, "--provider", "tpu"}).exit_code, 2);
}

}  // namespace
}  // namespace qvl
