# What `cmake --install` puts in place: the program qvl, the library libqvl.so with the headers of include/qvl, the
# package files that give other CMake projects the target qvl::qvl, and ONNX Runtime's library in lib/qvl, where
# program and library look for it.
if(QVL_SANITIZE OR QVL_FUZZ)
  return()
endif()
option(QVL_INSTALL_ONNXRUNTIME "Install the ONNX Runtime library beside qvl" ON)

# The library is made of the layers' object files, so that the public functions get into it, referenced or not.
add_library(qvl_shared SHARED)
add_library(qvl::qvl ALIAS qvl_shared)
foreach(layer ${QVL_LAYERS})
  if(NOT layer STREQUAL "bench")
    target_sources(qvl_shared PRIVATE $<TARGET_OBJECTS:qvl_${layer}>)
    target_link_libraries(qvl_shared PRIVATE qvl_${layer}) # for the libraries that the layer needs
  endif()
endforeach()
# Nothing but qvl's own public symbols may meet those of the program that links the library.
set(qvl_exports ${PROJECT_SOURCE_DIR}/cmake/exports.map)
# It is not unloaded: its watching thread and ONNX Runtime stay.
target_link_options(qvl_shared PRIVATE LINKER:--version-script=${qvl_exports} LINKER:--as-needed LINKER:-z,nodelete)
set_target_properties(qvl_shared PROPERTIES OUTPUT_NAME qvl EXPORT_NAME qvl VERSION ${PROJECT_VERSION} SOVERSION 0
                                            LINKER_LANGUAGE CXX LINK_DEPENDS ${qvl_exports})
target_compile_features(qvl_shared INTERFACE cxx_std_20)
target_include_directories(qvl_shared INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                                $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

# `cmake --build … --target qvl` makes the program alone: what is missing is made now, by a link or two.
install(CODE "
  if(NOT EXISTS \"$<TARGET_FILE:qvl_shared>\")
    execute_process(COMMAND \"${CMAKE_COMMAND}\" --build \"${PROJECT_BINARY_DIR}\" --target all_installed
                    COMMAND_ERROR_IS_FATAL ANY)
  endif()")
add_custom_target(all_installed DEPENDS qvl_shared)
if(TARGET qvl)
  add_dependencies(all_installed qvl)
  install(TARGETS qvl RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(TARGETS qvl_shared EXPORT qvlTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/qvl DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h")

include(CMakePackageConfigHelpers)
set(qvl_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/qvl)
install(EXPORT qvlTargets NAMESPACE qvl:: DESTINATION ${qvl_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/qvlConfigVersion.cmake COMPATIBILITY SameMinorVersion)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/qvlConfig.cmake.in ${PROJECT_BINARY_DIR}/qvlConfig.cmake
                              INSTALL_DESTINATION ${qvl_package_dir} NO_SET_AND_CHECK_MACRO)
install(FILES ${PROJECT_BINARY_DIR}/qvlConfig.cmake ${PROJECT_BINARY_DIR}/qvlConfigVersion.cmake
        DESTINATION ${qvl_package_dir})

if(QVL_INSTALL_ONNXRUNTIME)
  # The library, its providers and its links; nothing when the system's own is used.
  install(DIRECTORY ${QVL_ORT_LIBRARY_DIR}/ DESTINATION ${CMAKE_INSTALL_LIBDIR}/qvl OPTIONAL
          FILES_MATCHING PATTERN "libonnxruntime*.so*")
endif()
