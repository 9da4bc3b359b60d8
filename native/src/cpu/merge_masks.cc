#include "cpu/merge.h"
#include "cpu/philox.h"

/** Random masks, one bit per entry: entry e is drawn with word e of the key's stream. */
namespace forge::FORGE_ISA {
namespace {

constexpr int radix_bits = 8, buckets = 1 << radix_bits;

/** Sorts n keys of 31 bits with their indices, ascending and stable, by four passes of counting. */
void sort_rows(uint32_t* keys, uint32_t* order, uint32_t* spare_keys, uint32_t* spare_order, int64_t n) {
  for (int shift = 0; shift < 32; shift += radix_bits) {
    int64_t starts[buckets + 1] = {};
    for (int64_t i = 0; i < n; ++i) ++starts[((keys[i] >> shift) & (buckets - 1)) + 1];
    for (int b = 0; b < buckets; ++b) starts[b + 1] += starts[b];
    for (int64_t i = 0; i < n; ++i) {
      const int64_t to = starts[(keys[i] >> shift) & (buckets - 1)]++;
      spare_keys[to] = keys[i];
      spare_order[to] = order[i];
    }
    uint32_t* swapped = keys;
    keys = spare_keys;
    spare_keys = swapped;
    swapped = order;
    order = spare_order;
    spare_order = swapped;
  }
}

/** Bit b: whether the top 24 bits of word b are below the threshold. */
uint64_t below(const uint32_t* words, uint32_t threshold) {
#if defined(__AVX512F__)
  return _mm512_cmplt_epu32_mask(_mm512_srli_epi32(_mm512_loadu_si512(words), 8), _mm512_set1_epi32(static_cast<int>(threshold)));
#else
  uint64_t bits = 0;
  for (int64_t b = 0; b < blocks_at_once; ++b) bits |= static_cast<uint64_t>((words[b] >> 8) < threshold) << b;
  return bits;
#endif
}

/** Bit b of 16 moved to bit 4b. */
uint64_t spread(uint64_t bits) {
  bits = (bits | bits << 24) & 0x000000ff000000ff;
  bits = (bits | bits << 12) & 0x000f000f000f000f;
  bits = (bits | bits << 6) & 0x0303030303030303;
  return (bits | bits << 3) & 0x1111111111111111;
}

}  // namespace

void merge_bernoulli(uint64_t* bits, int64_t count, double density, const Philox& key) {
  const uint32_t threshold = bernoulli_threshold(density);
  parallel_ranges(ceil_div(count, 64), 256, [&](int64_t begin, int64_t end) {
    for (int64_t word = begin; word < end; ++word) {
      uint64_t mask = 0;
      for (int64_t done = 0; done < 16; done += blocks_at_once) {
        uint32_t words[4][blocks_at_once];
        philox_blocks(key, key.counter + static_cast<uint64_t>(word * 16 + done), words);
        for (int j = 0; j < 4; ++j) mask |= spread(below(words[j], threshold)) << (4 * done + j);
      }
      bits[word] = mask;
    }
  });
}

/** Keys, indices and their spares, and the drawn words, of one row for each worker. */
int64_t merge_della_scratch(int64_t width) { return worker_count() * 5 * width * static_cast<int64_t>(sizeof(uint32_t)); }

void merge_della(const float* base, const float* x, int64_t rows, int64_t width, double density, double epsilon,
                 const Philox& key, uint64_t* bits, void* scratch) {
  memset(bits, 0, static_cast<size_t>(ceil_div(rows * width, 64)) * sizeof(uint64_t));
  // 64 rows are whole words of the mask, whatever their width: no two tasks write the same word.
  parallel_for(ceil_div(rows, 64), [&](int64_t group, int worker) {
    uint32_t* keys = static_cast<uint32_t*>(scratch) + worker * 5 * width;
    uint32_t *order = keys + width, *spare_keys = order + width, *spare_order = spare_keys + width;
    uint32_t* drawn = spare_order + width;
    for (int64_t row = group * 64; row < min64(rows, (group + 1) * 64); ++row) {
      const int64_t first = row * width;
      for (int64_t i = 0; i < width; ++i) {
        const float delta = x[first + i] - base[first + i];
        memcpy(keys + i, &delta, sizeof(float));
        keys[i] &= 0x7fffffff;
        order[i] = static_cast<uint32_t>(i);
      }
      sort_rows(keys, order, spare_keys, spare_order, width);
      philox_top24(key, first, width, drawn);
      for (int64_t rank = 0; rank < width; ++rank) {
        const double place = width > 1 ? static_cast<double>(rank) / static_cast<double>(width - 1) : 0.5;
        const int64_t at = first + order[rank];
        const bool keep = drawn[order[rank]] < bernoulli_threshold((density - epsilon) + place * 2 * epsilon);
        bits[at / 64] |= static_cast<uint64_t>(keep) << (at % 64);
      }
    }
  });
}

}  // namespace forge::FORGE_ISA
