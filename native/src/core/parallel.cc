#include "core/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <set>
#include <string>
#include <thread>

namespace forge {
namespace {

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// About 20 µs on a 2–3 GHz core: longer than the gap between two ops of a training step, shorter than
// what a sleeping neighbour would notice.
constexpr int spins_before_sleep = 600;

thread_local bool inside_task = false;

/**
 * State of the current job in one word: bit 63..32 epoch, bit 16 open, bit 15..0 threads inside. A worker
 * joins only while the job is open, so the caller never waits for one that was late to wake up.
 */
class Pool {
 public:
  explicit Pool(int threads) : threads_(threads) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  // signals belong to the host's threads
    for (int worker = 1; worker < threads; ++worker) {
      std::thread([this, worker] { serve(worker); }).detach();
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  int threads() const { return threads_; }

  void run(int64_t count, Task task, void* context) {
    std::unique_lock job(job_mutex_, std::try_to_lock);
    if (!job.owns_lock()) return run_alone(count, task, context);
    task_ = task;
    context_ = context;
    count_ = count;
    next_.store(0, std::memory_order_relaxed);
    const uint32_t epoch = epoch_.load(std::memory_order_relaxed) + 1;
    state_.store(uint64_t{epoch} << 32 | open_bit, std::memory_order_release);
    epoch_.store(epoch);
    epoch_.notify_all();
    inside_task = true;
    drain(0);
    inside_task = false;
    state_.fetch_and(~open_bit);
    for (int spin = 0; (state_.load(std::memory_order_acquire) & inside_mask) != 0; ++spin) {
      if (spin < spins_before_sleep) relax();
      else sched_yield();
    }
  }

  static void run_alone(int64_t count, Task task, void* context) {
    for (int64_t index = 0; index < count; ++index) task(context, index, 0);
  }

 private:
  static constexpr uint64_t open_bit = uint64_t{1} << 16;
  static constexpr uint64_t inside_mask = open_bit - 1;

  void drain(int worker) {
    for (;;) {
      const int64_t index = next_.fetch_add(1, std::memory_order_relaxed);
      if (index >= count_) return;
      task_(context_, index, worker);
    }
  }

  void serve(int worker) {
    inside_task = true;
    uint32_t seen = 0;
    for (;;) {
      for (int spin = 0; epoch_.load(std::memory_order_acquire) == seen && spin < spins_before_sleep; ++spin) relax();
      epoch_.wait(seen);
      seen = epoch_.load(std::memory_order_acquire);
      uint64_t state = state_.load(std::memory_order_acquire);
      while ((state & open_bit) != 0) {
        if (!state_.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel)) continue;
        drain(worker);
        state_.fetch_sub(1, std::memory_order_acq_rel);
        break;
      }
    }
  }

  const int threads_;
  std::mutex job_mutex_;
  Task task_ = nullptr;
  void* context_ = nullptr;
  int64_t count_ = 0;
  alignas(64) std::atomic<int64_t> next_{0};
  alignas(64) std::atomic<uint64_t> state_{0};
  alignas(64) std::atomic<uint32_t> epoch_{0};
};

std::mutex start_mutex;
std::atomic<Pool*> pool{nullptr};

int configured_threads() {
  if (const char* text = std::getenv("FORGE_THREADS")) {
    const int threads = std::atoi(text);
    if (threads >= 1 && threads <= 256) return threads;
  }
  return available_cores();
}

Pool& started_pool() {
  Pool* current = pool.load(std::memory_order_acquire);
  if (current == nullptr) {
    start_pool(configured_threads());
    current = pool.load(std::memory_order_acquire);
  }
  return *current;
}

/** Whole cores of a control-group quota, rounded up, or `otherwise`. */
int quota_cores(int otherwise) {
  std::FILE* file = std::fopen("/sys/fs/cgroup/cpu.max", "r");
  if (file == nullptr) return otherwise;
  long long quota = 0, period = 0;
  const int fields = std::fscanf(file, "%lld %lld", &quota, &period);
  std::fclose(file);
  if (fields != 2 || quota <= 0 || period <= 0) return otherwise;
  return static_cast<int>(std::max<long long>(1, (quota + period - 1) / period));
}

}  // namespace

int available_cores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 1;
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    char path[96];
    std::snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    char siblings[256];
    std::snprintf(siblings, sizeof siblings, "cpu%d", cpu);
    if (std::FILE* file = std::fopen(path, "r")) {
      if (std::fscanf(file, "%255s", siblings) != 1) std::snprintf(siblings, sizeof siblings, "cpu%d", cpu);
      std::fclose(file);
    }
    cores.insert(siblings);
  }
  const int found = std::clamp(static_cast<int>(cores.size()), 1, 256);
  return std::min(found, quota_cores(found));
}

bool start_pool(int threads) {
  const std::lock_guard lock(start_mutex);
  if (const Pool* current = pool.load(std::memory_order_acquire)) return current->threads() == threads;
  pool.store(new Pool(threads), std::memory_order_release);  // never destroyed: its threads live as long as the process
  return true;
}

int worker_count() { return started_pool().threads(); }

int planned_worker_count() {
  const Pool* current = pool.load(std::memory_order_acquire);
  return current == nullptr ? configured_threads() : current->threads();
}

void run_parallel(int64_t count, Task task, void* context) {
  if (count <= 0) return;
  if (count == 1 || inside_task) return Pool::run_alone(count, task, context);
  Pool& current = started_pool();
  if (current.threads() == 1) return Pool::run_alone(count, task, context);
  current.run(count, task, context);
}

}  // namespace forge
