// Damaged, truncated, absurd and foreign files: always an InputError that says why, never a crash.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "image/decode.h"
#include "picture_cases.h"
#include "qvl/error.h"
#include "support/test_data.h"

namespace qvl {
namespace {

// The message of the InputError, or "decoded".
std::string outcome(const std::string& bytes, const DecodeOptions& limits = {}) {
  try {
    (void)decode_image(std::as_bytes(std::span(bytes)), "x.jpg", limits);
    return "decoded";
  } catch (const InputError& error) {
    return error.what();
  }
}

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string be(std::uint32_t v) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8)
    text += static_cast<char>((v >> static_cast<unsigned>(shift)) & 255U);
  return text;
}
std::string le(std::uint32_t v, unsigned bytes) {
  std::string text;
  for (unsigned i = 0; i < bytes; ++i) text += static_cast<char>((v >> (8 * i)) & 255U);
  return text;
}

std::string png_of(std::uint32_t width, std::uint32_t height) {
  std::string bytes = test::picture_bytes("more/png-rgb-8.png");
  return bytes.replace(16, 8, be(width) + be(height));
}
std::string jpeg_of(std::uint32_t width, std::uint32_t height) {
  std::string bytes = test::picture_bytes("more/jpeg-440.jpg");
  const std::size_t frame = bytes.find("\xff\xc0");
  return bytes.replace(frame + 5, 4, be(height << 16U | width));
}
std::string bmp_of(std::uint32_t width, std::uint32_t height) {
  return test::picture_bytes("more/bmp-24.bmp").replace(18, 8, le(width, 4) + le(height, 4));
}
std::string gif_of(std::uint32_t width, std::uint32_t height) {
  return test::picture_bytes("more/gif-local.gif").replace(6, 4, le(width, 2) + le(height, 2));
}
std::string webp_of(std::uint32_t width, std::uint32_t height) {
  return test::picture_bytes("more/webp-animated-offset.webp")
      .replace(24, 6, le(width - 1, 3) + le(height - 1, 3));
}

TEST(BrokenPictures, NoneIsDecodedWhenCutShorterThanPillowTakes) {
  for (const test::PictureCase& one : test::picture_cases()) {
    const std::string bytes = test::picture_bytes("more/" + one.file);
    EXPECT_EQ(outcome(bytes), "decoded") << one.file;
    for (std::size_t length = 0; length < one.needed_bytes; length += 1 + one.needed_bytes / 300) {
      EXPECT_NE(outcome(bytes.substr(0, length)), "decoded") << one.file << " cut to " << length;
    }
    EXPECT_NE(outcome(bytes.substr(0, one.needed_bytes - 1)), "decoded")
        << one.file << " cut to " << one.needed_bytes - 1;
  }
}

TEST(BrokenPictures, ACutOrientationBehindThePixelsIsNotOverlooked) {
  const std::string bytes = test::picture_bytes("more/png-exif-behind-8.png");
  const std::size_t exif = bytes.find("eXIf");
  EXPECT_TRUE(holds(outcome(bytes.substr(0, exif + 10)), "truncated"));
  EXPECT_EQ(outcome(bytes.substr(0, bytes.size() - 12)), "decoded");  // only the end marker is missing
}

TEST(BrokenPictures, TheReferencesPicturesAreNotDecodedWhenCut) {
  std::string last;
  for (const test::ProcessorCase& one : test::processor_cases()) {
    // Of the animation only the first frame is read.
    if (one.file == last || one.file == "big.jpg" || one.file == "first-frame.gif") continue;
    last = one.file;
    const std::string bytes = test::picture_bytes(one.file);
    for (std::size_t part = 0; part < 40; ++part) {
      // The last bytes are end markers, which Pillow does not miss either.
      EXPECT_NE(outcome(bytes.substr(0, (bytes.size() - 32) * part / 39)), "decoded")
          << one.file << ", part " << part;
    }
  }
}

TEST(BrokenPictures, AreReportedAsTruncated) {
  for (const char* name :
       {"rgb.png", "q90-420.jpg", "q75-444-progressive.jpg", "lossy.webp", "first-frame.gif", "rgb.bmp"}) {
    const std::string bytes = test::picture_bytes(name);
    EXPECT_TRUE(holds(outcome(bytes.substr(0, bytes.size() / 2)), "truncated")) << name;
  }
}

TEST(BrokenPictures, AnyDamageIsAnInputErrorOrAPicture) {
  std::mt19937 random(11);
  for (const test::PictureCase& one : test::picture_cases()) {
    const std::string whole = test::picture_bytes("more/" + one.file);
    for (int round = 0; round < 60; ++round) {
      std::string bytes = whole;
      const std::size_t hits = 1 + random() % 4;
      for (std::size_t i = 0; i < hits; ++i)
        bytes[random() % bytes.size()] = static_cast<char>(random() % 256);
      EXPECT_NO_THROW((void)outcome(bytes, {.max_pixels = 1U << 20U})) << one.file;
    }
  }
}

TEST(BrokenPictures, BombsAreRefusedByTheirSize) {
  // One pixel over the limit where the format can say it, and the largest that it can.
  EXPECT_TRUE(holds(outcome(png_of(178'956'971, 1)), "178956971x1 pixels; at most 178956970"));
  EXPECT_TRUE(
      holds(outcome(png_of(0x7fffffff, 0x7fffffff)), "2147483647x2147483647 pixels; at most 178956970"));
  EXPECT_TRUE(holds(outcome(png_of(0xffffffff, 0xffffffff)), "too large"));
  EXPECT_TRUE(holds(outcome(jpeg_of(65500, 65500)), "65500x65500 pixels; at most 178956970"));
  EXPECT_TRUE(holds(outcome(webp_of(16'000'000, 12)), "16000000x12 pixels; at most 178956970"));
  EXPECT_TRUE(holds(outcome(gif_of(65535, 65535)), "65535x65535 pixels; at most 178956970"));
  EXPECT_TRUE(holds(outcome(bmp_of(178'956'971, 1)), "178956971x1 pixels; at most 178956970"));
  EXPECT_TRUE(holds(outcome(bmp_of(0x7fffffff, 0x7fffffff)), "too large"));
}

TEST(BrokenPictures, TheLimitIsTheCallers) {
  const std::string bytes = test::picture_bytes("rgb.png");
  EXPECT_EQ(outcome(bytes, {.max_pixels = 188 * 284}), "decoded");
  EXPECT_TRUE(holds(outcome(bytes, {.max_pixels = 188 * 284 - 1}), "188x284 pixels; at most 53391"));
}

TEST(BrokenPictures, WithoutPixelsTheyAreRefused) {
  EXPECT_TRUE(holds(outcome(png_of(0, 5)), "no pixels: its size is 0x5"));
  EXPECT_TRUE(holds(outcome(png_of(5, 0)), "no pixels: its size is 5x0"));
  EXPECT_TRUE(holds(outcome(bmp_of(0, 5)), "no pixels: its size is 0x5"));
  EXPECT_TRUE(holds(outcome(bmp_of(5, 0)), "no pixels: its size is 5x0"));
  EXPECT_NE(outcome(jpeg_of(0, 5)), "decoded");
  EXPECT_NE(outcome(jpeg_of(5, 0)), "decoded");
  EXPECT_TRUE(holds(outcome(test::picture_bytes("more/gif-local.gif").replace(6, 4, 4, '\0')), "decoded"));
  std::string gif = test::picture_bytes("more/gif-local.gif");
  const std::size_t frame = gif.find(",", gif.find("hello"));
  EXPECT_TRUE(holds(outcome(gif.replace(frame + 5, 2, 2, '\0')), "no pixels"));
}

TEST(BrokenPictures, ForeignFilesNameTheFormatsThatAreTaken) {
  for (const std::string text : {"This is a text.\n", "BMW is a make of cars, not a bitmap.",
                                 "RIFF....WAVEfmt ", "%PDF-1.7", "\xff\xd8"}) {
    const std::string message = outcome(text);
    EXPECT_TRUE(holds(message, "x.jpg") && holds(message, "PNG, JPEG, WebP, GIF and BMP")) << message;
  }
  EXPECT_TRUE(holds(outcome(""), "x.jpg is empty"));
}

TEST(BrokenPictures, UnknownBitmapsSayWhatTheyAre) {
  std::string bytes = test::picture_bytes("more/bmp-24.bmp");
  EXPECT_TRUE(holds(outcome(std::string(bytes).replace(28, 2, le(5, 2))), "5 bits per pixel"));
  EXPECT_TRUE(holds(outcome(std::string(bytes).replace(30, 4, le(4, 4))), "compression 4"));
  std::string masks = test::picture_bytes("more/bmp-16-565.bmp");
  EXPECT_TRUE(holds(outcome(masks.replace(54, 4, le(0x5555, 4))), "0x5555"));
}

TEST(BrokenPictures, AJpegOfEndlessScansIsStopped) {
  // The last scan of a progressive picture again and again: each costs a pass over all coefficients.
  const std::string bytes = test::picture_bytes("more/jpeg-progressive-420.jpg");
  const std::size_t scan = bytes.rfind("\xff\xda");
  const std::size_t end = bytes.rfind("\xff\xd9");
  std::string many = bytes.substr(0, end);
  for (int i = 0; i < 600; ++i) many += bytes.substr(scan, end - scan);
  EXPECT_TRUE(holds(outcome(many + bytes.substr(end)), "too many scans"));
}

TEST(BrokenPictures, AMissingFileIsAnInputError) {
  const test::TemporaryFolder folder;
  EXPECT_THROW((void)read_image(folder.path() / "none.png"), InputError);
  EXPECT_THROW((void)read_image(folder.path()), InputError);
}

}  // namespace
}  // namespace qvl
