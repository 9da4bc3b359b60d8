#pragma once
#include <cstdint>

/** What the merge kernels work on: flat tensors of several models, and rules for which entries of a task vector stay. */
namespace forge {

/** Tensors of `sources` models, `count` elements each; base is null where task vectors are not meant. */
struct MergeSources {
  const float* base;
  const float* const* xs;
  int64_t sources, count;
};

/**
 * The k largest magnitudes of a tensor: those whose bits (the sign cleared) are above `bits`, and those equal to
 * it with an index up to `last`.
 */
struct MergeCut {
  int32_t bits;
  int64_t last;
};
/** The cut with nothing above it, and the one with everything. */
constexpr MergeCut cut_none{INT32_MAX, -1};
constexpr MergeCut cut_all{-1, -1};

/** The k largest of a source, to be found. */
struct MergeRank {
  int64_t source, k;
};

/** Which entries of a task vector stay, and what they are multiplied by. */
struct MergeKeep {
  enum class Rule : uint8_t { all, band, bits } rule;
  /** band: among the largest by `inner`, but not among the largest by `outer`. */
  MergeCut inner, outer;
  /** bits: bit e of these; all when null. */
  const uint64_t* bits;
  double scale;
};

/** How kept deltas become one. */
struct MergeMix {
  const double* weights;
  /** Elect a sign per entry, and mix only what has it. */
  bool consensus;
  /** Divide by the weights that took part, unless those sum to less than 1e-8. */
  bool normalize;
  double lambda;
};

/** Elements per partial sum: fixed, so that results do not depend on threads. */
constexpr int64_t merge_chunk = 65536;
constexpr int64_t merge_chunks(int64_t count) { return (count + merge_chunk - 1) / merge_chunk; }

}  // namespace forge
