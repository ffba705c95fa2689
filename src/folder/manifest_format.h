// The version of manifest.json, which the exporter writes and the engine reads.
#pragma once

namespace qvl {

// Raised when a reader of older manifests would misunderstand a new one.
inline constexpr int kManifestFormat = 1;
// Of folders whose weights are quantized.
inline constexpr int kQuantizedManifestFormat = 2;

}  // namespace qvl
