#include <cuda_runtime_api.h>

#include <cstdlib>
#include <cstring>

/**
 * What src/cuda/device.cc needs of the CUDA runtime, on host memory and without kernels: with it the messages for a device
 * that is too old, that the library has no code for, or that has no room, are tested on any machine, and the way of elements
 * to a device and back. From the environment: FAKE_CAPABILITY, FAKE_NO_CODE, FAKE_FREE_BYTES (of all allocations together).
 */
namespace {

struct Block {
  size_t bytes;
};
constexpr size_t header = 64;
static_assert(sizeof(Block) <= header);

int64_t number(const char* name, int64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoll(text);
}

int64_t& free_bytes() {
  static int64_t bytes = number("FAKE_FREE_BYTES", int64_t{1} << 30);
  return bytes;
}

thread_local cudaError_t last = cudaSuccess;

}  // namespace

extern "C" {

cudaError_t cudaDriverGetVersion(int* version) { return *version = CUDART_VERSION, cudaSuccess; }
cudaError_t cudaGetDeviceCount(int* count) { return *count = 1, cudaSuccess; }
cudaError_t cudaSetDevice(int) { return cudaSuccess; }
cudaError_t cudaGetLastError() {
  const cudaError_t error = last;
  last = cudaSuccess;
  return error;
}
const char* cudaGetErrorName(cudaError_t error) {
  return error == cudaErrorMemoryAllocation ? "cudaErrorMemoryAllocation" : "cudaErrorNoKernelImageForDevice";
}
const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorMemoryAllocation ? "out of memory" : "no kernel image is available for execution on the device";
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  const auto capability = static_cast<int>(number("FAKE_CAPABILITY", 90));
  *value = attribute == cudaDevAttrComputeCapabilityMajor ? capability / 10 : capability % 10;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {};
  std::strcpy(properties->name, "fake");
  return cudaSuccess;
}
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes*, const void*) {
  return number("FAKE_NO_CODE", 0) != 0 ? cudaErrorNoKernelImageForDevice : cudaSuccess;
}

cudaError_t cudaMalloc(void** block, size_t bytes) {
  if (static_cast<int64_t>(bytes) > free_bytes()) return last = cudaErrorMemoryAllocation;
  free_bytes() -= static_cast<int64_t>(bytes);
  char* const memory = static_cast<char*>(std::aligned_alloc(header, header + (bytes + header - 1) / header * header));
  reinterpret_cast<Block*>(memory)->bytes = bytes;
  *block = memory + header;
  return cudaSuccess;
}
cudaError_t cudaFree(void* block) {
  if (block == nullptr) return cudaSuccess;
  char* const memory = static_cast<char*>(block) - header;
  free_bytes() += static_cast<int64_t>(reinterpret_cast<Block*>(memory)->bytes);
  std::free(memory);
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void** block, size_t bytes) {
  *block = std::malloc(bytes);
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *total = *free = static_cast<size_t>(free_bytes());
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t) {
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}

// What is not null is there; work is done at once, so there is nothing to wait for.
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = reinterpret_cast<cudaStream_t>(&last);
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = reinterpret_cast<cudaEvent_t>(&last);
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }

// Nothing is recorded: what is tried while a step is captured fails before it gets here.
cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode*) { return cudaSuccess; }
cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode) { return cudaSuccess; }
cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t*) { return cudaSuccess; }
cudaError_t cudaGraphInstantiate(cudaGraphExec_t*, cudaGraph_t, unsigned long long) { return cudaSuccess; }
cudaError_t cudaGraphDestroy(cudaGraph_t) { return cudaSuccess; }
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t) { return cudaSuccess; }
cudaError_t cudaGraphLaunch(cudaGraphExec_t, cudaStream_t) { return cudaSuccess; }
}
