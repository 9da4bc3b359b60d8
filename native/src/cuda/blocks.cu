#include "cuda/block.h"
#include "cuda/exact.h"
#include "cuda/half.h"
#include "cuda/table.h"

/**
 * Block formats of GGUF, byte for byte as ggml's reference quantisers (ggml-quants.c) and gguf-py. d is the half that
 * scales a block; codes round half away from zero.
 */
namespace forge::cuda {
namespace {

__device__ inline void put_half(uint8_t* to, float value) {
  const uint16_t half = to_half(value);
  memcpy(to, &half, 2);
}

__device__ inline float get_half(const uint8_t* from) {
  uint16_t half;
  memcpy(&half, from, 2);
  return from_half(half);
}

__device__ inline float inverse_of(float d) { return d != 0.0f ? 1.0f / d : 0.0f; }

/** A warp per block: d, then 32 int8, x ≈ d·q with d = absmax / 127. */
__global__ void encode_q8_0(const float* x, uint8_t* y) {
  constexpr BlockSize size = block_sizes[static_cast<int>(BlockFormat::q8_0)];
  const float value = x[blockIdx.x * size.elements + threadIdx.x];
  const float d = warp_max(fabsf(value)) / 127.0f, v = times(value, inverse_of(d)), magnitude = fabsf(v);
  uint8_t* to = y + blockIdx.x * size.bytes;
  auto whole = static_cast<int32_t>(magnitude);
  whole += magnitude - static_cast<float>(whole) >= 0.5f;
  to[2 + threadIdx.x] = static_cast<uint8_t>(v < 0.0f ? -whole : whole);
  if (threadIdx.x == 0) put_half(to, d);
}

constexpr int ternary_elements = 256;

/** Codes 0, 1, 2 for −d, 0, d of a block of 256 whose absmax is d, for its 256 threads. */
__device__ inline float ternary_codes_of(const float* x, uint8_t* codes) {
  const float value = x[threadIdx.x], d = block_max(fabsf(value)), v = times(value, inverse_of(d));
  codes[threadIdx.x] = static_cast<uint8_t>(1 + (v >= 0.5f) - (v <= -0.5f));
  __syncthreads();
  return d;
}

/** Runs of TQ1_0: `count` bytes, byte b holding elements first + b + count·n for n < trits. */
struct TritRun {
  int byte, count, first, trits;
};
__device__ inline TritRun run_of_byte(int byte) {
  if (byte < 32) return {0, 32, 0, 5};
  return byte < 48 ? TritRun{32, 16, 160, 5} : TritRun{48, 4, 240, 4};
}
__device__ inline TritRun run_of_element(int element) {
  if (element < 160) return {0, 32, 0, 5};
  return element < 240 ? TritRun{32, 16, 160, 5} : TritRun{48, 4, 240, 4};
}

/** 48 bytes of five trits, 4 of four, d. A byte is ⌈q·256/243⌉ of q = Σ tritₙ·3^(4−n). */
__global__ void encode_tq1_0(const float* x, uint8_t* y) {
  __shared__ uint8_t codes[ternary_elements];
  constexpr BlockSize size = block_sizes[static_cast<int>(BlockFormat::tq1_0)];
  const float d = ternary_codes_of(x + blockIdx.x * size.elements, codes);
  uint8_t* to = y + blockIdx.x * size.bytes;
  const int byte = static_cast<int>(threadIdx.x);
  if (byte < 52) {
    const TritRun run = run_of_byte(byte);
    int q = 0;
    for (int n = 0; n < 5; ++n) q = 3 * q + (n < run.trits ? codes[run.first + byte - run.byte + run.count * n] : 0);
    to[byte] = static_cast<uint8_t>((q * 256 + 242) / 243);
  }
  if (byte == 52) put_half(to + 52, d);
}

/** 64 bytes of four codes, d; element n: byte 32·⌊n/128⌋ + n mod 32, bits 2·⌊(n mod 128)/32⌋. */
__global__ void encode_tq2_0(const float* x, uint8_t* y) {
  __shared__ uint8_t codes[ternary_elements];
  constexpr BlockSize size = block_sizes[static_cast<int>(BlockFormat::tq2_0)];
  const float d = ternary_codes_of(x + blockIdx.x * size.elements, codes);
  uint8_t* to = y + blockIdx.x * size.bytes;
  const int byte = static_cast<int>(threadIdx.x);
  if (byte < 64) {
    const uint8_t* c = codes + byte / 32 * 128 + byte % 32;
    to[byte] = static_cast<uint8_t>(c[0] | c[32] << 2 | c[64] << 4 | c[96] << 6);
  }
  if (byte == 64) put_half(to + 64, d);
}

/** Value of element i of a block. */
__device__ inline float decode(BlockFormat format, const uint8_t* x, int i) {
  switch (format) {
    case BlockFormat::f16: return get_half(x);
    case BlockFormat::q8_0: return get_half(x) * static_cast<float>(static_cast<int8_t>(x[2 + i]));
    case BlockFormat::tq1_0: {
      constexpr int powers[] = {1, 3, 9, 27, 81};
      const TritRun run = run_of_element(i);
      const int within = i - run.first;
      const auto shifted = static_cast<uint8_t>(x[run.byte + within % run.count] * powers[within / run.count]);
      return static_cast<float>((shifted * 3 >> 8) - 1) * get_half(x + 52);
    }
    case BlockFormat::tq2_0: {
      const int code = x[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
      return static_cast<float>(code - 1) * get_half(x + 64);
    }
  }
  return 0.0f;
}

}  // namespace

void encode_blocks(BlockFormat format, const float* x, uint8_t* y, int64_t blocks) {
  switch (format) {
    case BlockFormat::f16:
      return for_each("encode_blocks", blocks, [=] __device__(int64_t i) { put_half(y + 2 * i, x[i]); });
    case BlockFormat::q8_0: return launch("encode_blocks", encode_q8_0, blocks, warp_size, 0, x, y);
    case BlockFormat::tq1_0: return launch("encode_blocks", encode_tq1_0, blocks, ternary_elements, 0, x, y);
    case BlockFormat::tq2_0: return launch("encode_blocks", encode_tq2_0, blocks, ternary_elements, 0, x, y);
  }
}

void decode_blocks(BlockFormat format, const uint8_t* x, float* y, int64_t blocks) {
  const BlockSize size = block_sizes[static_cast<int>(format)];
  for_each("decode_blocks", blocks * size.elements, [=] __device__(int64_t i) {
    y[i] = decode(format, x + i / size.elements * size.bytes, static_cast<int>(i % size.elements));
  });
}

}  // namespace forge::cuda
