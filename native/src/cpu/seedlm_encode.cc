#include "cpu/seedlm.h"

/**
 * Exhaustive search for the seed whose quantised least-squares fit of a block is best.
 *
 * With U = QR and z = Qᵀw the fit is t = R⁻¹z, and coefficients c leave ‖w − Uc‖² = ‖w‖² − (‖z‖² − ‖Rc − z‖²).
 * The gain in brackets is to be greatest, and never exceeds ‖z‖²: so z is computed for every seed (C·P multiply-adds,
 * lanes = seeds), and R, rounding and the rest only where ‖z‖² beats the best gain so far, a few dozen times a block.
 */
namespace forge::FORGE_ISA {
namespace {

/** Seeds in a table at a time: 4096 × 24 floats stay in the second-level cache. */
constexpr int64_t seeds_at_once = 4096;
constexpr int64_t vectors_at_once = seeds_at_once / lanes;

/** Entries of an upper triangle of `rank` rows, row by row. */
constexpr int triangle(int rank) { return rank * (rank + 1) / 2; }

/** Bit i: lane i of a exceeds lane i of b. */
inline uint32_t lanes_above(vf a, vf b) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ);
#elif defined(__AVX2__)
  return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_GT_OQ)));
#else
  uint32_t mask = 0;
  for (int i = 0; i < lanes; ++i) mask |= static_cast<uint32_t>(a[i] > b[i]) << i;
  return mask;
#endif
}

/** Factors of U of consecutive seeds: q[vector][row][column][lane], r and its inverse [vector][entry][lane]. */
struct Table {
  float *q, *r, *inverse;
  int64_t first_seed;
};

/** One number of each seed of a vector, in f64. */
struct Lanes {
  double of[lanes];
};

/**
 * Q, R and R⁻¹ of a vector of seeds by modified Gram–Schmidt in f64. A seed whose columns depend on each other gets zeros:
 * its gain is 0, so it is never chosen.
 */
void factor_seeds(const SeedLm& code, const Table& table, int64_t vector, uint32_t last_seed) {
  const int rows = code.block, rank = code.rank, entries = triangle(rank);
  Lanes u[seedlm_most_block][seedlm_most_rank], r[seedlm_most_rank][seedlm_most_rank] = {};
  Lanes inverse[seedlm_most_rank][seedlm_most_rank] = {};
  uint32_t state[lanes];
  bool is_usable[lanes];
  for (int l = 0; l < lanes; ++l) {
    state[l] = static_cast<uint32_t>(table.first_seed + vector * lanes + l);
    is_usable[l] = state[l] <= last_seed;
  }
  const double middle = 1 << (code.bits - 1), scale = 1 / (middle - 1);
  for (int i = 0; i < rows * rank; ++i) {
    for (int l = 0; l < lanes; ++l) {
      state[l] = lfsr_next(state[l], code.bits);
      u[i / rank][i % rank].of[l] = (static_cast<int32_t>(state[l]) - middle) * scale;
    }
  }
  for (int p = 0; p < rank; ++p) {
    Lanes before = {}, after = {};
    for (int c = 0; c < rows; ++c) {
      for (int l = 0; l < lanes; ++l) before.of[l] += u[c][p].of[l] * u[c][p].of[l];
    }
    for (int j = 0; j < p; ++j) {
      for (int c = 0; c < rows; ++c) {
        for (int l = 0; l < lanes; ++l) r[j][p].of[l] += u[c][j].of[l] * u[c][p].of[l];
      }
      for (int c = 0; c < rows; ++c) {
        for (int l = 0; l < lanes; ++l) u[c][p].of[l] -= r[j][p].of[l] * u[c][j].of[l];
      }
    }
    for (int c = 0; c < rows; ++c) {
      for (int l = 0; l < lanes; ++l) after.of[l] += u[c][p].of[l] * u[c][p].of[l];
    }
    for (int l = 0; l < lanes; ++l) {
      is_usable[l] = is_usable[l] && after.of[l] > 1e-10 * before.of[l];
      r[p][p].of[l] = is_usable[l] ? __builtin_sqrt(after.of[l]) : 1;
      inverse[p][p].of[l] = 1 / r[p][p].of[l];
    }
    for (int c = 0; c < rows; ++c) {
      for (int l = 0; l < lanes; ++l) u[c][p].of[l] *= inverse[p][p].of[l];
    }
  }
  for (int p = rank - 2; p >= 0; --p) {
    for (int j = p + 1; j < rank; ++j) {
      for (int k = p + 1; k <= j; ++k) {
        for (int l = 0; l < lanes; ++l) inverse[p][j].of[l] -= r[p][k].of[l] * inverse[k][j].of[l] * inverse[p][p].of[l];
      }
    }
  }
  const auto put = [&](float* to, const Lanes& from) {
    for (int l = 0; l < lanes; ++l) to[l] = is_usable[l] ? static_cast<float>(from.of[l]) : 0;
  };
  for (int i = 0; i < rows * rank; ++i) put(table.q + (vector * rows * rank + i) * lanes, u[i / rank][i % rank]);
  for (int p = 0, e = 0; p < rank; ++p) {
    for (int j = p; j < rank; ++j, ++e) {
      put(table.r + (vector * entries + e) * lanes, r[p][j]);
      put(table.inverse + (vector * entries + e) * lanes, inverse[p][j]);
    }
  }
}

/** What is best so far for one block. */
struct Best {
  float* gain;
  int32_t* seed;
  int8_t* fields;
};

/** Rounds the fit of one seed and keeps it if it is better. r, inverse: first entries of its lane, `lanes` apart. */
template <int P>
void try_seed(const float* z, float fit, const float* r, const float* inverse, int32_t seed, const Best& best) {
  float t[P], top = 0;
  for (int p = 0, e = 0; p < P; ++p) {
    t[p] = 0;
    for (int j = p; j < P; ++j, ++e) t[p] += inverse[e * lanes] * z[j];
    top = __builtin_fabsf(t[p]) > top ? __builtin_fabsf(t[p]) : top;
  }
  // The integers fill four bits: the largest |t| / 2^exponent lies in 4..8.
  int32_t bits;
  memcpy(&bits, &top, 4);
  int exponent = (bits >> 23) - 127 - 2;
  exponent = exponent < -8 ? -8 : exponent > 7 ? 7 : exponent;
  const float step = static_cast<float>(1 << (exponent + 8)) / 256, per_step = 1 / step;
  float q[P];
  for (int p = 0; p < P; ++p) {
    constexpr float rounding = 0x1.8p23f;  // nearest integer, ties to even, for |x| < 2^22
    const float x = t[p] * per_step;
    const float clipped = x < -8 ? -8 : x > 7 ? 7 : x;
    q[p] = (clipped + rounding) - rounding;
  }
  float missed = 0;
  for (int p = 0, e = 0; p < P; ++p) {
    float sum = 0;
    for (int j = p; j < P; ++j, ++e) sum += r[e * lanes] * q[j];
    const float off = sum * step - z[p];
    missed += off * off;
  }
  if (!(fit - missed > *best.gain)) return;
  *best.gain = fit - missed;
  *best.seed = seed;
  best.fields[0] = static_cast<int8_t>(exponent);
  for (int p = 0; p < P; ++p) best.fields[1 + p] = static_cast<int8_t>(q[p]);
}

/** Blocks that share a pass over the table: tile·P sums fill the registers. */
template <int P>
constexpr int tile_of = (lanes == 16 ? 24 : 12) / (P < 3 ? 3 : P);

/** All seeds of the table for `count` ≤ tile blocks; w padded to a whole tile, and the gain of what is padded infinite. */
template <int P>
void search_tile(const SeedLm& code, const Table& table, const float* w, float* gains, int count, int32_t* seeds,
                 int8_t* fields) {
  constexpr int tile = tile_of<P>, entries = triangle(P);
  for (int64_t v = 0; v < vectors_at_once; ++v) {
    const float* q = table.q + v * code.block * P * lanes;
    vf z[tile][P] = {};
    for (int c = 0; c < code.block; ++c) {
      vf column[P];
#pragma GCC unroll 4
      for (int p = 0; p < P; ++p) column[p] = load(q + (c * P + p) * lanes);
#pragma GCC unroll 8
      for (int b = 0; b < tile; ++b) {
        const vf weight = splat(w[c * tile + b]);
#pragma GCC unroll 4
        for (int p = 0; p < P; ++p) z[b][p] += column[p] * weight;
      }
    }
    vf fit[tile];
    uint32_t any = 0;
#pragma GCC unroll 8
    for (int b = 0; b < tile; ++b) {
      fit[b] = z[b][0] * z[b][0];
#pragma GCC unroll 4
      for (int p = 1; p < P; ++p) fit[b] += z[b][p] * z[b][p];
      any |= lanes_above(fit[b], splat(gains[b]));
    }
    if (__builtin_expect(any == 0, 1)) continue;
    // Through memory only here: an index that varies would keep the sums out of registers.
    float fits[tile][lanes], sums[tile][P][lanes];
#pragma GCC unroll 8
    for (int b = 0; b < tile; ++b) {
      store(fits[b], fit[b]);
#pragma GCC unroll 4
      for (int p = 0; p < P; ++p) store(sums[b][p], z[b][p]);
    }
    for (int b = 0; b < count; ++b) {
      for (uint32_t rest = lanes_above(load(fits[b]), splat(gains[b])); rest != 0; rest &= rest - 1) {
        const int lane = __builtin_ctz(rest);
        float of_lane[P];
        for (int p = 0; p < P; ++p) of_lane[p] = sums[b][p][lane];
        try_seed<P>(of_lane, fits[b][lane], table.r + v * entries * lanes + lane,
                    table.inverse + v * entries * lanes + lane,
                    static_cast<int32_t>(table.first_seed + v * lanes + lane),
                    {gains + b, seeds + b, fields + b * (1 + P)});
      }
    }
  }
}

template <int P>
void search(const SeedLm& code, const Table& table, const float* w, int64_t blocks, float* gains, int32_t* seeds,
            int8_t* fields) {
  constexpr int tile = tile_of<P>;
  parallel_for(ceil_div(blocks, tile), [&](int64_t i, int) {
    const int64_t first = i * tile;
    const int count = static_cast<int>(min64(tile, blocks - first));
    float turned[seedlm_most_block * tile] = {}, best[tile];
    for (int b = 0; b < tile; ++b) {
      best[b] = b < count ? gains[first + b] : __builtin_inff();
      for (int c = 0; b < count && c < code.block; ++c) turned[c * tile + b] = w[(first + b) * code.block + c];
    }
    search_tile<P>(code, table, turned, best, count, seeds + first, fields + first * (1 + P));
    memcpy(gains + first, best, static_cast<size_t>(count) * sizeof(float));
  });
}

}  // namespace

int64_t seedlm_scratch(const SeedLm& code, int64_t blocks) {
  const int64_t per_seed = code.block * code.rank + 2 * triangle(code.rank);
  return (seeds_at_once * per_seed + blocks) * static_cast<int64_t>(sizeof(float));
}

void seedlm_encode(const SeedLm& code, const float* w, int64_t blocks, int32_t* seeds, int8_t* fields, float* scratch) {
  const int64_t last_seed = (int64_t{1} << code.bits) - 1;
  Table table{scratch, nullptr, nullptr, 1};
  table.r = table.q + seeds_at_once * code.block * code.rank;
  table.inverse = table.r + seeds_at_once * triangle(code.rank);
  float* gains = table.inverse + seeds_at_once * triangle(code.rank);
  // Until a seed gains something, seed 1 with zeros: the code of a block of zeros.
  for (int64_t b = 0; b < blocks; ++b) gains[b] = 0, seeds[b] = 1;
  memset(fields, 0, static_cast<size_t>(blocks * (1 + code.rank)));
  for (; table.first_seed <= last_seed; table.first_seed += seeds_at_once) {
    parallel_ranges(vectors_at_once, 16, [&](int64_t begin, int64_t end) {
      for (int64_t v = begin; v < end; ++v) factor_seeds(code, table, v, static_cast<uint32_t>(last_seed));
    });
    switch (code.rank) {
      case 1: search<1>(code, table, w, blocks, gains, seeds, fields); break;
      case 2: search<2>(code, table, w, blocks, gains, seeds, fields); break;
      case 3: search<3>(code, table, w, blocks, gains, seeds, fields); break;
      default: search<4>(code, table, w, blocks, gains, seeds, fields);
    }
  }
}

}  // namespace forge::FORGE_ISA
