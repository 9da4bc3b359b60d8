#pragma once
#include "core/kernels.h"

/** The merge kernels of the CUDA backend, and what they need beyond cuda/device.h. */
namespace forge::cuda {

void merge_sum(const MergeSources&, const double*, float*);
void merge_gram(const MergeSources&, double*, double*);
void merge_task_vectors(const MergeSources&, const MergeKeep*, const MergeMix&, float*);
void merge_nearswap(const float*, const float*, double, float*, int64_t);

/** Host memory to device memory, before what this thread starts next; `from` may be changed afterwards. */
void write(void* to, const void* from, int64_t bytes);

}  // namespace forge::cuda
