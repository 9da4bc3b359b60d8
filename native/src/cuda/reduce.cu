#include "cuda/block.h"
#include "cuda/order.h"
#include "cuda/table.h"

/**
 * Reductions in f64 (a data-centre GPU has the units, and memory is the limit): pieces of the reduced axis, each summed
 * by one block, then the pieces in order. How many pieces there are depends on the shape only.
 */
namespace forge::cuda {
namespace {

constexpr int threads = 256;
constexpr int columns = 32;  // of a block that reduces columns; threads/columns rows at a time

/** Reduction::max keeps NaN. */
__device__ inline double combine(bool maximum, double a, double b) {
  if (!maximum) return a + b;
  return a != a ? a : (b != b ? b : (a >= b ? a : b));
}

__device__ inline double start(bool maximum) { return maximum ? -static_cast<double>(INFINITY) : 0.0; }

/** partial[outer, piece] of x[outer, axis]. */
__global__ void reduce_rows(bool maximum, const float* x, double* partial, int64_t axis, int64_t pieces, int64_t length) {
  __shared__ double shared[threads];
  const int64_t row = blockIdx.x / pieces, piece = blockIdx.x % pieces;
  const int64_t end = min64(axis, (piece + 1) * length);
  double value = start(maximum);
  for (int64_t i = piece * length + threadIdx.x; i < end; i += threads) {
    value = combine(maximum, value, static_cast<double>(x[row * axis + i]));
  }
  shared[threadIdx.x] = value;
  for (unsigned half = threads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) {
      shared[threadIdx.x] = combine(maximum, shared[threadIdx.x], shared[threadIdx.x + half]);
    }
  }
  if (threadIdx.x == 0) partial[blockIdx.x] = shared[0];
}

/** partial[outer, piece, inner] of x[outer, axis, inner]. */
__global__ void reduce_columns(bool maximum, const float* x, double* partial, int64_t axis, int64_t inner,
                               int64_t pieces, int64_t length) {
  __shared__ double shared[threads];
  const int64_t groups = ceil_div(inner, columns);
  const int64_t column = blockIdx.x % groups * columns + threadIdx.x % columns;
  const int64_t piece = blockIdx.x / groups % pieces, o = blockIdx.x / groups / pieces;
  const int64_t end = min64(axis, (piece + 1) * length);
  double value = start(maximum);
  if (column < inner) {
    for (int64_t i = piece * length + threadIdx.x / columns; i < end; i += threads / columns) {
      value = combine(maximum, value, static_cast<double>(x[(o * axis + i) * inner + column]));
    }
  }
  shared[threadIdx.x] = value;
  __syncthreads();
  if (threadIdx.x >= columns || column >= inner) return;
  for (unsigned row = 1; row < threads / columns; ++row) {
    value = combine(maximum, value, shared[row * columns + threadIdx.x]);
  }
  partial[(o * pieces + piece) * inner + column] = value;
}

enum class Quantity : uint8_t { squares, magnitudes, not_finite };

/** f64 sums of a quantity over the elements, one per block; added to what is there unless first. */
__global__ void accumulate(Quantity quantity, const float* x, int64_t n, bool first, double* partial) {
  double value = 0;
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += step) {
    if (quantity == Quantity::squares) value += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    else if (quantity == Quantity::magnitudes) value += static_cast<double>(fabsf(x[i]));
    else value += isfinite(x[i]) ? 0.0 : 1.0;
  }
  // A block beyond the end has nothing to sum.
  const double total = static_cast<int64_t>(blockIdx.x) * blockDim.x < n ? block_sum(value) : 0.0;
  if (threadIdx.x == 0) partial[blockIdx.x] = (first ? 0.0 : partial[blockIdx.x]) + total;
}

__global__ void products(const float* a, const float* b, int64_t n, double* partial) {
  double value = 0;
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += step) {
    value += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  }
  const double total = static_cast<int64_t>(blockIdx.x) * blockDim.x < n ? block_sum(value) : 0.0;
  if (threadIdx.x == 0) partial[blockIdx.x] = total;
}

/** Index of the first maximum of a row; a NaN counts as larger than anything. */
__global__ void find_maximum(const float* x, int32_t* y, int64_t n) {
  __shared__ float best[threads];
  __shared__ int64_t at[threads];
  const float* row = x + blockIdx.x * n;
  float value = row[0];
  int64_t position = 0;
  for (int64_t i = threadIdx.x; i < n; i += threads) {
    if (precedes(row[i], i, value, position)) {
      value = row[i];
      position = i;
    }
  }
  best[threadIdx.x] = value;
  at[threadIdx.x] = position;
  for (unsigned half = threads / 2; half > 0; half /= 2) {
    __syncthreads();
    const unsigned other = threadIdx.x + half;
    if (threadIdx.x < half && precedes(best[other], at[other], best[threadIdx.x], at[threadIdx.x])) {
      best[threadIdx.x] = best[other];
      at[threadIdx.x] = at[other];
    }
  }
  if (threadIdx.x == 0) y[blockIdx.x] = static_cast<int32_t>(at[0]);
}

/** Blocks of the kernels that reduce whole arrays: one partial sum each. */
constexpr int64_t array_blocks = 256;

/** Σ of array_blocks partial sums, in order. */
double total_of(const double* partial) {
  double values[array_blocks], total = 0;
  read_back(values, partial, sizeof values);
  for (const double value : values) total += value;
  return total;
}

/** One partial sum a block over all arrays; zeros over none. */
void accumulate_partial(Quantity quantity, const float* const* xs, const int64_t* n, int64_t count, double* partial) {
  for (int64_t i = 0; i < max64(count, 1); ++i) {
    launch("accumulate", accumulate, array_blocks, threads, 0, quantity, count == 0 ? nullptr : xs[i],
           count == 0 ? int64_t{0} : n[i], i == 0, partial);
  }
}

double accumulate_all(Quantity quantity, const float* const* xs, const int64_t* n, int64_t count) {
  auto* partial = static_cast<double*>(workspace());
  if (count == 0) return 0;
  accumulate_partial(quantity, xs, n, count, partial);
  return total_of(partial);
}

/** How many pieces the reduced axis is cut into: enough blocks to fill a GPU, while their sums fit the workspace. */
int64_t pieces_of(int64_t blocks, int64_t axis, int64_t results) {
  constexpr int64_t wanted_blocks = 512, shortest = 1024;
  const int64_t room = workspace_bytes / static_cast<int64_t>(sizeof(double)) / results;
  return max64(1, min64(room, min64(ceil_div(wanted_blocks, blocks), axis / shortest)));
}

/** partial[results/inner, pieces, inner] -> y. */
void finish(Reduction op, const double* partial, float* y, int64_t results, int64_t inner, int64_t pieces, int64_t axis) {
  const bool maximum = op == Reduction::max, mean = op == Reduction::mean;
  for_each("reduce", results, [=] __device__(int64_t i) {
    double value = start(maximum);
    for (int64_t piece = 0; piece < pieces; ++piece) {
      value = combine(maximum, value, partial[(i / inner * pieces + piece) * inner + i % inner]);
    }
    const float result = static_cast<float>(value);
    y[i] = mean ? result / static_cast<float>(axis) : result;
  });
}

/** Of partial sums of squares, and of counts of elements that are not finite. */
__global__ void finish_clip(const double* squares, const double* not_finite, double most, double* clip) {
  double total = 0, bad = 0;
  for (int64_t i = 0; i < array_blocks; ++i) {
    total += squares[i];
    bad += not_finite[i];
  }
  const double norm = sqrt(total);
  clip[0] = norm;
  // 1e-6 as in torch.nn.utils.clip_grad_norm_
  clip[1] = isfinite(norm) && bad == 0.0 ? fmin(1.0, most / (norm + 1e-6)) : static_cast<double>(NAN);
}

__global__ void weigh(const int32_t* targets, int64_t n, int32_t ignore, double* weight) {
  int64_t count = 0;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) count += targets[i] != ignore;
  count = block_sum(count);
  if (threadIdx.x == 0) *weight = 1.0 / static_cast<double>(count);
}

}  // namespace

void clip_scale(const float* const* xs, const int64_t* n, int64_t count, double most, const float* const* guards,
                const int64_t* guard_n, int64_t guard_count, double* clip) {
  auto* partial = static_cast<double*>(workspace());
  accumulate_partial(Quantity::squares, xs, n, count, partial);
  accumulate_partial(Quantity::not_finite, guards, guard_n, guard_count, partial + array_blocks);
  launch("clip_scale", finish_clip, 1, 1, 0, partial, partial + array_blocks, most, clip);
}

void target_weight(const int32_t* targets, int64_t n, int32_t ignore, double* weight) {
  launch("target_weight", weigh, 1, threads, 0, targets, n, ignore, weight);
}

void scale_by(float* x, int64_t n, const double* weight) {
  for_each("scale_by", n, [=] __device__(int64_t i) { x[i] *= static_cast<float>(*weight); });
}

void expand_scalar(const float* x, double factor, const double* weight, float* y, int64_t n) {
  for_each("expand_scalar", n, [=] __device__(int64_t i) {
    y[i] = static_cast<float>(factor * (weight == nullptr ? 1.0 : *weight) * static_cast<double>(*x));
  });
}

void reduce(Reduction op, const float* x, float* y, int64_t outer, int64_t axis, int64_t inner) {
  const bool maximum = op == Reduction::max;
  // Slabs of `outer` whose partial results fit the workspace.
  const int64_t fits = workspace_bytes / static_cast<int64_t>(sizeof(double));
  const int64_t width = min64(inner, fits);
  if (outer == 0 || inner == 0) return;
  auto* partial = static_cast<double*>(workspace());
  if (width < inner) {  // one row of results is larger than the workspace: a thread per result
    return for_each("reduce", outer * inner, [=] __device__(int64_t i) {
      double value = start(maximum);
      const float* from = x + i / inner * axis * inner + i % inner;
      for (int64_t j = 0; j < axis; ++j) value = combine(maximum, value, static_cast<double>(from[j * inner]));
      const float result = static_cast<float>(value);
      y[i] = op == Reduction::mean ? result / static_cast<float>(axis) : result;
    });
  }
  const int64_t slab = max64(1, fits / inner), groups = inner == 1 ? 1 : ceil_div(inner, columns);
  for (int64_t first = 0; first < outer; first += slab) {
    const int64_t rows = min64(slab, outer - first);
    const int64_t pieces = pieces_of(rows * groups, axis, rows * inner), length = ceil_div(axis, pieces);
    const float* from = x + first * axis * inner;
    if (inner == 1) {
      launch("reduce", reduce_rows, rows * pieces, threads, 0, maximum, from, partial, axis, pieces, length);
    } else {
      launch("reduce", reduce_columns, rows * pieces * groups, threads, 0, maximum, from, partial, axis, inner, pieces,
             length);
    }
    finish(op, partial, y + first * inner, rows * inner, inner, pieces, axis);
  }
}

void argmax(const float* x, int32_t* y, int64_t rows, int64_t n) {
  launch("argmax", find_maximum, rows, threads, 0, x, y, n);
}

double dot(const float* a, const float* b, int64_t n) {
  auto* partial = static_cast<double*>(workspace());
  launch("dot", products, array_blocks, threads, 0, a, b, n, partial);
  return total_of(partial);
}

double sum_squares(const float* const* xs, const int64_t* n, int64_t count) {
  return accumulate_all(Quantity::squares, xs, n, count);
}

double abs_sum(const float* x, int64_t n) { return accumulate_all(Quantity::magnitudes, &x, &n, 1); }

bool is_finite(const float* const* xs, const int64_t* n, int64_t count) {
  return accumulate_all(Quantity::not_finite, xs, n, count) == 0.0;
}

}  // namespace forge::cuda
