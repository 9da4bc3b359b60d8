#pragma once
#include <cstdint>

#include "core/merge.h"

/**
 * The table of kernels of a backend. Kernels take raw pointers to checked, dense, non-overlapping (unless
 * said) buffers, split their own work with parallel_for, and cannot fail. All sizes are in elements.
 */
namespace forge {

enum class Binary : uint8_t { add, sub, mul, div };
enum class Unary : uint8_t { add_scalar, mul_scalar, neg, exp, log, tanh, sigmoid, silu, relu, relu2, sqrt, abs, sign };
enum class UnaryBackward : uint8_t { silu, sigmoid, tanh, relu, relu2 };
enum class Activation : uint8_t { none, relu, relu2, silu, sigmoid, tanh };
enum class Reduction : uint8_t { sum, mean, max };

/** op(a)[M,K] · op(b)[K,N] + beta·c -> c[M,N]; lda … are the strides between stored rows. */
struct Gemm {
  int64_t m, n, k;
  const float* a;
  int64_t lda;
  bool trans_a;
  const float* b;
  int64_t ldb;
  bool trans_b;
  float* c;
  int64_t ldc;
  float beta;
  /** Products with the given strides between their operands; 1 = a single one. */
  int64_t batch, stride_a, stride_b, stride_c;
};

/** Shapes and mask of attention; see addon.ts. */
struct AttentionShape {
  int64_t batch, queries, keys, q_heads, kv_heads, dim;
  /** Rows of k and v in memory per batch entry, ≥ keys. */
  int64_t key_capacity;
  bool causal;
  int64_t window;
  float scale;
  /** Operands of the products may be rounded to bf16 where that is faster; sums are f32. */
  bool may_round;
};

struct AdamW {
  double lr, beta1, beta2, eps, weight_decay, grad_scale;
  /** 1 − beta^step. */
  double correction1, correction2;
};

/** Grokfast-EMA before AdamW: mu ← alpha·mu + (1 − alpha)·g, or g itself at the start; g ← g + lambda·mu. */
struct Grokfast {
  double alpha, lambda;
  bool starts;
};

struct Philox {
  uint32_t seed_lo, seed_hi;
  uint64_t counter;
  /** Device memory with a number of blocks that is added to counter, or null. */
  const uint64_t* base = nullptr;
};

/** The tensors of one parameter; mu is null without Grokfast. */
struct AdamWPart {
  float* param;
  const float* grad;
  float *mu, *m, *v;
  int64_t n;
};

/** Places in the settings of an AdamW step that a tensor holds. */
enum AdamWSetting : int { adamw_lr, adamw_beta1, adamw_beta2, adamw_eps, adamw_decay, adamw_correction1, adamw_correction2 };
constexpr int64_t adamw_settings = 7;

/** A random mask: bit e of `bits` is set with probability `density`, drawn with word e of the key's stream. */
struct MergeDraw {
  uint64_t* bits;
  double density;
  Philox key;
};

/** Axes of a permutation, outermost first, leading ones of length 1; strides of the source in elements. */
struct Permutation {
  static constexpr int rank = 6;
  int64_t lengths[rank];
  int64_t strides[rank];
};

/** `exception` of first_outside: no value but the range is allowed. */
constexpr int64_t no_exception = INT64_MIN;

// Codes are those of addon-types.ts and addon-quantize.ts.
/** Types that files keep weights in. */
enum class StoredWeights : uint8_t { f32 = 0, f16 = 1, bf16 = 2 };
/** Block formats of GGUF files. */
enum class BlockFormat : uint8_t { f16 = 0, q8_0 = 1, tq1_0 = 2, tq2_0 = 3 };
/** Elements and bytes of one block. */
struct BlockSize {
  int64_t elements, bytes;
};
constexpr BlockSize block_sizes[] = {{1, 2}, {32, 34}, {256, 54}, {256, 66}};

/** Packed ternary weights: panels of 16 rows, each a run of 64-byte chunks of 16 columns; see cpu/ternary.h. */
constexpr int64_t ternary_panel = 16, ternary_chunk = 16, ternary_chunk_bytes = 64;

/** x[m, k] · w[n, k]ᵀ of int8 and packed ternary codes. */
struct TernaryMatmul {
  int64_t m, n, k;
  /** Rows `stride` bytes apart, a multiple of 16, zeros from k on; and the sum of each row. */
  const int8_t* x;
  int64_t stride;
  const int32_t* sums;
  const uint8_t* packed;
  /** Exact sums [m, n]; or null, and y[m, n] = sum · (x_steps[row] · w_steps[column or 0]). */
  int32_t* accumulators;
  float* y;
  const float* x_steps;
  const float* w_steps;
  bool has_step_per_column;
};

/** SeedLM: blocks of `block` weights as U(seed) · q · 2^exponent, U of `rank` columns from a shift register of `bits`. */
struct SeedLm {
  int bits, block, rank;
};
constexpr int seedlm_most_bits = 24, seedlm_most_block = 64, seedlm_most_rank = 4;

struct Kernels {
  /** `rows` runs of `bytes`, to_step and from_step bytes apart; source and destination are disjoint. */
  void (*copy_runs)(void* to, int64_t to_step, const void* from, int64_t from_step, int64_t bytes, int64_t rows);
  /** y[0..n) = the element of `size` (1, 2, 4 or 8) bytes at `value`, which is host memory. */
  void (*fill)(void* y, int64_t n, const void* value, int64_t size);
  /** y = x with its axes in another order; elements of `size` (1, 2, 4 or 8) bytes. */
  void (*permute)(const Permutation& order, const void* x, void* y, int64_t size);
  /** y[i] = x[index[i]], rows of `bytes`. */
  void (*gather_rows)(const void* x, const int32_t* index, void* y, int64_t count, int64_t bytes);
  /** The first i with index[i] neither in 0..limit−1 nor `exception`; −1 when there is none. */
  int64_t (*first_outside)(const int32_t* index, int64_t n, int64_t limit, int64_t exception);
  /**
   * safe = index, with 0, or `exception` where there is one, for what first_outside finds; that is noted for
   * Backend::take_fault, and until it is taken no AdamW kernel changes anything. Not on the processor. `op` is a literal.
   */
  void (*check_index)(const char* op, const int32_t* index, int64_t n, int64_t limit, int64_t exception, int32_t* safe);

  /** y = a ∘ b; b has period nb (n, a suffix, or 1); y may be a. */
  void (*binary)(Binary op, const float* a, const float* b, float* y, int64_t n, int64_t nb);
  /** y = f(x, s); y may be x. */
  void (*unary)(Unary op, const float* x, float s, float* y, int64_t n);
  /** dx from dy and the saved input or output; dx may be either. */
  void (*unary_backward)(UnaryBackward op, const float* saved, const float* dy, float* dx, int64_t n);
  void (*axpy)(float* y, float alpha, const float* x, int64_t n);

  /** x[outer, axis, inner] -> y[outer, inner]. */
  void (*reduce)(Reduction op, const float* x, float* y, int64_t outer, int64_t axis, int64_t inner);
  void (*argmax)(const float* x, int32_t* y, int64_t rows, int64_t n);
  double (*dot)(const float* a, const float* b, int64_t n);
  /** Σ x² over `count` arrays of n[i] elements; xs and n are host memory. */
  double (*sum_squares)(const float* const* xs, const int64_t* n, int64_t count);
  bool (*is_finite)(const float* const* xs, const int64_t* n, int64_t count);
  /** clip = {norm, scale}, f64: √Σx², and min(1, most / (norm + 1e-6)), NaN unless norm and all guards are finite. Not on the processor. */
  void (*clip_scale)(const float* const* xs, const int64_t* n, int64_t count, double most, const float* const* guards,
                     const int64_t* guard_n, int64_t guard_count, double* clip);
  /** weight = 1 / (targets other than `ignore`), f64. Not on the processor. */
  void (*target_weight)(const int32_t* targets, int64_t n, int32_t ignore, double* weight);
  /** x *= weight, rounded to f32 first. Not on the processor. */
  void (*scale_by)(float* x, int64_t n, const double* weight);
  /** y[0..n) = factor·weight·x in f64, then rounded; weight may be null (1). Not on the processor. */
  void (*expand_scalar)(const float* x, double factor, const double* weight, float* y, int64_t n);
  /** table[index[i]] += rows[i], in order of i. */
  void (*scatter_add_rows)(float* table, const int32_t* index, const float* rows, int64_t count, int64_t width);

  /** Bytes of scratch a Gemm needs, for worker_count() threads. */
  int64_t (*gemm_scratch)(const Gemm& gemm);
  void (*gemm)(const Gemm& gemm, float* scratch);
  /** The same with a and b rounded to bf16, sums in f32. */
  int64_t (*gemm_bf16_scratch)(const Gemm& gemm);
  void (*gemm_bf16)(const Gemm& gemm, float* scratch);

  void (*rms_norm)(const float* x, const float* gain, float eps, float* y, float* rstd, int64_t rows, int64_t width);
  /** partial: scratch of rms_norm_partials(rows)·width, or null when d_gain is null. */
  void (*rms_norm_backward)(const float* dy, const float* x, const float* gain, const float* rstd, float* dx,
                            float* d_gain, float* partial, int64_t rows, int64_t width);
  /** x[batch, time, heads, dim]; cosine, sine [time, dim/2]. */
  void (*rope)(const float* x, const float* cosine, const float* sine, float* y, int64_t batch, int64_t time,
               int64_t heads, int64_t dim, bool neighbours, bool inverse);

  int64_t (*attention_scratch)(const AttentionShape& shape);
  void (*attention)(const AttentionShape& shape, const float* q, const float* k, const float* v, float* o, float* lse,
                    float* scratch);
  int64_t (*attention_backward_scratch)(const AttentionShape& shape);
  /** dq, dk, dv are overwritten. */
  void (*attention_backward)(const AttentionShape& shape, const float* d_o, const float* q, const float* k,
                             const float* v, const float* o, const float* lse, float* dq, float* dk, float* dv,
                             float* scratch);

  void (*swiglu)(const float* gate, const float* up, float* y, int64_t n);
  void (*swiglu_backward)(const float* dy, const float* gate, const float* up, float* d_gate, float* d_up, int64_t n);
  void (*softmax)(const float* x, float* y, int64_t rows, int64_t width);
  void (*softmax_backward)(const float* y, const float* dy, float* dx, int64_t rows, int64_t width);
  void (*cross_entropy)(const float* logits, const int32_t* targets, float* loss, float* lse, int64_t rows,
                        int64_t width, int32_t ignore);
  /** d_loss may be null (ones); d_logits may be logits. */
  void (*cross_entropy_backward)(const float* logits, const int32_t* targets, const float* lse, const float* d_loss,
                                 float scale, float* d_logits, int64_t rows, int64_t width, int32_t ignore);
  void (*adamw)(float* param, const float* grad, float* m, float* v, int64_t n, const AdamW& settings);
  void (*philox_uniform)(float* x, int64_t n, const Philox& key);
  void (*philox_normal)(float* x, int64_t n, const Philox& key, float mean, float std);

  /** y[rows, width] = f(y + bias[width]) in place; bias may be null. */
  void (*bias_activation)(float* y, const float* bias, Activation activation, int64_t rows, int64_t width);
  /** loss[row] = KL(softmax(targets) ‖ softmax(logits)), and both log-sum-exps. */
  void (*kl_divergence)(const float* targets, const float* logits, float* loss, float* lse_t, float* lse_z, int64_t rows,
                        int64_t width);
  /** d_loss may be null (ones), and either result. */
  void (*kl_divergence_backward)(const float* targets, const float* logits, const float* loss, const float* lse_t,
                                 const float* lse_z, const float* d_loss, float scale, float* d_targets,
                                 float* d_logits, int64_t rows, int64_t width);
  /** y[e] = x[e] / keep where the top 24 bits of word e are below keep, else 0. */
  void (*dropout)(const float* x, float* y, int64_t n, double keep, const Philox& key);
  void (*top_k)(const float* x, float* values, int32_t* index, int64_t rows, int64_t width, int64_t k);
  /** y[row] = an index drawn by word `row`; −1 where no weight is finite and positive. */
  void (*categorical)(const float* logits, int32_t* y, int64_t rows, int64_t width, const Philox& key);
  /** h[t] = a[t]·h[t−1] + b[t] for [batch, time, channels]; h0[batch, channels] may be null (zeros). */
  void (*linear_scan)(const float* a, const float* b, const float* h0, float* h, int64_t batch, int64_t time,
                      int64_t channels);
  /** h0 and dh0 may be null. */
  void (*linear_scan_backward)(const float* dh, const float* a, const float* h, const float* h0, float* da, float* db,
                               float* dh0, int64_t batch, int64_t time, int64_t channels);
  int64_t (*ranged_attention_scratch)(const AttentionShape& shape);
  /** ranges[queries, count, 2]: [begin, end) of keys, ascending; causal, window and key_capacity are not read. */
  void (*ranged_attention)(const AttentionShape& shape, const int32_t* ranges, int64_t count, const float* q,
                           const float* k, const float* v, float* o, float* lse, float* scratch);
  void (*ranged_attention_backward)(const AttentionShape& shape, const int32_t* ranges, int64_t count, const float* d_o,
                                    const float* q, const float* k, const float* v, const float* o, const float* lse,
                                    float* dq, float* dk, float* dv);
  void (*adamw_grokfast)(float* param, const float* grad, float* mu, float* m, float* v, int64_t n,
                         const AdamW& settings, const Grokfast& filter);
  /**
   * AdamW of all parts, with settings (AdamWSetting) and clip ({norm, scale}, may be null) in device memory; a scale of
   * NaN changes nothing. Not on the processor.
   */
  void (*adamw_prepared)(const AdamWPart* parts, int64_t count, const double* settings, const double* clip,
                         const Grokfast& filter);
  int64_t (*svd_scratch)(int64_t rows, int64_t width);
  /** x[rows, width] = u·diag(s)·vt, all thin, k = min(rows, width): u[rows, k], s[k], vt[k, width]; false: no convergence. */
  bool (*svd)(const float* x, int64_t rows, int64_t width, float* u, float* s, float* vt, void* scratch);

  // Merging of models, see core/merge.h. None of these multiplies and adds in one rounding: every instruction set
  // gives the same bytes.
  /** y = Σ factors[i]·x[i], summed in f64; base is not read. */
  void (*merge_sum)(const MergeSources& sources, const double* factors, float* y);
  /** gram[i·sources + j] = δi·δj in f64 (δ = x − base, or x without base); partial: merge_chunks(count)·sources² doubles. */
  void (*merge_gram)(const MergeSources& sources, double* gram, double* partial);
  /** y = base + λ · mix(kept deltas). keep: one per source; the rule of the first is that of all. */
  void (*merge_task_vectors)(const MergeSources& sources, const MergeKeep* keep, const MergeMix& mix, float* y);
  int64_t (*merge_cuts_scratch)(int64_t count, int64_t wanted);
  /** cuts[w]: the ranks[w].k largest |δ| of a source, for all w in one pass; those of one source follow each other. */
  void (*merge_cuts)(const MergeSources& sources, const MergeRank* ranks, int64_t wanted, MergeCut* cuts, void* scratch);
  /** Bits 0..count of a random mask. */
  void (*merge_bernoulli)(const MergeDraw& draw, int64_t count);
  int64_t (*merge_della_scratch)(int64_t width);
  /** A random mask of count = rows·width bits with probability density − epsilon + 2·epsilon·rank/(width − 1), rank by |x − base| within the row. */
  void (*merge_della)(const float* base, const float* x, int64_t rows, int64_t width, double density, double epsilon,
                      const Philox& key, uint64_t* bits, void* scratch);
  /**
   * sums[2i] = Σ|δi|, sums[2i+1] = Σ|kept δi| in f64, all in one pass; draws (may be null), those with bits: masks that
   * are drawn on the way. partial: 2·sources·merge_chunks(count) doubles.
   */
  void (*merge_magnitudes)(const MergeSources& sources, const MergeKeep* keep, const MergeDraw* draws, double* sums,
                           double* partial);
  /** y = population variance of the deltas; returns how many are not 0. partial: merge_chunks(count) doubles. */
  int64_t (*merge_variance)(const MergeSources& sources, float* y, double* partial);
  /** sums[i] = Σ δi² over entries whose variance is above the cut (all without variance); partial: merge_chunks(count)·sources. */
  void (*merge_squares)(const MergeSources& sources, const float* variance, const MergeCut& cut, double* sums,
                        double* partial);
  /** y = base + Σ w δ / max(Σ w, 1e-6) over the sources with the sign of Σδ, where the variance is above the cut. */
  void (*merge_sce)(const MergeSources& sources, const double* weights, const float* variance, const MergeCut& cut,
                    float* y);
  /** counts[2i], counts[2i+1]: entries with |δi| > epsilon that another source has too, and that none has. */
  void (*merge_overlaps)(const MergeSources& sources, float epsilon, double* counts, double* partial);
  /** y = base + (the mean of deltas above epsilon; a single one times scales[its source]). */
  void (*merge_ram)(const MergeSources& sources, float epsilon, const double* scales, float* y);
  void (*merge_nearswap)(const float* a, const float* b, double t, float* y, int64_t n);
  /** y = |x − base| · KL(softmax(x) ‖ softmax(base)) with the divergence of the row; both softmaxes plus 1e-8. */
  void (*merge_importance)(const float* base, const float* x, float* y, int64_t rows, int64_t width);
  /** y = importance ≥ threshold ? x : base. */
  void (*merge_choose)(const float* base, const float* x, const float* importance, float threshold, float* y, int64_t n);

  // quantisation
  /** The first i with |x[i]| not below `limit`, NaN too; −1 when there is none. */
  int64_t (*first_not_below)(const float* x, int64_t n, float limit);
  /** The first byte that is no code −1, 0, 1 or, packed, does not hold four codes 0, 1, 2; −1 when there is none. */
  int64_t (*first_bad_code)(const uint8_t* codes, int64_t n, bool packed);
  /** Σ|x|, in a fixed order, f64. */
  double (*abs_sum)(const float* x, int64_t n);
  /** codes = 1 where x·inverse > 1/2, −1 where < −1/2, else 0. */
  void (*ternary_codes)(const float* x, float inverse, int8_t* codes, int64_t n);
  /** y = step · those codes. */
  void (*ternary_values)(const float* x, float inverse, float step, float* y, int64_t n);
  /**
   * Rows to int8: round-half-even(x · 127/absmax). Codes lie `stride` ≥ width apart, zeros between; steps = absmax/127.
   * sums may be null.
   */
  void (*absmax_codes)(const float* x, int8_t* codes, int64_t stride, float* steps, int32_t* sums, int64_t rows,
                       int64_t width);
  /** y = those codes / (127/absmax). */
  void (*absmax_values)(const float* x, float* y, int64_t rows, int64_t width);
  void (*encode_blocks)(BlockFormat format, const float* x, uint8_t* y, int64_t blocks);
  void (*decode_blocks)(BlockFormat format, const uint8_t* x, float* y, int64_t blocks);
  /** codes[rows, columns] in −1, 0, 1. */
  void (*ternary_pack)(const int8_t* codes, uint8_t* packed, int64_t rows, int64_t columns);
  void (*ternary_unpack)(const uint8_t* packed, int8_t* codes, int64_t rows, int64_t columns);
  /** Rows of int8 at `stride` ≥ width, zeros between, and the sum of each: what ternary_matmul takes. */
  void (*pad_codes)(const int8_t* codes, int8_t* to, int64_t stride, int32_t* sums, int64_t rows, int64_t width);
  void (*ternary_matmul)(const TernaryMatmul& product);
  /** Bytes of scratch that seedlm_encode needs. */
  int64_t (*seedlm_scratch)(const SeedLm& code, int64_t blocks);
  /** Best seed of each block of w[blocks, block], and fields[blocks, 1 + rank]: exponent, then q. */
  void (*seedlm_encode)(const SeedLm& code, const float* w, int64_t blocks, int32_t* seeds, int8_t* fields,
                        float* scratch);
  /** w = scale · U(seed) · q · 2^exponent, rounded once. */
  void (*seedlm_decode)(const SeedLm& code, const int32_t* seeds, const int8_t* fields, float scale, float* w,
                        int64_t blocks);
  /** The first of the nearest centroids[k, width] of each row of x, and its squared distance. width ≤ 256. */
  void (*nearest_centroid)(const float* x, const float* centroids, int64_t rows, int64_t k, int64_t width,
                           int32_t* index, float* distance);
  /** Stored weights to f32, exactly, and back to the nearest, ties to even; on the calling thread. */
  void (*widen_weights)(StoredWeights type, const void* from, float* y, int64_t n);
  void (*narrow_weights)(StoredWeights type, const float* x, void* to, int64_t n);
};

/** Rows per partial sum of the gain gradient: fixed, so that results do not depend on threads. */
constexpr int64_t rms_norm_block = 32;
constexpr int64_t rms_norm_partials(int64_t rows) { return (rows + rms_norm_block - 1) / rms_norm_block; }

/**
 * The kernels in use: those of the device (backend.h); on the processor the best instruction set of this machine, or
 * FORGE_ISA = avx512bf16 | avx512vnni | avx512 | avx2 | portable.
 */
const Kernels& kernels();
/** Makes a device's table the one in use; null: the processor's. */
void use_kernels(const Kernels* table);
/** Name of the instruction set that the processor uses. */
const char* isa_name();
/** Selects an instruction set, and the processor's kernels, by name; false when this machine or build lacks it. For tests and benchmarks. */
bool select_isa(const char* name);

}  // namespace forge
