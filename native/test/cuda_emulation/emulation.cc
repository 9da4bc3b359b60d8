#include "cuda_emulation/emulation.h"

#include <setjmp.h>
#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/backend.h"
#include "cuda/device.h"
#include "cuda/gemm_library.h"
#include "cuda/merge.h"
#include "cuda/table.h"
#include "cuda_emulation/backend.h"

namespace emulation {

uint3 thread_index, block_index;
dim3 block_size, grid_size;

namespace {

constexpr int warp_size = 32;
constexpr size_t stack_bytes = size_t{64} << 10;

enum class State { ready, at_block_barrier, at_warp_barrier, ended };

/** Starts by its context; goes on by jumps, which unlike swapcontext ask nothing of the kernel. */
struct Fiber {
  ucontext_t context;
  jmp_buf place;
  bool has_started = false;
  std::vector<char> stack;
  State state;
  unsigned mask;
};

// One launch at a time: the emulation is for one thread.
std::vector<Fiber> fibers;
std::vector<uint64_t> words;
std::vector<float> shared;
jmp_buf scheduler;
const std::function<void()>* kernel;
int current, count;
bool votes, result_of_vote, descending;

[[noreturn]] void stop(const char* name, const char* what) {
  std::fprintf(stderr, "emulation: kernel %s: %s\n", name, what);
  std::abort();
}

void wait_as(State state) {
  Fiber& fiber = fibers[static_cast<size_t>(current)];
  fiber.state = state;
  if (_setjmp(fiber.place) == 0) _longjmp(scheduler, 1);
}

/** A fiber is a thread of every block after its first, one after another. */
void enter() {
  for (;;) {
    (*kernel)();
    wait_as(State::ended);
  }
}

void resume(int index) {
  current = index;
  thread_index.x = static_cast<unsigned>(index);
  Fiber& fiber = fibers[static_cast<size_t>(index)];
  if (_setjmp(scheduler) != 0) return;
  if (fiber.has_started) _longjmp(fiber.place, 1);
  fiber.has_started = true;
  setcontext(&fiber.context);
}

/** Lets a warp go on when every lane of its mask has come; whether it did. */
bool release_warp(const char* name, int first) {
  unsigned waiting = 0, mask = 0;
  for (int lane = 0; lane < warp_size && first + lane < count; ++lane) {
    const Fiber& fiber = fibers[static_cast<size_t>(first + lane)];
    if (fiber.state != State::at_warp_barrier) continue;
    waiting |= 1u << lane;
    mask |= fiber.mask;
  }
  if (waiting == 0) return false;
  for (int lane = 0; lane < warp_size; ++lane) {
    const bool absent = first + lane >= count || fibers[static_cast<size_t>(first + lane)].state == State::ended;
    if ((mask >> lane & 1u) != 0 && absent) stop(name, "a shuffle or __syncwarp names a lane that has ended or is not there");
  }
  if (waiting != mask) return false;
  for (int lane = 0; lane < warp_size; ++lane) {
    if ((waiting >> lane & 1u) != 0) fibers[static_cast<size_t>(first + lane)].state = State::ready;
  }
  return true;
}

/** Lets the block go on when every thread that has not ended has come; whether it did. */
bool release_block() {
  int waiting = 0, ended = 0;
  for (int i = 0; i < count; ++i) {
    waiting += fibers[static_cast<size_t>(i)].state == State::at_block_barrier;
    ended += fibers[static_cast<size_t>(i)].state == State::ended;
  }
  if (waiting == 0 || waiting + ended != count) return false;
  result_of_vote = votes;
  votes = false;
  for (int i = 0; i < count; ++i) {
    if (fibers[static_cast<size_t>(i)].state == State::at_block_barrier) fibers[static_cast<size_t>(i)].state = State::ready;
  }
  return true;
}

/** Runs the lanes that can, then lets them pass their barrier; whether anything moved. */
bool run_warp(const char* name, int first) {
  bool moved = false;
  for (int i = 0; i < warp_size; ++i) {
    const int index = first + (descending ? warp_size - 1 - i : i);
    if (index >= count || fibers[static_cast<size_t>(index)].state != State::ready) continue;
    resume(index);
    moved = true;
  }
  return release_warp(name, first) || moved;
}

bool has_ended() {
  for (int i = 0; i < count; ++i) {
    if (fibers[static_cast<size_t>(i)].state != State::ended) return false;
  }
  return true;
}

void run_block(const char* name) {
  for (int i = 0; i < count; ++i) {
    Fiber& fiber = fibers[static_cast<size_t>(i)];
    fiber.state = State::ready;
    if (fiber.has_started) continue;
    fiber.stack.resize(stack_bytes);
    getcontext(&fiber.context);
    fiber.context.uc_stack = {fiber.stack.data(), 0, fiber.stack.size()};
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, enter, 0);
  }
  // A warp runs as far as it can before the next one starts: what a missing block barrier lets it do on a GPU.
  const int warps = (count + warp_size - 1) / warp_size;
  for (;;) {
    bool moved = false;
    for (int i = 0; i < warps; ++i) {
      while (run_warp(name, (descending ? warps - 1 - i : i) * warp_size)) moved = true;
    }
    if (has_ended()) return;
    if (!release_block() && !moved) stop(name, "some threads wait at a barrier that others never reach");
  }
}

}  // namespace

namespace {

/** A launch with its arguments by value, as a graph keeps it. */
struct Launch {
  const char* name;
  int64_t blocks;
  int threads;
  int64_t shared_bytes;
  std::function<void()> body;
};

using Work = std::vector<Launch>;

/** What the one thread records, what it failed at, and the fault it has seen. */
std::unique_ptr<Work> recording;
std::string error, given;
forge::IndexFault seen_fault{};
forge::cuda::Faults device_faults{{}, forge::cuda::no_position};

void run_now(const char* name, int64_t blocks, int threads, int64_t shared_bytes, const std::function<void()>& body) {
  if (threads < 1 || threads > 1024 || blocks > INT32_MAX) stop(name, "a launch that no GPU takes");
  kernel = &body;
  count = threads;
  if (fibers.size() < static_cast<size_t>(count)) fibers.resize(static_cast<size_t>(count));
  words.assign(static_cast<size_t>(count), 0);
  block_size.x = static_cast<unsigned>(threads);
  grid_size.x = static_cast<unsigned>(blocks);
  for (int64_t block = 0; block < blocks; ++block) {
    block_index.x = static_cast<unsigned>(block);
    shared.assign(static_cast<size_t>(shared_bytes) / sizeof(float) + 1, std::numeric_limits<float>::quiet_NaN());
    run_block(name);
  }
}

}  // namespace

void run(const char* name, int64_t blocks, int threads, int64_t shared_bytes, std::function<void()> body) {
  if (recording == nullptr) run_now(name, blocks, threads, shared_bytes, body);
  else if (error.empty()) recording->push_back({name, blocks, threads, shared_bytes, std::move(body)});
}

void* dynamic_shared() { return shared.data(); }

bool block_barrier(bool vote) {
  votes = votes || vote;
  wait_as(State::at_block_barrier);
  return result_of_vote;
}

void warp_barrier(unsigned mask) {
  fibers[static_cast<size_t>(current)].mask = mask;
  wait_as(State::at_warp_barrier);
}

int own_lane() { return current % warp_size; }

uint64_t& lane_word(int lane) { return words[static_cast<size_t>(current / warp_size * warp_size + lane)]; }

namespace {

/** Both words of every lane of the warp, low and high; the lanes meet before and after. */
void share_words(uint32_t low, uint32_t high, uint32_t (&shared_low)[warp_size], uint32_t (&shared_high)[warp_size]) {
  lane_word(own_lane()) = uint64_t{high} << 32 | low;
  warp_barrier(0xffffffffu);
  for (int lane = 0; lane < warp_size; ++lane) {
    shared_low[lane] = static_cast<uint32_t>(lane_word(lane));
    shared_high[lane] = static_cast<uint32_t>(lane_word(lane) >> 32);
  }
  warp_barrier(0xffffffffu);
}

/** The bf16 in the low or high half of a word. */
float half_of(uint32_t word, int half) {
  const uint32_t bits = half == 0 ? word << 16 : word & 0xffff0000u;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace

void mma_m16n8k16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  uint32_t of_a[4][warp_size], of_b[2][warp_size];
  share_words(a[0], a[1], of_a[0], of_a[1]);
  share_words(a[2], a[3], of_a[2], of_a[3]);
  share_words(b[0], b[1], of_b[0], of_b[1]);
  const int row = own_lane() / 4, pair = own_lane() % 4;
  for (int part = 0; part < 4; ++part) {
    for (int k = 0; k < 16; ++k) {
      const int from = k % 8 / 2, upper = k / 8, column = 2 * pair + part % 2;
      c[part] += half_of(of_a[2 * upper + part / 2][4 * row + from], k % 2) * half_of(of_b[upper][4 * column + from], k % 2);
    }
  }
}

// Device memory: host memory that starts as NaN, between guards that release checks.

namespace {

constexpr int64_t guard_bytes = 256;
constexpr unsigned char guard = 0x7e;  // reads of it are 8e37

void* allocate(int64_t bytes) {
  auto* block = static_cast<unsigned char*>(std::malloc(static_cast<size_t>(bytes + 2 * guard_bytes)));
  if (block == nullptr) return nullptr;
  std::memset(block, guard, static_cast<size_t>(bytes + 2 * guard_bytes));
  std::memcpy(block, &bytes, sizeof bytes);
  std::memset(block + guard_bytes, 0xff, static_cast<size_t>(bytes));
  return block + guard_bytes;
}

void release(void* data) {
  if (recording != nullptr) stop("(captured)", "memory is released while work is captured");
  unsigned char* block = static_cast<unsigned char*>(data) - guard_bytes;
  int64_t bytes;
  std::memcpy(&bytes, block, sizeof bytes);
  for (int64_t i = sizeof bytes; i < guard_bytes; ++i) {
    if (block[i] != guard || block[guard_bytes + bytes + i] != guard) stop("(one before)", "wrote outside its buffers");
  }
  std::free(block);
}

/** Whether a captured step may do it; notes that it may not. */
bool may(const char* what) {
  if (recording == nullptr) return true;
  if (error.empty()) error = std::string("it ") + what;
  return false;
}

void copy_in(void* to, const void* from, int64_t bytes) {
  if (may("moves elements from the host to the device")) std::memcpy(to, from, static_cast<size_t>(bytes));
}

void copy_out(void* to, const void* from, int64_t bytes) {
  if (!may("waits for elements from the device")) {
    std::memset(to, 0, static_cast<size_t>(bytes));
    return;
  }
  std::memcpy(to, from, static_cast<size_t>(bytes));
  if (device_faults.first.op != nullptr) seen_fault = std::exchange(device_faults.first, {});
}

bool take_fault(forge::IndexFault* fault) {
  *fault = std::exchange(seen_fault, {});
  return fault->op != nullptr;
}

void begin_capture() { recording = std::make_unique<Work>(); }
void* end_capture() { return recording.release(); }
void replay(void* work) {
  for (const Launch& launch : *static_cast<Work*>(work)) {
    run_now(launch.name, launch.blocks, launch.threads, launch.shared_bytes, launch.body);
  }
}
void forget(void* work) { delete static_cast<Work*>(work); }

int64_t queue() { return 0; }
int64_t memory_limit() { return int64_t{1} << 40; }
const char* take_error() {
  given = std::exchange(error, {});
  return given.empty() ? nullptr : given.c_str();
}
void describe(forge::DeviceDescription* description) {
  std::memset(description, 0, sizeof *description);
  std::strcpy(description->name, "CUDA kernels on the processor");
}

constexpr forge::Backend device = {
    .device = "cuda",
    .kernels = &forge::cuda::table,
    .memory_limit = memory_limit,
    .allocate = allocate,
    .release = release,
    .queue = queue,
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

}  // namespace

const forge::Backend& backend() { return device; }

void set_descending(bool last_thread_first) { descending = last_thread_first; }

}  // namespace emulation

namespace forge::cuda {

void* workspace() {
  static void* memory = std::malloc(static_cast<size_t>(workspace_bytes));
  return memory;
}
Faults* faults() { return &emulation::device_faults; }
void write(void* to, const void* from, int64_t bytes) { emulation::copy_in(to, from, bytes); }
void read_back(void* to, const void* from, int64_t bytes) { emulation::copy_out(to, from, bytes); }
bool library_gemm(const Gemm&) { return false; }

// Large bf16 products are a library's here too, in plain loops, so that what it is given is tested.
bool takes_library_gemm_bf16(const Gemm&) { return true; }
bool library_gemm_bf16(const Gemm& g, void* scratch) {
  emulation::run("library", g.batch, 1, 0, [g, scratch] {
    const int64_t product = emulation::block_index.x;
    const int64_t lda = stored_a(g).rounded_ld(), ldb = stored_b(g).rounded_ld();
    const uint16_t* const a = static_cast<const uint16_t*>(scratch) + product * stored_a(g).rows * lda;
    const uint16_t* const b = rounded_b(g, scratch) + product * stored_b(g).rows * ldb;
    for (int64_t i = 0; i < g.m; ++i) {
      std::vector<float> sums(static_cast<size_t>(g.n));
      for (int64_t l = 0; l < g.k; ++l) {
        const float left = emulation::half_of(a[g.trans_a ? l * lda + i : i * lda + l], 0);
        const int64_t from = g.trans_b ? l : l * ldb, step = g.trans_b ? ldb : 1;
        for (int64_t j = 0; j < g.n; ++j) sums[static_cast<size_t>(j)] += left * emulation::half_of(b[from + j * step], 0);
      }
      float* const to = g.c + product * g.stride_c + i * g.ldc;
      for (int64_t j = 0; j < g.n; ++j) {
        to[j] = g.beta == 0.0f ? sums[static_cast<size_t>(j)] : sums[static_cast<size_t>(j)] + g.beta * to[j];
      }
    }
  });
  return true;
}

}  // namespace forge::cuda
