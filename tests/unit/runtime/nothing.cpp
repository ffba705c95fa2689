// A shared library that has nothing to do with ONNX Runtime.
extern "C" __attribute__((visibility("default"))) int qvl_test_nothing() { return 0; }
