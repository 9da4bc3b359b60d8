#include "core/kernels.h"
#include "cpu/half.h"

/**
 * Block formats of GGUF, byte for byte as ggml's reference quantisers (ggml-quants.c) and gguf-py. d is the half that
 * scales a block; codes round half away from zero. Compiled without contraction.
 */
namespace forge::FORGE_ISA {
namespace {

/** Largest magnitude of `n` finite values: bits of positive numbers have the order of the numbers. */
float absmax(const float* x, int n) {
  int32_t top = 0;
  for (int i = 0; i < n; ++i) {
    int32_t bits;
    memcpy(&bits, x + i, 4);
    bits &= 0x7fffffff;
    top = bits > top ? bits : top;
  }
  float magnitude;
  memcpy(&magnitude, &top, 4);
  return magnitude;
}

void put_half(uint8_t* to, float value) {
  const uint16_t half = to_half(value);
  memcpy(to, &half, 2);
}

float get_half(const uint8_t* from) {
  uint16_t half;
  memcpy(&half, from, 2);
  return from_half(half);
}

void encode_f16(const float* x, uint8_t* y, int64_t n) {
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const vh half = to_half(load(x + i));
    memcpy(y + 2 * i, &half, sizeof half);
  }
  for (; i < n; ++i) put_half(y + 2 * i, x[i]);
}

void decode_f16(const uint8_t* x, float* y, int64_t n) {
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    vh half;
    memcpy(&half, x + 2 * i, sizeof half);
    store(y + i, from_half(half));
  }
  for (; i < n; ++i) y[i] = get_half(x + 2 * i);
}

/** d, then 32 int8: x ≈ d·q with d = absmax / 127. */
void encode_q8_0(const float* x, uint8_t* y) {
  const float d = absmax(x, 32) / 127, inverse = d != 0 ? 1 / d : 0;
  put_half(y, d);
  for (int i = 0; i < 32; ++i) {
    const float v = x[i] * inverse, magnitude = __builtin_fabsf(v);
    int32_t whole = static_cast<int32_t>(magnitude);
    whole += magnitude - static_cast<float>(whole) >= 0.5f;
    y[2 + i] = static_cast<uint8_t>(v < 0 ? -whole : whole);
  }
}

void decode_q8_0(const uint8_t* x, float* y) {
  const float d = get_half(x);
  for (int i = 0; i < 32; ++i) y[i] = d * static_cast<float>(static_cast<int8_t>(x[2 + i]));
}

/** Codes 0, 1, 2 for −d, 0, d of one block of 256 whose absmax is d. */
float ternary_codes_of(const float* x, uint8_t* codes) {
  const float d = absmax(x, 256), inverse = d != 0 ? 1 / d : 0;
  for (int i = 0; i < 256; ++i) {
    const float v = x[i] * inverse;
    codes[i] = static_cast<uint8_t>(1 + (v >= 0.5f) - (v <= -0.5f));
  }
  return d;
}

/** Runs of TQ1_0: `count` bytes, byte b holding elements first + b + count·n for n < trits. */
struct TritRun {
  int byte, count, first, trits;
};
constexpr TritRun trit_runs[] = {{0, 32, 0, 5}, {32, 16, 160, 5}, {48, 4, 240, 4}};

/**
 * 48 bytes of five trits, 4 of four, d. A byte is ⌈q·256/243⌉ of q = Σ tritₙ·3^(4−n), so that multiplying by three
 * carries the next trit out on top.
 */
void encode_tq1_0(const float* x, uint8_t* y) {
  uint8_t codes[256];
  put_half(y + 52, ternary_codes_of(x, codes));
  for (const TritRun& run : trit_runs) {
    for (int b = 0; b < run.count; ++b) {
      int q = 0;
      for (int n = 0; n < 5; ++n) q = 3 * q + (n < run.trits ? codes[run.first + b + run.count * n] : 0);
      y[run.byte + b] = static_cast<uint8_t>((q * 256 + 242) / 243);
    }
  }
}

void decode_tq1_0(const uint8_t* x, float* y) {
  const float d = get_half(x + 52);
  for (const TritRun& run : trit_runs) {
    for (int n = 0, power = 1; n < run.trits; ++n, power *= 3) {
      for (int b = 0; b < run.count; ++b) {
        const int digit = static_cast<uint8_t>(x[run.byte + b] * power) * 3 >> 8;
        y[run.first + b + run.count * n] = static_cast<float>(digit - 1) * d;
      }
    }
  }
}

/** 64 bytes of four codes, d; element n: byte 32·⌊n/128⌋ + n mod 32, bits 2·⌊(n mod 128)/32⌋. */
void encode_tq2_0(const float* x, uint8_t* y) {
  uint8_t codes[256];
  put_half(y + 64, ternary_codes_of(x, codes));
  for (int half = 0; half < 2; ++half) {
    const uint8_t* c = codes + 128 * half;
    for (int b = 0; b < 32; ++b) {
      y[32 * half + b] = static_cast<uint8_t>(c[b] | c[b + 32] << 2 | c[b + 64] << 4 | c[b + 96] << 6);
    }
  }
}

void decode_tq2_0(const uint8_t* x, float* y) {
  const float d = get_half(x + 64);
  for (int half = 0; half < 2; ++half) {
    for (int quarter = 0; quarter < 4; ++quarter) {
      for (int b = 0; b < 32; ++b) {
        y[128 * half + 32 * quarter + b] = static_cast<float>((x[32 * half + b] >> (2 * quarter) & 3) - 1) * d;
      }
    }
  }
}

/** f(x, y) for every block, in parallel. */
template <class F>
void for_each_block(BlockFormat format, int64_t blocks, const F& f) {
  const BlockSize size = block_sizes[static_cast<int>(format)];
  parallel_ranges(blocks, grain / size.elements, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) f(i * size.elements, i * size.bytes);
  });
}

}  // namespace

void encode_blocks(BlockFormat format, const float* x, uint8_t* y, int64_t blocks) {
  switch (format) {
    case BlockFormat::f16:
      return parallel_ranges(blocks, grain,
                             [&](int64_t begin, int64_t end) { encode_f16(x + begin, y + 2 * begin, end - begin); });
    case BlockFormat::q8_0:
      return for_each_block(format, blocks, [&](int64_t at, int64_t byte) { encode_q8_0(x + at, y + byte); });
    case BlockFormat::tq1_0:
      return for_each_block(format, blocks, [&](int64_t at, int64_t byte) { encode_tq1_0(x + at, y + byte); });
    case BlockFormat::tq2_0:
      return for_each_block(format, blocks, [&](int64_t at, int64_t byte) { encode_tq2_0(x + at, y + byte); });
  }
}

void decode_blocks(BlockFormat format, const uint8_t* x, float* y, int64_t blocks) {
  switch (format) {
    case BlockFormat::f16:
      return parallel_ranges(blocks, grain,
                             [&](int64_t begin, int64_t end) { decode_f16(x + 2 * begin, y + begin, end - begin); });
    case BlockFormat::q8_0:
      return for_each_block(format, blocks, [&](int64_t at, int64_t byte) { decode_q8_0(x + byte, y + at); });
    case BlockFormat::tq1_0:
      return for_each_block(format, blocks, [&](int64_t at, int64_t byte) { decode_tq1_0(x + byte, y + at); });
    case BlockFormat::tq2_0:
      return for_each_block(format, blocks, [&](int64_t at, int64_t byte) { decode_tq2_0(x + byte, y + at); });
  }
}

}  // namespace forge::FORGE_ISA
