#include <dlfcn.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "core/backend_library.h"
#include "cuda/device.h"
#include "cuda/gemm_library.h"
#include "cuda/merge.h"
#include "cuda/table.h"

/** The device as a backend: queues, memory, transfers, errors, and the entry points of the shared library. */
namespace forge::cuda {
namespace {

constexpr int device = 0;  // CUDA_VISIBLE_DEVICES says which one that is
constexpr int64_t staging_bytes = int64_t{4} << 20;

/** What a thread needs to use the device; kept for the next thread when it ends, with its work still in order. */
struct Queue {
  int64_t number = 0;
  /** Whether everything below is there; what is missing is asked for again by the next use. */
  bool complete = false;
  cudaStream_t stream = nullptr;
  void* workspace = nullptr;
  /** Made by the first product of a library. */
  void* gemm_memory = nullptr;
  /** Two pinned halves: one is filled while the other travels. */
  char* staging = nullptr;
  cudaEvent_t sent[2] = {};
  Faults* faults = nullptr;
  /** Where they are seen from the host, pinned; and whether one may have been noted since they were looked at. */
  Faults* seen = nullptr;
  bool may_have_fault = false;
};

struct ThreadState {
  Queue* queue = nullptr;
  char error[512] = "";
  char given[512] = "";
  IndexFault fault{};
  bool capturing = false;
  ~ThreadState();
};

thread_local ThreadState thread_state;

std::mutex mutex;
std::vector<Queue*>& idle_queues() {
  static auto* queues = new std::vector<Queue*>();  // never destroyed: threads may end after static destructors
  return *queues;
}

ThreadState::~ThreadState() {
  if (queue == nullptr) return;
  const std::lock_guard lock(mutex);
  idle_queues().push_back(queue);
}

bool done(cudaError_t error, const char* what) {
  note(error, what);
  return error == cudaSuccess;
}

/** Gives the device faults without one. */
bool reset_faults(Queue& q) {
  *q.seen = {{}, no_position};
  return done(cudaMemcpyAsync(q.faults, q.seen, sizeof *q.seen, cudaMemcpyHostToDevice, q.stream), "cudaMemcpyAsync");
}

bool fill_queue(Queue& q) {
  void* pinned = q.staging;
  const bool filled =
      (q.stream != nullptr ||
       done(cudaStreamCreateWithFlags(&q.stream, cudaStreamNonBlocking), "cudaStreamCreate")) &&
      (q.workspace != nullptr ||
       done(cudaMalloc(&q.workspace, static_cast<size_t>(workspace_bytes)), "cudaMalloc of a thread's workspace")) &&
      (pinned != nullptr || done(cudaMallocHost(&pinned, 2 * static_cast<size_t>(staging_bytes) + sizeof(Faults)),
                                 "cudaMallocHost of a thread's staging memory")) &&
      (q.sent[0] != nullptr || done(cudaEventCreateWithFlags(&q.sent[0], cudaEventDisableTiming), "cudaEventCreate")) &&
      (q.sent[1] != nullptr || done(cudaEventCreateWithFlags(&q.sent[1], cudaEventDisableTiming), "cudaEventCreate"));
  q.staging = static_cast<char*>(pinned);
  if (!filled) return false;
  q.seen = reinterpret_cast<Faults*>(q.staging + 2 * staging_bytes);
  void* faults = q.faults;
  const bool has_faults = faults != nullptr || done(cudaMalloc(&faults, sizeof(Faults)), "cudaMalloc of a thread's faults");
  q.faults = static_cast<Faults*>(faults);
  return has_faults && reset_faults(q);
}

Queue& queue() {
  ThreadState& state = thread_state;
  if (state.queue == nullptr) {
    const std::lock_guard lock(mutex);
    std::vector<Queue*>& idle = idle_queues();
    static int64_t queues = 0;
    if (idle.empty()) {
      state.queue = new Queue();
      state.queue->number = ++queues;
    } else {
      state.queue = idle.back();
      idle.pop_back();
    }
    note(cudaSetDevice(device), "cudaSetDevice");
  }
  if (!state.queue->complete) state.queue->complete = fill_queue(*state.queue);
  return *state.queue;
}

int64_t queue_number() { return queue().number; }

void* allocate(int64_t bytes) {
  queue();  // the calling thread has its device set
  void* block = nullptr;
  // While work is captured, cudaMalloc is allowed in this mode only; it is not part of what is captured.
  cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
  const bool capturing = thread_state.capturing;
  if (capturing) note(cudaThreadExchangeStreamCaptureMode(&mode), "cudaThreadExchangeStreamCaptureMode");
  const cudaError_t error = cudaMalloc(&block, static_cast<size_t>(bytes));
  if (capturing) note(cudaThreadExchangeStreamCaptureMode(&mode), "cudaThreadExchangeStreamCaptureMode");
  if (error == cudaSuccess) return block;
  cudaGetLastError();  // the caller reports it, with sizes
  return nullptr;
}

void release(void* block) {
  note(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  note(cudaFree(block), "cudaFree");
}

/** Notes the failure of what a captured step cannot do; whether it may go on. */
bool may(const char* what) {
  ThreadState& state = thread_state;
  if (!state.capturing) return true;
  if (state.error[0] == '\0') std::snprintf(state.error, sizeof state.error, "it %s", what);
  return false;
}

void copy_in(void* to, const void* from, int64_t bytes) {
  Queue& q = queue();
  if (!may("moves elements from the host to the device")) return;
  for (int64_t at = 0; at < bytes && !has_failed(); at += staging_bytes) {
    const int half = static_cast<int>(at / staging_bytes % 2);
    const auto size = static_cast<size_t>(std::min(staging_bytes, bytes - at));
    char* pinned = q.staging + half * staging_bytes;
    note(cudaEventSynchronize(q.sent[half]), "copy to the device");
    std::memcpy(pinned, static_cast<const char*>(from) + at, size);
    note(cudaMemcpyAsync(static_cast<char*>(to) + at, pinned, size, cudaMemcpyHostToDevice, q.stream),
         "copy to the device");
    note(cudaEventRecord(q.sent[half], q.stream), "copy to the device");
  }
}

void copy_out(void* to, const void* from, int64_t bytes) {
  Queue& q = queue();
  const auto start = [&](int64_t at) {
    const int half = static_cast<int>(at / staging_bytes % 2);
    note(cudaMemcpyAsync(q.staging + half * staging_bytes, static_cast<const char*>(from) + at,
                         static_cast<size_t>(std::min(staging_bytes, bytes - at)), cudaMemcpyDeviceToHost, q.stream),
         "copy from the device");
    note(cudaEventRecord(q.sent[half], q.stream), "copy from the device");
  };
  if (!may("waits for elements from the device") || has_failed()) {
    std::memset(to, 0, static_cast<size_t>(bytes));  // what the caller reads before it sees the error
    return;
  }
  const bool looks = q.may_have_fault && bytes > 0;
  if (looks) {
    note(cudaMemcpyAsync(q.seen, q.faults, sizeof *q.seen, cudaMemcpyDeviceToHost, q.stream), "copy from the device");
  }
  if (bytes > 0) start(0);
  for (int64_t at = 0; at < bytes; at += staging_bytes) {
    const int half = static_cast<int>(at / staging_bytes % 2);
    if (at + staging_bytes < bytes) start(at + staging_bytes);
    note(cudaEventSynchronize(q.sent[half]), "copy from the device");
    std::memcpy(static_cast<char*>(to) + at, q.staging + half * staging_bytes,
                static_cast<size_t>(std::min(staging_bytes, bytes - at)));
  }
  if (looks && !has_failed()) {
    q.may_have_fault = false;
    thread_state.fault = q.seen->first;
    if (q.seen->first.op != nullptr) reset_faults(q);
  }
}

bool take_fault(IndexFault* fault) {
  *fault = std::exchange(thread_state.fault, {});
  return fault->op != nullptr;
}

void begin_capture() {
  Queue& q = queue();
  gemm_source();  // loads the library, which is not allowed later
  gemm_scratch_memory();
  if (has_failed()) return;
  note(cudaStreamBeginCapture(q.stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  thread_state.capturing = !has_failed();
}

void* end_capture() {
  Queue& q = queue();
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t work = nullptr;
  thread_state.capturing = false;
  note(cudaStreamEndCapture(q.stream, &graph), "cudaStreamEndCapture");
  if (!has_failed()) note(cudaGraphInstantiate(&work, graph, 0), "cudaGraphInstantiate");
  if (graph != nullptr) note(cudaGraphDestroy(graph), "cudaGraphDestroy");
  return work;
}

void replay(void* work) {
  Queue& q = queue();
  if (has_failed()) return;
  q.may_have_fault = true;
  note(cudaGraphLaunch(static_cast<cudaGraphExec_t>(work), q.stream), "cudaGraphLaunch");
}

void forget(void* work) { note(cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(work)), "cudaGraphExecDestroy"); }

const char* take_error() {
  ThreadState& state = thread_state;
  if (state.error[0] == '\0') return nullptr;
  std::memcpy(state.given, state.error, sizeof state.given);
  state.error[0] = '\0';
  return state.given;
}

int64_t memory_limit() {
  size_t free = 0, total = 0;
  queue();
  note(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return static_cast<int64_t>(free) / 10 * 9;
}

int driver_version() {
  int version = 0;
  cudaDriverGetVersion(&version);
  return version;
}

DeviceDescription make_description() {
  cudaDeviceProp properties;
  DeviceDescription made{};
  DeviceDescription* const description = &made;
  if (cudaGetDeviceProperties(&properties, device) != cudaSuccess) return made;
  const int driver = driver_version();
  std::snprintf(description->name, sizeof description->name, "%s", properties.name);
  std::snprintf(description->driver, sizeof description->driver, "CUDA %d.%d", driver / 1000, driver % 1000 / 10);
  std::snprintf(description->compute_capability, sizeof description->compute_capability, "%d.%d", properties.major,
                properties.minor);
  std::snprintf(description->blas, sizeof description->blas, "%s", gemm_source());
  return made;
}

void describe(DeviceDescription* description) {
  static const DeviceDescription made = make_description();  // asking the driver takes a millisecond
  *description = made;
}

constexpr Backend cuda_backend = {
    .device = "cuda",
    .kernels = &table,
    .memory_limit = memory_limit,
    .allocate = allocate,
    .release = release,
    .queue = queue_number,
    .copy_in = copy_in,
    .copy_out = copy_out,
    .take_error = take_error,
    .describe = describe,
    .take_fault = take_fault,
    .begin_capture = begin_capture,
    .end_capture = end_capture,
    .replay = replay,
    .forget = forget,
};

[[gnu::format(printf, 3, 4)]] int32_t refuse(char* reason, size_t size, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(reason, size, format, arguments);
  va_end(arguments);
  return 0;
}

}  // namespace

cudaStream_t stream() { return queue().stream; }

void* gemm_scratch_memory() {
  Queue& q = queue();
  if (q.gemm_memory == nullptr) {
    note(cudaMalloc(&q.gemm_memory, static_cast<size_t>(gemm_scratch_memory_bytes)),
         "cudaMalloc of a thread's scratch for products");
  }
  return q.gemm_memory;
}

void* workspace() { return queue().workspace; }

Faults* faults() {
  Queue& q = queue();
  q.may_have_fault = true;
  return q.faults;
}

void write(void* to, const void* from, int64_t bytes) { copy_in(to, from, bytes); }

void read_back(void* to, const void* from, int64_t bytes) { copy_out(to, from, bytes); }

bool has_failed() { return thread_state.error[0] != '\0'; }

void note(cudaError_t error, const char* what) {
  ThreadState& state = thread_state;
  if (error == cudaSuccess || state.error[0] != '\0') return;
  std::snprintf(state.error, sizeof state.error, "%s: %s (%s)%s", what, cudaGetErrorString(error),
                cudaGetErrorName(error),
                error == cudaErrorMemoryAllocation ? ": free memory on the device, or lower init({maxBytes})" : "");
}

}  // namespace forge::cuda

extern "C" {

[[gnu::visibility("default")]] uint64_t forge_backend_version() { return forge::backend_version; }

[[gnu::visibility("default")]] int32_t forge_backend_score(char* reason, size_t size) {
  using namespace forge::cuda;
  if (dlopen("libcuda.so.1", RTLD_LAZY) == nullptr) {
    return refuse(reason, size,
                  "no NVIDIA driver: %s. Install driver 580 or later; in a container, give it the device "
                  "(docker run --gpus all, or the NVIDIA device plugin)",
                  dlerror());
  }
  const int driver = driver_version();
  int devices = 0;
  const cudaError_t error = cudaGetDeviceCount(&devices);
  if (error == cudaErrorInsufficientDriver) {
    return refuse(reason, size,
                  "the NVIDIA driver is too old: it offers CUDA %d.%d, this library was made with %d.%d. Install driver "
                  "580 or later",
                  driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
  }
  if (error == cudaErrorNoDevice || (error == cudaSuccess && devices == 0)) {
    return refuse(reason, size,
                  "the NVIDIA driver (CUDA %d.%d) sees no device. Check nvidia-smi, CUDA_VISIBLE_DEVICES, and that the "
                  "container was given the device",
                  driver / 1000, driver % 1000 / 10);
  }
  if (error != cudaSuccess) {
    return refuse(reason, size, "the NVIDIA driver does not start: %s (%s). Check nvidia-smi and the kernel's log",
                  cudaGetErrorString(error), cudaGetErrorName(error));
  }
  int major = 0, minor = 0;
  cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
  cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device);
  if (major < 8) {
    return refuse(reason, size, "device 0 has compute capability %d.%d; this library is made for 8.0 and later. Choose "
                  "another with CUDA_VISIBLE_DEVICES", major, minor);
  }
  return 10 * major + minor;
}

[[gnu::visibility("default")]] const forge::Backend* forge_backend_create(char* reason, size_t size) {
  using namespace forge::cuda;
  stream();  // makes the context and the first queue
  cudaFuncAttributes attributes;
  note(cudaFuncGetAttributes(&attributes, probe_kernel()), "no code for this device in the library");
  if (const char* error = take_error()) {
    refuse(reason, size, "device 0 cannot be started: %s. Check with nvidia-smi that nobody holds it exclusively and that "
           "memory is free", error);
    return nullptr;
  }
  return &cuda_backend;
}
}
