#include "cpu/merge.h"

/**
 * The k-th largest magnitude without sorting. Bit patterns of non-negative floats are ordered as the numbers are,
 * so it is a matter of counting. A sample of fixed positions gives two bounds that almost surely enclose it; one
 * pass counts what is above and collects what is between, a few per cent; those are counted by their leading twelve
 * bits until one pattern is left. When the bounds miss, or too much lies between them (many equal entries), the
 * whole tensor is counted instead: at most three passes. The result is exact either way.
 */
namespace forge::FORGE_ISA {
namespace {

constexpr int64_t samples = 8192;
constexpr int64_t least_sampled = 16 * samples;  // shorter tensors are counted as they are
constexpr int64_t block = 512;
constexpr int64_t room = merge_chunk / 4;  // collected entries of a chunk
constexpr int bins_log2 = 12, bins = 1 << bins_log2;

struct Values {
  const float *base, *x;
  int64_t count;

  int32_t bits(int64_t i) const {
    const float delta = base == nullptr ? x[i] : x[i] - base[i];
    int32_t word;
    memcpy(&word, &delta, sizeof word);
    return word & 0x7fffffff;
  }
  /** The magnitudes of begin..end, end − begin ≤ block. */
  void read(int64_t begin, int64_t end, int32_t* out) const {
    for (int64_t i = begin; i < end; i += 16) {
      __builtin_prefetch(x + i + ahead);
      if (base != nullptr) __builtin_prefetch(base + i + ahead);
    }
    for (int64_t i = begin; i < end; ++i) out[i - begin] = bits(i);
  }
};

/** What one pass found between two bounds. */
struct Collected {
  int64_t* above;  // per chunk, as is `found`
  int64_t* found;
  int32_t* entries;  // room per chunk, in order of index
};

/** The bits of the k-th largest (k ≥ 1) of what `each` calls its argument with, and how many of the equal ones count. */
template <class Each>
MergeCut count_down(int64_t k, int32_t low, int32_t high, const Each& each) {
  while (low < high) {
    int shift = 0;
    while (((static_cast<int64_t>(high) - low) >> shift) >= bins) ++shift;
    int64_t counts[bins] = {};
    each([&](int32_t v) {
      if (v >= low && v <= high) ++counts[(v - low) >> shift];
    });
    int bin = bins - 1;
    while (bin > 0 && k > counts[bin]) k -= counts[bin--];
    const int64_t first = low + (static_cast<int64_t>(bin) << shift);
    high = static_cast<int32_t>(min64(high, first + (int64_t{1} << shift) - 1));
    low = static_cast<int32_t>(first);
  }
  return {low, k};
}

/** The index of the k-th entry (k ≥ 1) equal to `bits` among begin..end; −1 when there are fewer, k reduced by them. */
int64_t find_equal(const Values& values, int32_t bits, int64_t begin, int64_t end, int64_t& k) {
  int32_t read[block];
  for (int64_t at = begin; at < end; at += block) {
    const int64_t n = min64(block, end - at);
    values.read(at, at + n, read);
    int64_t equal = 0;
    for (int64_t i = 0; i < n; ++i) equal += read[i] == bits;
    if (equal < k) {
      k -= equal;
      continue;
    }
    for (int64_t i = 0; i < n; ++i) {
      if (read[i] == bits && --k == 0) return at + i;
    }
  }
  return -1;
}

MergeCut cut_by_counting(const Values& values, int64_t k) {
  const MergeCut found = count_down(k, 0, 0x7fffffff, [&](const auto& f) {
    int32_t read[block];
    for (int64_t at = 0; at < values.count; at += block) {
      const int64_t n = min64(block, values.count - at);
      values.read(at, at + n, read);
      for (int64_t i = 0; i < n; ++i) f(read[i]);
    }
  });
  int64_t equal = found.last;
  return {found.bits, find_equal(values, found.bits, 0, values.count, equal)};
}

/** Two bounds around the k-th largest, six standard deviations of the sample's rank apart. */
void bounds_from_sample(const Values& values, int64_t k, int32_t* sample, int32_t& low, int32_t& high) {
  for (int64_t i = 0; i < samples; ++i) sample[i] = values.bits(i * values.count / samples);
  const double share = static_cast<double>(k) / static_cast<double>(values.count), n = samples;
  const double margin = 6 * __builtin_sqrt(n * share * (1 - share)) + 4;
  const int64_t upper = static_cast<int64_t>(n * share - margin), lower = static_cast<int64_t>(n * share + margin);
  const auto each = [&](const auto& f) {
    for (int64_t i = 0; i < samples; ++i) f(sample[i]);
  };
  high = upper < 1 ? 0x7fffffff : count_down(upper, 0, 0x7fffffff, each).bits;
  low = lower >= samples ? 0 : count_down(lower, 0, 0x7fffffff, each).bits;
}

void collect(const Values& values, int32_t low, int32_t high, const Collected& into) {
  parallel_for(merge_chunks(values.count), [&](int64_t chunk, int) {
    const int64_t end = min64(values.count, (chunk + 1) * merge_chunk);
    int32_t* mine = into.entries + chunk * room;
    int64_t above = 0, found = 0;
    for (int64_t at = chunk * merge_chunk; at < end; at += block) {
      const int64_t n = min64(block, end - at);
      int32_t read[block];
      values.read(at, at + n, read);
      int32_t larger = 0;
      for (int64_t i = 0; i < n; ++i) larger += read[i] > high;
      above += larger;
      if (found + n > room) {
        found = room + 1;  // too many
        break;
      }
      int32_t* to = mine + found;
#if defined(__AVX512F__)
      int64_t i = 0;
      for (; i + 16 <= n; i += 16) {
        const __m512i v = _mm512_loadu_si512(read + i);
        const __mmask16 between = _mm512_cmpge_epi32_mask(v, _mm512_set1_epi32(low)) &
                                  _mm512_cmple_epi32_mask(v, _mm512_set1_epi32(high));
        _mm512_mask_compressstoreu_epi32(to, between, v);
        to += __builtin_popcount(between);
      }
      for (; i < n; ++i) {
#else
      for (int64_t i = 0; i < n; ++i) {
#endif
        *to = read[i];
        to += (read[i] >= low) & (read[i] <= high);
      }
      found = to - mine;
    }
    into.above[chunk] = above;
    into.found[chunk] = found;
  });
}

/** The cut from what was collected; false when the bounds missed it. */
bool cut_from(const Collected& c, const Values& values, int64_t k, int32_t low, int32_t high, MergeCut& cut) {
  const int64_t chunks = merge_chunks(values.count);
  int64_t above = 0, found = 0;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    if (c.found[chunk] > room) return false;
    above += c.above[chunk];
    found += c.found[chunk];
  }
  if (above >= k || above + found < k) return false;
  const MergeCut kth = count_down(k - above, low, high, [&](const auto& f) {
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      for (int64_t i = 0; i < c.found[chunk]; ++i) f(c.entries[chunk * room + i]);
    }
  });
  int64_t left = kth.last;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    int64_t equal = 0;
    for (int64_t i = 0; i < c.found[chunk]; ++i) equal += c.entries[chunk * room + i] == kth.bits;
    if (equal >= left) {
      const int64_t begin = chunk * merge_chunk;
      cut = {kth.bits, find_equal(values, kth.bits, begin, min64(values.count, begin + merge_chunk), left)};
      return true;
    }
    left -= equal;
  }
  return false;
}

}  // namespace

int64_t merge_cut_scratch(int64_t count) {
  const int64_t chunks = merge_chunks(count);
  return chunks * (2 * static_cast<int64_t>(sizeof(int64_t)) + room * static_cast<int64_t>(sizeof(int32_t))) +
         samples * static_cast<int64_t>(sizeof(int32_t));
}

MergeCut merge_cut(const float* base, const float* x, int64_t count, int64_t k, void* scratch) {
  if (k <= 0) return cut_none;
  if (k >= count) return cut_all;
  const Values values{base, x, count};
  if (count < least_sampled) return cut_by_counting(values, k);
  const int64_t chunks = merge_chunks(count);
  Collected collected;
  collected.above = static_cast<int64_t*>(scratch);
  collected.found = collected.above + chunks;
  collected.entries = reinterpret_cast<int32_t*>(collected.found + chunks);
  int32_t* sample = collected.entries + chunks * room;
  int32_t low, high;
  bounds_from_sample(values, k, sample, low, high);
  collect(values, low, high, collected);
  MergeCut cut;
  return cut_from(collected, values, k, low, high, cut) ? cut : cut_by_counting(values, k);
}

}  // namespace forge::FORGE_ISA
