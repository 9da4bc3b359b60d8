#pragma once
#include <cstdint>

namespace forge {

/** One piece of a parallel job. `worker` is < worker_count() and unique among the pieces that run at once. */
using Task = void (*)(void* context, int64_t index, int worker);

/**
 * Runs task(context, 0 … count−1) on the pool and the calling thread; returns when all are done. Which
 * thread runs which index depends on timing, so pieces must write disjoint outputs. When another thread
 * uses the pool, or inside a task, all pieces run on the caller. Tasks must not throw.
 */
void run_parallel(int64_t count, Task task, void* context);

/** Threads that may take part in a job, the caller included. Fixed by the first use. */
int worker_count();

/** What worker_count() is, or would be if the pool started now: asking does not start it. */
int planned_worker_count();

/** Sets the number of threads; false when the pool already has another number. */
bool start_pool(int threads);

/** Physical cores that this process may use: affinity, hyper-threads counted once, control-group quota. */
int available_cores();

/** run_parallel with a callable f(index, worker). */
template <class F>
void parallel_for(int64_t count, const F& f) {
  run_parallel(
      count, [](void* context, int64_t index, int worker) { (*static_cast<const F*>(context))(index, worker); },
      const_cast<F*>(&f));
}

}  // namespace forge
