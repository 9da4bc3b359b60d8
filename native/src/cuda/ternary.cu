#include "cuda/block.h"
#include "cuda/first.h"
#include "cuda/table.h"

/**
 * Packed ternary weights (layout: cpu/ternary.h) and their products with int8 rows, exact. The 32-bit word r of a chunk
 * holds 16 columns of row r of the panel: masked with 3 << 2i it is four codes of columns 4i … 4i + 3, what dp4a multiplies
 * with four activations. Codes are one too large: Σ code·x − Σ x is the product.
 */
namespace forge::cuda {
namespace {

__host__ __device__ inline int64_t chunks_of(int64_t columns) { return ceil_div(columns, ternary_chunk); }

/** Byte of a packed matrix and shift of its two bits. */
struct Place {
  int64_t byte;
  int shift;
};
__device__ inline Place place_of(int64_t row, int64_t column, int64_t chunks) {
  const int64_t within = column % ternary_chunk, chunk = row / ternary_panel * chunks + column / ternary_chunk;
  return {chunk * ternary_chunk_bytes + 4 * (row % ternary_panel) + within % 4, static_cast<int>(within / 4 * 2)};
}

__global__ void pad_row(const int8_t* codes, int8_t* to, int64_t stride, int32_t* sums, int64_t width) {
  const int64_t row = blockIdx.x;
  int32_t total = 0;
  for (int64_t i = threadIdx.x; i < stride; i += blockDim.x) {
    const int8_t code = i < width ? codes[row * width + i] : int8_t{0};
    to[row * stride + i] = code;
    total += code;
  }
  total = block_sum(total);
  if (threadIdx.x == 0) sums[row] = total;
}

constexpr int product_threads = 128;
/** Rows of x that a block multiplies with what it reads of the weights. */
constexpr int most_rows = 4;

/** Four bytes; a view may begin anywhere. */
template <bool Aligned>
__device__ inline uint32_t load_word(const uint8_t* from) {
  if (Aligned) return *reinterpret_cast<const uint32_t*>(from);
  return from[0] | from[1] << 8 | from[2] << 16 | static_cast<uint32_t>(from[3]) << 24;
}

/** A block owns one panel of 16 weight rows and Rows rows of x. Half a warp reads one chunk, a lane one row of it. */
template <int Rows, bool Aligned>
__global__ void multiply_panel(TernaryMatmul p, int64_t first_row, int64_t groups) {
  constexpr int lanes_of_chunk = static_cast<int>(ternary_panel), parts = product_threads / lanes_of_chunk;
  __shared__ int32_t partial[parts][Rows][lanes_of_chunk];
  const int64_t panel = blockIdx.x / groups, row0 = first_row + blockIdx.x % groups * Rows, chunks = chunks_of(p.k);
  const int lane = static_cast<int>(threadIdx.x) % lanes_of_chunk, part = static_cast<int>(threadIdx.x) / lanes_of_chunk;
  const uint8_t* weights = p.packed + panel * chunks * ternary_chunk_bytes + 4 * lane;
  int32_t sums[Rows] = {};
  for (int64_t chunk = part; chunk < chunks; chunk += parts) {
    const uint32_t word = load_word<Aligned>(weights + chunk * ternary_chunk_bytes);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const auto codes = static_cast<int32_t>(word >> (2 * i) & 0x03030303u);
#pragma unroll
      for (int r = 0; r < Rows; ++r) {
        // Rows of x begin at whole words.
        const auto* four = reinterpret_cast<const int32_t*>(p.x + (row0 + r) * p.stride + chunk * ternary_chunk + 4 * i);
        sums[r] = __dp4a(codes, *four, sums[r]);
      }
    }
  }
  for (int r = 0; r < Rows; ++r) partial[part][r][lane] = sums[r];
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < Rows * lanes_of_chunk; i += product_threads) {
    const int64_t row = row0 + i / lanes_of_chunk, column = panel * ternary_panel + i % lanes_of_chunk;
    if (column >= p.n) continue;
    int32_t exact = -p.sums[row];
    for (const auto& of_part : partial) exact += of_part[i / lanes_of_chunk][i % lanes_of_chunk];
    const int64_t at = row * p.n + column;
    if (p.y == nullptr) p.accumulators[at] = exact;
    else p.y[at] = static_cast<float>(exact) * (p.x_steps[row] * p.w_steps[p.has_step_per_column ? column : 0]);
  }
}

template <bool Aligned>
void multiply(const TernaryMatmul& p) {
  const int64_t panels = ceil_div(p.n, ternary_panel), groups = p.m / most_rows, rest = p.m % most_rows;
  launch("ternary_matmul", multiply_panel<most_rows, Aligned>, panels * groups, product_threads, 0, p, int64_t{0}, groups);
  launch("ternary_matmul", multiply_panel<1, Aligned>, panels * rest, product_threads, 0, p, p.m - rest, rest);
}

}  // namespace

int64_t first_bad_code(const uint8_t* codes, int64_t n, bool packed) {
  return first_where("first_bad_code", n, [=] __device__(int64_t i) {
    const int code = codes[i];
    return packed ? (code & code >> 1 & 0x55) != 0 : code != 0 && code != 1 && code != 0xff;
  });
}

void ternary_pack(const int8_t* codes, uint8_t* packed, int64_t rows, int64_t columns) {
  const int64_t chunks = chunks_of(columns);
  for_each("ternary_pack", ceil_div(rows, ternary_panel) * chunks * ternary_chunk_bytes, [=] __device__(int64_t i) {
    const int64_t chunk = i / ternary_chunk_bytes, within = i % ternary_chunk_bytes;
    const int64_t row = chunk / chunks * ternary_panel + within / 4, first = chunk % chunks * ternary_chunk + within % 4;
    int byte = 0;
    for (int n = 0; n < 4; ++n) {
      const int64_t column = first + 4 * n;
      byte |= (1 + (row < rows && column < columns ? codes[row * columns + column] : 0)) << (2 * n);
    }
    packed[i] = static_cast<uint8_t>(byte);
  });
}

void ternary_unpack(const uint8_t* packed, int8_t* codes, int64_t rows, int64_t columns) {
  const int64_t chunks = chunks_of(columns);
  for_each("ternary_unpack", rows * columns, [=] __device__(int64_t i) {
    const Place place = place_of(i / columns, i % columns, chunks);
    codes[i] = static_cast<int8_t>((packed[place.byte] >> place.shift & 3) - 1);
  });
}

void pad_codes(const int8_t* codes, int8_t* to, int64_t stride, int32_t* sums, int64_t rows, int64_t width) {
  launch("pad_codes", pad_row, rows, threads_for_row(stride), 0, codes, to, stride, sums, width);
}

void ternary_matmul(const TernaryMatmul& p) {
  if (reinterpret_cast<uint64_t>(p.packed) % 4 == 0) multiply<true>(p);
  else multiply<false>(p);
}

}  // namespace forge::cuda
