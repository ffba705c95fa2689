// manifest.json of a model folder: any text is a manifest, whose numbers can be relied on, or an InputError.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "folder/manifest.h"
#include "qvl/error.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const qvl::Manifest manifest =
        qvl::parse_manifest({reinterpret_cast<const char*>(data), size}, "manifest.json");
    require(manifest.artifacts.size() <= 3);
    for (const qvl::ManifestArtifact& a : manifest.artifacts) {
      require(a.file.find('/') == std::string::npos && a.file.ends_with(".onnx"));
      require(a.data_file.find('/') == std::string::npos && a.data_file.ends_with(".onnx_data"));
      require(a.image_width_pixels >= 0 && a.image_width_pixels <= 100'000);
      for (const qvl::TensorReport& t : a.tensors)
        require(qvl::element_count(t.shape).has_value() && t.stats.max_abs_error >= 0);
    }
  } catch (const qvl::InputError&) {
    // expected for most inputs
  }
  return 0;
}
