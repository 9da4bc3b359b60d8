# Finds nvcc: CUDACXX, PATH, CUDA_HOME, CUDA_PATH, /usr/local/cuda. Sets FORGE_NVCC when it works with this C++ compiler,
# and says in one line what is built or why nothing is.
# Machine code for 8.0 and 9.0, and PTX for what comes after, all from one pass over the sources: no kernel differs by device.
set(FORGE_CUDA_CODE "arch=compute_80,code=[compute_80,sm_80,sm_90]")
if(FORGE_NVCC_PROGRAM AND NOT EXISTS "${FORGE_NVCC_PROGRAM}")
  unset(FORGE_NVCC_PROGRAM CACHE)  # found once, gone since
endif()
if(NOT DEFINED CMAKE_CUDA_COMPILER)
  find_program(FORGE_NVCC_PROGRAM NAMES $ENV{CUDACXX} nvcc PATHS $ENV{CUDA_HOME}/bin $ENV{CUDA_PATH}/bin /usr/local/cuda/bin)
  if(FORGE_NVCC_PROGRAM)
    set(CMAKE_CUDA_COMPILER ${FORGE_NVCC_PROGRAM})
  endif()
endif()
if(CMAKE_CUDA_COMPILER)
  set(CMAKE_CUDA_ARCHITECTURES OFF)  # FORGE_CUDA_CODE says it
  include(CheckLanguage)
  check_language(CUDA)
endif()
if(CMAKE_CUDA_COMPILER)
  enable_language(CUDA)
  if(NOT DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 knows the compiler, but not this flag of it
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  endif()
  set(FORGE_NVCC ${CMAKE_CUDA_COMPILER})
  message(STATUS "CUDA backend: built with ${FORGE_NVCC} ${CMAKE_CUDA_COMPILER_VERSION}")
elseif(FORGE_NVCC_PROGRAM)
  message(STATUS "CUDA backend: skipped, ${FORGE_NVCC_PROGRAM} does not work with ${CMAKE_CXX_COMPILER}")
else()
  message(STATUS "CUDA backend: skipped, no nvcc in CUDACXX, PATH, CUDA_HOME, CUDA_PATH or /usr/local/cuda")
endif()
