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

/** Truth of each element of a half vector of f32 (hm), and of its f64 (dm). */
#if defined(__AVX512F__)
typedef __mmask8 hm;
typedef __mmask8 dm;
static inline hm above(hf a, hf b) { return _mm256_cmp_ps_mask((__m256)a, (__m256)b, _CMP_GT_OQ); }
static inline hm above(hi a, hi b) { return _mm256_cmpgt_epi32_mask((__m256i)a, (__m256i)b); }
static inline dm above(vd a, vd b) { return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_GT_OQ); }
static inline dm at_least(vd a, vd b) { return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_GE_OQ); }
static inline dm widen(hm mask) { return mask; }
/** v where the mask is set, 0 elsewhere. */
static inline hf masked(hm mask, hf v) { return (hf)_mm256_maskz_mov_ps(mask, (__m256)v); }
static inline vd choose(dm mask, vd yes, vd no) { return (vd)_mm512_mask_blend_pd(mask, (__m512d)no, (__m512d)yes); }
/** sum + v where the mask is set; a sum that is not −0 else stays as it is. */
static inline vd add_where(dm mask, vd sum, vd v) {
  return (vd)_mm512_mask_add_pd((__m512d)sum, mask, (__m512d)sum, (__m512d)v);
}
/** Element i: bit i. */
static inline hm mask_of(uint64_t bits) { return static_cast<hm>(bits); }
static inline int64_t set_in(hm mask) { return __builtin_popcount(mask); }
#else
typedef hi hm;
typedef vl dm;
static inline hm above(hf a, hf b) { return a > b; }
static inline hm above(hi a, hi b) { return a > b; }
static inline dm above(vd a, vd b) { return a > b; }
static inline dm at_least(vd a, vd b) { return a >= b; }
static inline dm widen(hm mask) { return __builtin_convertvector(mask, vl); }
static inline hf masked(hm mask, hf v) { return (hf)(mask & (hi)v); }
static inline vd choose(dm mask, vd yes, vd no) { return mask ? yes : no; }
static inline vd add_where(dm mask, vd sum, vd v) { return sum + (vd)(mask & (vl)v); }
static inline hm mask_of(uint64_t bits) { return ((static_cast<int32_t>(bits) >> iota_h()) & 1) != 0; }
static inline int64_t set_in(hm mask) {
  int64_t set = 0;
  for (int i = 0; i < half; ++i) set -= mask[i];
  return set;
}
#endif

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

/**
 * into[k] += Σ terms[k] of f(half vector, terms) over begin..end, in 16 running sums whatever the width of vectors: the
 * same bytes on all.
 */
template <int Sums, class F>
static inline void fixed_sums(int64_t begin, int64_t end, double* into, const F& f) {
  constexpr int running = 16, vectors = running / half;
  vd sums[vectors][Sums] = {};
  const auto add = [&](int v, auto at) {
    vd terms[Sums];
    f(at, terms);
    for (int k = 0; k < Sums; ++k) sums[v][k] += terms[k];
  };
  int64_t i = begin;
  for (; i + running <= end; i += running) {
    for (int v = 0; v < vectors; ++v) add(v, WholeHalf{i + v * half, false});
  }
  for (int v = 0; i < end; ++v, i += half) {
    if (i + half <= end) add(v, WholeHalf{i, false});
    else add(v, PartHalf{i, end - i});
  }
  for (int k = 0; k < Sums; ++k) {
    double total = 0;
    for (int v = 0; v < vectors; ++v) {
      for (int lane = 0; lane < half; ++lane) total += sums[v][k][lane];
    }
    into[k] += total;
  }
}

/** Σ f(half vector) over begin..end. */
template <class F>
static inline double fixed_sum(int64_t begin, int64_t end, const F& f) {
  double total = 0;
  fixed_sums<1>(begin, end, &total, [&](auto at, vd* term) { *term = f(at); });
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
static inline hm among(const MergeCut& cut, hi magnitude, int64_t at) {
  const int64_t last = cut.last - at;  // relative: fits an i32 once limited to this vector
  const int32_t limit = static_cast<int32_t>(last < -1 ? -1 : last > half ? half : last);
#if defined(__AVX512F__)
  const __m256i bits = _mm256_set1_epi32(cut.bits);
  const hm equal_counts = mask_of((uint64_t{1} << (limit + 1)) - 1);
  return above(magnitude, (hi)_mm256_mask_sub_epi32(bits, equal_counts, bits, _mm256_set1_epi32(1)));
#else
  return (magnitude > cut.bits) | ((magnitude == cut.bits) & (iota_h() <= limit));
#endif
}

/** The entries of δ at index `at`.. that a rule keeps; 0 elsewhere. Not yet scaled. */
template <MergeKeep::Rule R>
static inline hf kept(const MergeKeep& keep, hf delta, int64_t at) {
  if constexpr (R == MergeKeep::Rule::band) {
    const hi magnitude = magnitude_bits(delta);
    const hf inside = masked(among(keep.inner, magnitude, at), delta);
    if (keep.outer.bits == cut_none.bits) return inside;
    return masked(~among(keep.outer, magnitude, at), inside);
  } else if constexpr (R == MergeKeep::Rule::bits) {
    if (keep.bits == nullptr) return delta;
    return masked(mask_of(keep.bits[at / 64] >> (at % 64)), delta);  // half divides 64
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
