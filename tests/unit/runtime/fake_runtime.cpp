// A stand-in for ONNX Runtime's shared library: only as much of it as tells its version.
#include <cstdint>

namespace {

struct ApiBase {
  const void* (*get_api)(std::uint32_t);
  const char* (*get_version)();
};

const void* get_api(std::uint32_t) { return nullptr; }
const char* get_version() { return FAKE_VERSION; }
constexpr ApiBase kBase{&get_api, &get_version};

}  // namespace

extern "C" __attribute__((visibility("default"))) const void* OrtGetApiBase() { return &kBase; }
