// A stand-in for ONNX Runtime's shared library: only as much of it as tells its version.
#include <cstdint>
#include <cstdio>

namespace {

struct ApiBase {
  const void* (*get_api)(std::uint32_t);
  const char* (*get_version)();
};

// As the real one does for versions that it does not know.
const void* get_api(std::uint32_t version) {
  std::fprintf(stderr, "The requested API version [%u] is not available\n", version);
  return nullptr;
}
const char* get_version() { return FAKE_VERSION; }
constexpr ApiBase kBase{&get_api, &get_version};

}  // namespace

extern "C" __attribute__((visibility("default"))) const void* OrtGetApiBase() { return &kBase; }
