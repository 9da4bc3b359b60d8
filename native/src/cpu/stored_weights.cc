#include "core/kernels.h"
#include "cpu/half.h"

/** The types that files keep weights in, to f32 and back; one thread, so that a caller can do it to what it just read. */
namespace forge::FORGE_ISA {
namespace {

typedef uint32_t vw __attribute__((vector_size(lanes * 4)));

vf from_bf16(vh x) { return (vf)(__builtin_convertvector(x, vw) << 16); }

vh to_bf16(vf x) {
  const vw bits = (vw)x, magnitude = bits & 0x7fffffffu;
  const vw nearest = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return __builtin_convertvector(magnitude > 0x7f800000u ? (bits >> 16) | 0x40u : nearest, vh);
}

template <class F>
void widen_by(const char* from, float* y, int64_t n, const F& f) {
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    vh stored;
    memcpy(&stored, from + 2 * i, sizeof stored);
    store(y + i, f(stored));
  }
  if (i == n) return;
  vh stored = {};
  memcpy(&stored, from + 2 * i, static_cast<size_t>(2 * (n - i)));
  store_n(y + i, f(stored), n - i);
}

template <class F>
void narrow_by(const float* x, char* to, int64_t n, const F& f) {
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const vh stored = f(load(x + i));
    memcpy(to + 2 * i, &stored, sizeof stored);
  }
  if (i == n) return;
  const vh stored = f(load_n(x + i, n - i));
  memcpy(to + 2 * i, &stored, static_cast<size_t>(2 * (n - i)));
}

}  // namespace

void widen_weights(StoredWeights type, const void* from, float* y, int64_t n) {
  const char* bytes = static_cast<const char*>(from);
  switch (type) {
    case StoredWeights::f32: memcpy(y, from, static_cast<size_t>(4 * n)); return;
    case StoredWeights::f16: return widen_by(bytes, y, n, [](vh x) { return from_half(x); });
    case StoredWeights::bf16: return widen_by(bytes, y, n, from_bf16);
  }
}

void narrow_weights(StoredWeights type, const float* x, void* to, int64_t n) {
  char* bytes = static_cast<char*>(to);
  switch (type) {
    case StoredWeights::f32: memcpy(to, x, static_cast<size_t>(4 * n)); return;
    case StoredWeights::f16: return narrow_by(x, bytes, n, [](vf v) { return to_half(v); });
    case StoredWeights::bf16: return narrow_by(x, bytes, n, to_bf16);
  }
}

}  // namespace forge::FORGE_ISA
