# Everything here comes from the system's packages (scripts/setup.sh installs them), but for ONNX Runtime:
# its headers are found by FindOnnxRuntimeHeaders below, its library is opened at run time.
if(NOT CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(QVL_CCACHE ccache)
  if(QVL_CCACHE)
    set(CMAKE_C_COMPILER_LAUNCHER ${QVL_CCACHE})
    # Without these ccache leaves alone what is compiled with precompiled headers; no source uses __TIME__. The compiler's
    # own list of includes saves preprocessing what has to be compiled.
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros CCACHE_DEPEND=1
                                    ${QVL_CCACHE})
  endif()
endif()

# Debian's usual linker takes several times as long.
include(CheckLinkerFlag)
check_linker_flag(CXX -fuse-ld=mold QVL_HAS_MOLD)
if(QVL_HAS_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(CLI11 2.1 REQUIRED)
find_package(fmt 9 REQUIRED)
find_package(OpenSSL 3 REQUIRED COMPONENTS Crypto)
find_package(ICU REQUIRED COMPONENTS uc)
find_package(PNG REQUIRED)
find_package(JPEG REQUIRED)
find_package(GIF REQUIRED)
find_package(Protobuf REQUIRED)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(WEBP REQUIRED IMPORTED_TARGET libwebp)
pkg_check_modules(ZIP REQUIRED IMPORTED_TARGET libzip)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)

# Debian's libonnx-dev: protobuf classes, checker and shape inference.
find_path(QVL_ONNX_INCLUDE onnx/checker.h REQUIRED)
find_library(QVL_ONNX_LIB onnx REQUIRED)
find_library(QVL_ONNX_PROTO_LIB onnx_proto REQUIRED)
add_library(qvl_onnx_classes INTERFACE)
target_include_directories(qvl_onnx_classes SYSTEM INTERFACE ${QVL_ONNX_INCLUDE})
target_compile_definitions(qvl_onnx_classes INTERFACE ONNX_NAMESPACE=onnx ONNX_ML=1)
target_link_libraries(qvl_onnx_classes INTERFACE ${QVL_ONNX_LIB} ${QVL_ONNX_PROTO_LIB} protobuf::libprotobuf)

# ONNX Runtime: an unpacked release named by ONNXRUNTIME_ROOT first, then what scripts/setup.sh put in deps/, then
# the system's headers.
set(QVL_ORT_ROOT "$ENV{ONNXRUNTIME_ROOT}")
find_path(QVL_ORT_INCLUDE onnxruntime_c_api.h REQUIRED
          HINTS ${QVL_ORT_ROOT}/include ${PROJECT_SOURCE_DIR}/deps/onnxruntime/include
          PATH_SUFFIXES onnxruntime onnxruntime/core/session)
add_library(qvl_onnxruntime_headers INTERFACE)
target_include_directories(qvl_onnxruntime_headers SYSTEM INTERFACE ${QVL_ORT_INCLUDE})
if(QVL_ORT_ROOT)
  set(QVL_ORT_LIBRARY_DIR ${QVL_ORT_ROOT}/lib)
else()
  set(QVL_ORT_LIBRARY_DIR ${PROJECT_SOURCE_DIR}/deps/onnxruntime/lib)
endif()
