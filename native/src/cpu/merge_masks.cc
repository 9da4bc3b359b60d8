#include "cpu/merge.h"
#include "cpu/merge_draw.h"

/** Random masks, one bit per entry: entry e is drawn with word e of the key's stream. */
namespace forge::FORGE_ISA {
namespace {

/**
 * Which entries of a row stay. An entry stays when its word is below the threshold of its rank. Few need that rank:
 * counting the row into bins of equal width bounds it, and what the bounds leave open is compared with the whole row.
 */
struct RankedRow {
  static constexpr int64_t most_bins = 4096;

  int64_t width, bins;
  const uint32_t* thresholds;  // by rank, one more than there are ranks; ascending
  int32_t* keys;               // magnitudes as bits
  int32_t* bin_of;
  uint32_t* drawn;
  uint32_t* counts;
  int32_t* lowest;  // by bin: the threshold of its first rank

  /** Bytes for one worker. */
  static int64_t scratch_bytes(int64_t width) {
    return (3 * padded(width) + ordered_words + 2 * (most_bins + lanes)) * static_cast<int64_t>(sizeof(int32_t));
  }
  static int64_t padded(int64_t width) { return ceil_div(width, ordered_words) * ordered_words + ordered_words; }

  RankedRow(int64_t width, const uint32_t* thresholds, void* scratch) : width(width), bins(64), thresholds(thresholds) {
    while (bins < most_bins && 2 * bins < width) bins *= 2;
    keys = static_cast<int32_t*>(scratch);
    bin_of = keys + padded(width);
    drawn = reinterpret_cast<uint32_t*>(bin_of + padded(width));
    counts = drawn + padded(width) + ordered_words;
    lowest = reinterpret_cast<int32_t*>(counts + most_bins + lanes);
  }

  void draw(const RoundKeys& round_keys, uint64_t counter, int64_t first) {
    const int64_t skipped = first % 4;
    const uint64_t block = counter + static_cast<uint64_t>(first / 4);
    uint32_t* all = drawn;
    for (int64_t at = 0; at < width + skipped; at += ordered_words) {
      philox_in_order(round_keys, block + static_cast<uint64_t>(at / 4), [&](int64_t i, vi words) {
        store(reinterpret_cast<float*>(all + at + i), (vf)words);
      });
    }
    drawn_from = all + skipped;
  }

  /** Keys and bins; whether the bins can tell entries apart. */
  bool fill_bins(const float* base, const float* x) {
    vf sum = {};
    for (int64_t i = 0; i < width; i += lanes) {
      const int64_t n = min64(lanes, width - i);
      __builtin_prefetch(base + i + ahead);
      __builtin_prefetch(x + i + ahead);
      const vi key = (vi)(load_some(x + i, n) - load_some(base + i, n)) & 0x7fffffff;
      store(reinterpret_cast<float*>(keys + i), (vf)key);
      sum += (vf)key;
    }
    // Four times the mean holds nearly all of any bell; what is larger shares the last bin.
    const float mean = sum_lanes(sum) / static_cast<float>(width);
    const float scale = static_cast<float>(bins) / (4 * mean), most = static_cast<float>(bins - 1);
    if (!(scale > 0 && scale < __builtin_inff())) return false;
    const vf last = splat(most);
    for (int64_t i = 0; i < width; i += lanes) {
      const vf place = load(reinterpret_cast<const float*>(keys + i)) * scale;
      store(reinterpret_cast<float*>(bin_of + i), (vf)__builtin_convertvector(place < last ? place : last, vi));
    }
    memset(counts, 0, static_cast<size_t>(bins) * sizeof(uint32_t));
    for (int64_t i = 0; i < width; ++i) ++counts[bin_of[i]];
    return true;
  }

  /** The lowest threshold of each bin; returns how much the thresholds of one bin differ at most. */
  int32_t fill_lowest() {
    int64_t rank = 0;
    for (int64_t b = 0; b < bins; ++b) {
      lowest[b] = static_cast<int32_t>(thresholds[rank]);
      rank += counts[b];
    }
    lowest[bins] = static_cast<int32_t>(thresholds[width]);
    int32_t span = 0;
    for (int64_t b = 0; b < bins; ++b) span = lowest[b + 1] - lowest[b] > span ? lowest[b + 1] - lowest[b] : span;
    return span;
  }

  /** How many of the row come before entry i: smaller ones, and equal ones to its left. */
  int64_t rank_of(int64_t i) const {
    int32_t before = 0;
    const int32_t key = keys[i];
    for (int32_t j = 0; j < i; ++j) before += keys[j] <= key;
    for (int32_t j = static_cast<int32_t>(i) + 1; j < width; ++j) before += keys[j] < key;
    return before;
  }

  bool stays(int64_t i, int64_t rank) const { return drawn_from[i] >> 8 < thresholds[rank]; }

  /** ORs the bits of this row into `bits` from bit `first` on. */
  void decide_by_bins(int64_t first, uint64_t* bits) {
    const int32_t span = fill_lowest();
    for (int64_t i = 0; i < width; i += lanes) {
      const int64_t n = min64(lanes, width - i);
      const vi word = (vi)load(reinterpret_cast<const float*>(drawn_from + i));
      vi least;
#if defined(__AVX512F__)
      const __mmask16 here = static_cast<__mmask16>((1u << n) - 1);
      least = (vi)_mm512_mask_i32gather_epi32(_mm512_setzero_si512(), here, _mm512_loadu_si512(bin_of + i), lowest, 4);
#else
      for (int64_t lane = 0; lane < lanes; ++lane) least[lane] = lane < n ? lowest[bin_of[i + lane]] : 0;
#endif
      const vi over = ((word >> 8) & 0xffffff) - least;
      const uint64_t valid = (uint64_t{1} << n) - 1;
      uint64_t stay = bits_of(over < 0) & valid;
      for (uint64_t open = bits_of((over >= 0) & (over < span)) & valid; open != 0; open &= open - 1) {
        const int64_t lane = __builtin_ctzll(open);
        stay |= static_cast<uint64_t>(stays(i + lane, rank_of(i + lane))) << lane;
      }
      put(bits, first + i, stay, n);
    }
  }

  /** How many entries decide_by_bins would compare with the whole row, about. */
  double open_entries() const {
    uint32_t most = 0;
    for (int64_t b = 0; b < bins; ++b) most = counts[b] > most ? counts[b] : most;
    return static_cast<double>(most);
  }

  void decide_by_sorting(int64_t first, uint64_t* bits, uint32_t* order, uint32_t* spare_keys, uint32_t* spare_order) {
    for (int64_t i = 0; i < width; ++i) order[i] = static_cast<uint32_t>(i);
    sort(reinterpret_cast<uint32_t*>(keys), order, spare_keys, spare_order);
    for (int64_t rank = 0; rank < width; ++rank) put(bits, first + order[rank], stays(order[rank], rank), 1);
  }

 private:
  const uint32_t* drawn_from = nullptr;

  static void put(uint64_t* bits, int64_t at, uint64_t some, int64_t n) {
    const int64_t shift = at % 64;
    bits[at / 64] |= some << shift;
    if (shift + n > 64) bits[at / 64 + 1] |= some >> (64 - shift);
  }

  /** Sorts keys of 31 bits with their indices, ascending and stable, by four passes of counting. */
  void sort(uint32_t* from, uint32_t* order, uint32_t* spare, uint32_t* spare_order) const {
    constexpr int radix_bits = 8, buckets = 1 << radix_bits;
    for (int shift = 0; shift < 32; shift += radix_bits) {
      int64_t starts[buckets + 1] = {};
      for (int64_t i = 0; i < width; ++i) ++starts[((from[i] >> shift) & (buckets - 1)) + 1];
      for (int b = 0; b < buckets; ++b) starts[b + 1] += starts[b];
      for (int64_t i = 0; i < width; ++i) {
        const int64_t to = starts[(from[i] >> shift) & (buckets - 1)]++;
        spare[to] = from[i];
        spare_order[to] = order[i];
      }
      uint32_t* swapped = from;
      from = spare;
      spare = swapped;
      swapped = order;
      order = spare_order;
      spare_order = swapped;
    }
  }
};

}  // namespace

void merge_bernoulli(const MergeDraw& draw, int64_t count) {
  parallel_ranges(ceil_div(count, 64), 256, [&](int64_t begin, int64_t end) { draw_bits(draw, begin, end); });
}

/** The thresholds of all ranks; for each worker a row, and what sorting one needs. */
int64_t merge_della_scratch(int64_t width) {
  const int64_t word = sizeof(uint32_t);
  return RankedRow::padded(width) * word + worker_count() * (RankedRow::scratch_bytes(width) + 3 * width * word);
}

void merge_della(const float* base, const float* x, int64_t rows, int64_t width, double density, double epsilon,
                 const Philox& key, uint64_t* bits, void* scratch) {
  memset(bits, 0, static_cast<size_t>(ceil_div(rows * width, 64)) * sizeof(uint64_t));
  if (width == 0) return;
  const RoundKeys round_keys(key);
  auto* thresholds = static_cast<uint32_t*>(scratch);
  for (int64_t rank = 0; rank < width; ++rank) {
    const double place = width > 1 ? static_cast<double>(rank) / static_cast<double>(width - 1) : 0.5;
    thresholds[rank] = bernoulli_threshold((density - epsilon) + place * 2 * epsilon);
  }
  thresholds[width] = thresholds[width - 1];
  char* rest = reinterpret_cast<char*>(thresholds + RankedRow::padded(width));
  const int64_t row_bytes = RankedRow::scratch_bytes(width), sort_bytes = 3 * width * static_cast<int64_t>(sizeof(uint32_t));
  // 64 rows are whole words of the mask, whatever their width: no two tasks write the same word.
  parallel_for(ceil_div(rows, 64), [&](int64_t group, int worker) {
    char* mine = rest + worker * (row_bytes + sort_bytes);
    auto* order = reinterpret_cast<uint32_t*>(mine + row_bytes);
    RankedRow row(width, thresholds, mine);
    for (int64_t r = group * 64; r < min64(rows, (group + 1) * 64); ++r) {
      const int64_t first = r * width;
      row.draw(round_keys, key.counter, first);
      const bool binned = row.fill_bins(base + first, x + first);
      if (binned && row.open_entries() * 2 * epsilon < 64) row.decide_by_bins(first, bits);
      else row.decide_by_sorting(first, bits, order, order + width, order + 2 * width);
    }
  });
}

}  // namespace forge::FORGE_ISA
