#pragma once
/**
 * What the merge kernels share: half vectors of f32 that widen to one vector of f64, streaming over several tensors
 * at once, and the rules for which entries stay. Files named merge* are compiled without contraction.
 */
#include "core/kernels.h"
#include "cpu/simd.h"

namespace forge::FORGE_ISA {

constexpr int half = lanes / 2;

typedef float hf __attribute__((vector_size(half * 4), may_alias));
typedef int32_t hi __attribute__((vector_size(half * 4), may_alias));
typedef double vd __attribute__((vector_size(half * 8), may_alias));
typedef int64_t vl __attribute__((vector_size(half * 8), may_alias));
typedef float hf_any __attribute__((vector_size(half * 4), aligned(4), may_alias));

static inline vd widen(hf v) { return __builtin_convertvector(v, vd); }
static inline hf narrow(vd v) { return __builtin_convertvector(v, hf); }
static inline hf splat_h(float s) {
  hf v;
  for (int i = 0; i < half; ++i) v[i] = s;
  return v;
}
static inline vd splat_d(double s) {
  vd v;
  for (int i = 0; i < half; ++i) v[i] = s;
  return v;
}
static inline hi iota_h() {
  hi v;
  for (int i = 0; i < half; ++i) v[i] = i;
  return v;
}
static inline hi magnitude_bits(hf v) { return (hi)v & 0x7fffffff; }
/** v where the mask is set, 0 elsewhere. */
static inline vd masked(vl mask, vd v) { return (vd)(mask & (vl)v); }
static inline hf masked(hi mask, hf v) { return (hf)(mask & (hi)v); }

/** Elements that reads are announced ahead of: hardware gives up prefetching at every page, and with many streams. */
constexpr int64_t ahead = 1024;

/** One half vector of a walk over several tensors. */
struct WholeHalf {
  int64_t at;
  bool streams;
  hf get(const float* p) const {
    __builtin_prefetch(p + at + ahead);
    return *reinterpret_cast<const hf_any*>(p + at);
  }
  /** To a 64-byte aligned tensor; past the caches when it is larger than they are. */
  void put(float* p, hf v) const {
#if defined(__AVX512F__)
    if (streams) return _mm256_stream_ps(p + at, (__m256)v);
#elif defined(__AVX2__)
    if (streams) return _mm_stream_ps(p + at, (__m128)v);
#endif
    *reinterpret_cast<hf_any*>(p + at) = v;
  }
};
/** The last elements of a walk; what is read after them is 0. */
struct PartHalf {
  int64_t at, count;
  hf get(const float* p) const {
    float padded[half] = {};
    for (int64_t i = 0; i < count; ++i) padded[i] = p[at + i];
    return *reinterpret_cast<hf_any*>(padded);
  }
  void put(float* p, hf v) const {
    for (int64_t i = 0; i < count; ++i) p[at + i] = v[i];
  }
};

/** Results from this many elements on go past the caches: 4 MiB, more than the share of a core. */
constexpr int64_t streamed_count = int64_t{1} << 20;

static inline void finish_streaming() {
#if defined(__AVX2__)
  _mm_sfence();
#endif
}

/** f(half vector) over begin..end of tensors of n elements. */
template <class F>
static inline void walk_range(int64_t begin, int64_t end, bool streams, const F& f) {
  int64_t i = begin;
  for (; i + half <= end; i += half) f(WholeHalf{i, streams});
  if (i < end) f(PartHalf{i, end - i});
}

/** f(half vector) over all n elements, in parallel. */
template <class F>
static inline void walk(int64_t n, const F& f) {
  const bool streams = n >= streamed_count;
  parallel_ranges(n, grain, [&](int64_t begin, int64_t end) {
    walk_range(begin, end, streams, f);
    if (streams) finish_streaming();
  });
}

/** Elements of a tensor that several sums are taken of while they are in L1. */
constexpr int64_t sum_block = 512;

/** Σ f(half vector) over begin..end in 16 running sums, whatever the width of vectors: the same bytes on all. */
template <class F>
static inline double fixed_sum(int64_t begin, int64_t end, const F& f) {
  constexpr int running = 16, vectors = running / half;
  vd sums[vectors] = {};
  int64_t i = begin;
  for (; i + running <= end; i += running) {
    for (int v = 0; v < vectors; ++v) sums[v] += f(WholeHalf{i + v * half, false});
  }
  for (int v = 0; i < end; ++v, i += half) {
    if (i + half <= end) sums[v] += f(WholeHalf{i, false});
    else sums[v] += f(PartHalf{i, end - i});
  }
  double total = 0;
  for (int v = 0; v < vectors; ++v) {
    for (int lane = 0; lane < half; ++lane) total += sums[v][lane];
  }
  return total;
}

/** f(begin, end) over blocks small enough for L1. */
template <class F>
static inline void in_blocks(int64_t begin, int64_t end, const F& f) {
  for (int64_t block = begin; block < end; block += sum_block) f(block, min64(end, block + sum_block));
}

/** sums[k] = Σ over chunks of what part(begin, end, its own sums) leaves there; partial: chunks·slots. */
template <class F>
static inline void chunked_sums(int64_t n, int64_t slots, double* sums, double* partial, const F& part) {
  const int64_t chunks = merge_chunks(n);
  parallel_for(chunks, [&](int64_t chunk, int) {
    double* mine = partial + chunk * slots;
    for (int64_t k = 0; k < slots; ++k) mine[k] = 0;
    part(chunk * merge_chunk, min64(n, (chunk + 1) * merge_chunk), mine);
  });
  for (int64_t k = 0; k < slots; ++k) sums[k] = 0;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    for (int64_t k = 0; k < slots; ++k) sums[k] += partial[chunk * slots + k];
  }
}

/** Whether entries at index `at`.. with these magnitudes are among the largest of a cut. */
static inline hi above(const MergeCut& cut, hi magnitude, int64_t at) {
  const int64_t last = cut.last - at;  // relative: fits an i32 once limited to this vector
  const int32_t limit = static_cast<int32_t>(last < -1 ? -1 : last > half ? half : last);
  return (magnitude > cut.bits) | ((magnitude == cut.bits) & (iota_h() <= limit));
}

/** The entries of δ at index `at`.. that a rule keeps; 0 elsewhere. Not yet scaled. */
template <MergeKeep::Rule R>
static inline hf kept(const MergeKeep& keep, hf delta, int64_t at) {
  if constexpr (R == MergeKeep::Rule::band) {
    const hi magnitude = magnitude_bits(delta);
    return masked(above(keep.inner, magnitude, at) & ~above(keep.outer, magnitude, at), delta);
  } else if constexpr (R == MergeKeep::Rule::bits) {
    if (keep.bits == nullptr) return delta;
    const int32_t bits = static_cast<int32_t>(keep.bits[at / 64] >> (at % 64));  // half divides 64
    return masked(((bits >> iota_h()) & 1) != 0, delta);
  } else {
    return delta;
  }
}

/** f<Rule>() for the rule of `keep`. */
template <class F>
static inline void with_rule(MergeKeep::Rule rule, const F& f) {
  switch (rule) {
    case MergeKeep::Rule::all: return f.template operator()<MergeKeep::Rule::all>();
    case MergeKeep::Rule::band: return f.template operator()<MergeKeep::Rule::band>();
    case MergeKeep::Rule::bits: return f.template operator()<MergeKeep::Rule::bits>();
  }
}

}  // namespace forge::FORGE_ISA
