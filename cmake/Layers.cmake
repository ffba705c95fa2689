# How things are compiled. Layers are static libraries, one per folder of src/ (qvl_layer below); their order is in
# docs/architecture.md and checked by tests/layers.sh.
add_library(qvl_flags INTERFACE)
target_compile_options(qvl_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
                                           -Wnon-virtual-dtor -Woverloaded-virtual -Wimplicit-fallthrough)
if(QVL_WERROR)
  target_compile_options(qvl_flags INTERFACE -Werror)
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  target_compile_options(qvl_flags INTERFACE -march=x86-64-v2)
endif()
# Results must not depend on which instructions a machine has: no contraction of a*b+c behind our back.
target_compile_options(qvl_flags INTERFACE -ffp-contract=off)
if(QVL_SANITIZE)
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1 -DNDEBUG") # enough for a stack trace, in half the time of -O2 -g
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
  add_compile_definitions(QVL_SANITIZED)
  if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
    add_compile_options(-fno-sanitize=function) # ONNX Runtime's functions are called through declarations of our own
  endif()
endif()

# What most sources include and what takes a large part of their compile time: parsed once. Sources include what they
# use all the same (tests/layers.sh tells when one does not).
set(QVL_PRECOMPILED_HEADERS
    <algorithm> <array> <atomic> <cstdint> <filesystem> <fstream> <functional> <map> <memory> <mutex> <optional> <random>
    <span> <sstream> <string> <string_view> <thread> <unordered_map> <vector> <fmt/format.h>)

if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  # Else clang refuses those that ccache gives back in a new build folder, where their list of includes is newer.
  add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
endif()

# Most layers say what is to be done, and kernels or libraries do it: their code need not be fast.
add_library(qvl_plain_flags INTERFACE)
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_options(qvl_plain_flags INTERFACE -O1)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC 12 sees bounds broken in sums of strings where there are none, at -O1 with precompiled headers.
    target_compile_options(qvl_plain_flags INTERFACE -Wno-array-bounds)
  endif()
endif()

# qvl_layer_flags(TARGET [COMPUTING] [SEPARATE] [COMPUTING_SOURCES ...]): how a layer's sources are compiled. COMPUTING:
# all of them are optimised as much as the compiler can, COMPUTING_SOURCES: these alone. The others are compiled several
# at once (QVL_JOIN_SOURCES), unless SEPARATE says that they have things of the same name.
function(qvl_layer_flags target)
  cmake_parse_arguments(ARG "COMPUTING;SEPARATE" "" "COMPUTING_SOURCES" ${ARGN})
  target_link_libraries(${target} PRIVATE qvl_flags)
  if(NOT ARG_COMPUTING)
    target_link_libraries(${target} PRIVATE qvl_plain_flags)
  endif()
  if(ARG_COMPUTING_SOURCES)
    set_source_files_properties(${ARG_COMPUTING_SOURCES} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    if(CMAKE_BUILD_TYPE STREQUAL "Release") # GCC takes no precompiled header of another level
      set_source_files_properties(${ARG_COMPUTING_SOURCES} PROPERTIES COMPILE_OPTIONS -O3 SKIP_PRECOMPILE_HEADERS ON)
    endif()
  endif()
  if(NOT ARG_SEPARATE)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ${QVL_JOIN_SOURCES})
    if(QVL_JOIN_SOURCES AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      # What a source keeps to itself may be a member of what it defines: joined sources look like headers to GCC.
      target_compile_options(${target} PRIVATE -Wno-subobject-linkage)
    endif()
  endif()
  if(QVL_SANITIZE OR NOT ARG_COMPUTING)
    if(NOT TARGET qvl_precompiled)
      file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/precompiled.cpp
           CONTENT "// What the layers' precompiled header is made with.\n")
      add_library(qvl_precompiled OBJECT ${PROJECT_BINARY_DIR}/precompiled.cpp)
      target_link_libraries(qvl_precompiled PRIVATE qvl_flags qvl_plain_flags fmt::fmt)
      if(QVL_FUZZ)
        target_compile_options(qvl_precompiled PRIVATE -fsanitize=fuzzer-no-link)
      endif()
      target_precompile_headers(qvl_precompiled PRIVATE ${QVL_PRECOMPILED_HEADERS})
    endif()
    target_precompile_headers(${target} REUSE_FROM qvl_precompiled)
  endif()
endfunction()

# qvl_layer(NAME SOURCES ... DEPENDS LAYER... LIBRARIES TARGET... and the options of qvl_layer_flags).
function(qvl_layer name)
  cmake_parse_arguments(ARG "COMPUTING;SEPARATE" "" "SOURCES;DEPENDS;LIBRARIES;COMPUTING_SOURCES" ${ARGN})
  add_library(qvl_${name} STATIC ${ARG_SOURCES})
  target_include_directories(qvl_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
  target_link_libraries(qvl_${name} PRIVATE ${ARG_LIBRARIES})
  if(QVL_FUZZ)
    target_compile_options(qvl_${name} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
  foreach(layer ${ARG_DEPENDS})
    target_link_libraries(qvl_${name} PUBLIC qvl_${layer})
  endforeach()
  set(how)
  foreach(option COMPUTING SEPARATE)
    if(ARG_${option})
      list(APPEND how ${option})
    endif()
  endforeach()
  qvl_layer_flags(qvl_${name} ${how} COMPUTING_SOURCES ${ARG_COMPUTING_SOURCES})
endfunction()

# The tests' own code need not be fast: a third to a half of its compile time is saved.
add_library(qvl_test_flags INTERFACE)
target_link_libraries(qvl_test_flags INTERFACE qvl_flags)
if(QVL_SANITIZE)
  # What is tested has all checks; in the tests' own code those of undefined behaviour would take a quarter of its
  # compile time.
  target_compile_options(qvl_test_flags INTERFACE -O0 -fno-sanitize=undefined)
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_link_libraries(qvl_test_flags INTERFACE qvl_plain_flags)
endif()

# Builds every test labelled `unit` and nothing else.
add_custom_target(unit_tests)

# qvl_test(NAME SOURCES ... LAYERS ... [COMPUTING ...] [SEPARATE] [LIBRARIES ...] [LABEL label]): one GoogleTest binary
# per layer. Its sources are compiled several at once (QVL_JOIN_SOURCES), unless SEPARATE says that they have things of
# the same name. The label is `unit` (run under the sanitizers too), `parity` (against the reference implementation) or `cli` (runs
# the program). COMPUTING: those of the sources that compute much themselves, optimised under the sanitizers too.
function(qvl_test name)
  cmake_parse_arguments(ARG "SEPARATE" "LABEL" "SOURCES;COMPUTING;LAYERS;LIBRARIES" ${ARGN})
  if(NOT ARG_LABEL)
    set(ARG_LABEL unit)
  endif()
  add_executable(test_${name} ${ARG_SOURCES})
  target_link_libraries(test_${name} PRIVATE qvl_test_flags qvl_test_support GTest::gtest_main ${ARG_LIBRARIES})
  foreach(layer ${ARG_LAYERS})
    target_link_libraries(test_${name} PRIVATE qvl_${layer})
  endforeach()
  target_precompile_headers(test_${name} REUSE_FROM qvl_test_support)
  if(NOT ARG_SEPARATE)
    set_target_properties(test_${name} PROPERTIES UNITY_BUILD ${QVL_JOIN_SOURCES})
  endif()
  if(QVL_SANITIZE AND ARG_COMPUTING) # clang takes no precompiled header of another level
    set_source_files_properties(${ARG_COMPUTING} PROPERTIES COMPILE_OPTIONS -O1 SKIP_PRECOMPILE_HEADERS ON)
  endif()
  if(ARG_LABEL STREQUAL "unit")
    add_dependencies(unit_tests test_${name})
  endif()
  gtest_discover_tests(test_${name} DISCOVERY_MODE PRE_TEST TEST_PREFIX "${name}." PROPERTIES LABELS ${ARG_LABEL}
                       TIMEOUT 300)
endfunction()

# qvl_bench(NAME SOURCES ... LAYERS ...): one Google Benchmark binary.
function(qvl_bench name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LAYERS;LIBRARIES" ${ARGN})
  add_executable(bench_${name} ${ARG_SOURCES})
  target_compile_definitions(bench_${name} PRIVATE QVL_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data")
  target_link_libraries(bench_${name} PRIVATE qvl_flags benchmark::benchmark_main ${ARG_LIBRARIES})
  foreach(layer ${ARG_LAYERS})
    target_link_libraries(bench_${name} PRIVATE qvl_${layer})
  endforeach()
endfunction()

# qvl_fuzz(NAME SOURCES ... LAYERS ...): one libFuzzer target; its seeds lie in fuzz/seeds/NAME.
function(qvl_fuzz name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LAYERS;LIBRARIES" ${ARGN})
  add_executable(fuzz_${name} ${ARG_SOURCES})
  target_link_libraries(fuzz_${name} PRIVATE qvl_flags ${ARG_LIBRARIES})
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  foreach(layer ${ARG_LAYERS})
    target_link_libraries(fuzz_${name} PRIVATE qvl_${layer})
  endforeach()
endfunction()
