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

constexpr int64_t samples = 32768;
constexpr int64_t least_sampled = 8 * samples;  // shorter tensors are counted as they are
constexpr int64_t block = 512;
constexpr int64_t room = merge_chunk / 8;  // collected entries of a chunk
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

/** The k-th largest of one tensor: its bounds, and what one pass found between them. */
struct Search {
  int64_t source, k;
  int32_t low, high;
  int64_t* above;  // per chunk, as is `found`
  int64_t* found;
  int32_t* entries;  // room per chunk, in order of index
  bool open;         // neither nothing nor everything
};

constexpr int64_t search_bytes(int64_t count) {
  return merge_chunks(count) * (2 * static_cast<int64_t>(sizeof(int64_t)) + room * static_cast<int64_t>(sizeof(int32_t)));
}

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

/** Two bounds around the k-th largest, five standard deviations of the sample's rank away. */
void bounds_from_sample(const Values& values, const int32_t* sample, Search& search) {
  const double share = static_cast<double>(search.k) / static_cast<double>(values.count), n = samples;
  const double margin = 5 * __builtin_sqrt(n * share * (1 - share)) + 4;
  const int64_t upper = static_cast<int64_t>(n * share - margin), lower = static_cast<int64_t>(n * share + margin);
  const auto each = [&](const auto& f) {
    for (int64_t i = 0; i < samples; ++i) f(sample[i]);
  };
  search.high = upper < 1 ? 0x7fffffff : count_down(upper, 0, 0x7fffffff, each).bits;
  search.low = lower >= samples ? 0 : count_down(lower, 0, 0x7fffffff, each).bits;
}

/** Appends those of n values that are in low..high to `to`, which has room for `lanes` more; returns the end. */
int32_t* append_between(const int32_t* read, int64_t n, int32_t low, int32_t high, int32_t* to) {
  int64_t i = 0;
#if defined(__AVX512F__)
  const __m512i from = _mm512_set1_epi32(low), span = _mm512_set1_epi32(high - low);
  for (; i + 16 <= n; i += 16) {
    const __m512i v = _mm512_loadu_si512(read + i);
    const __mmask16 between = _mm512_cmple_epu32_mask(_mm512_sub_epi32(v, from), span);
    _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(between, v));
    to += __builtin_popcount(between);
  }
#endif
  for (; i < n; ++i) {
    *to = read[i];
    to += (read[i] >= low) & (read[i] <= high);
  }
  return to;
}

/** One pass over all tensors. Searches of the same source follow each other. */
void collect(const MergeSources& s, const Search* searches, int64_t wanted) {
  parallel_for(merge_chunks(s.count), [&](int64_t chunk, int) {
    const int64_t end = min64(s.count, (chunk + 1) * merge_chunk);
    for (int64_t w = 0; w < wanted; ++w) searches[w].above[chunk] = searches[w].found[chunk] = 0;
    for (int64_t at = chunk * merge_chunk; at < end; at += block) {
      const int64_t n = min64(block, end - at);
      int32_t read[block];
      int64_t is_read = -1;
      for (int64_t w = 0; w < wanted; ++w) {
        const Search& search = searches[w];
        int64_t& found = search.found[chunk];
        if (!search.open || found > room) continue;
        if (found > room - block) {
          found = room + 1;  // too many
          continue;
        }
        if (is_read != search.source) Values{s.base, s.xs[search.source], s.count}.read(at, at + n, read);
        is_read = search.source;
        int32_t larger = 0;
        for (int32_t i = 0; i < n; ++i) larger += read[i] > search.high;
        search.above[chunk] += larger;
        int32_t* mine = search.entries + chunk * room;
        found = append_between(read, n, search.low, search.high, mine + found) - mine;
      }
    }
  });
}

/** The cut from what was collected; false when the bounds missed it. */
bool cut_from(const Search& c, const Values& values, MergeCut& cut) {
  const int64_t chunks = merge_chunks(values.count);
  int64_t above = 0, found = 0;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    if (c.found[chunk] > room) return false;
    above += c.above[chunk];
    found += c.found[chunk];
  }
  if (above >= c.k || above + found < c.k) return false;
  const MergeCut kth = count_down(c.k - above, c.low, c.high, [&](const auto& f) {
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

int64_t merge_cuts_scratch(int64_t count, int64_t wanted) {
  return wanted * (search_bytes(count) + static_cast<int64_t>(sizeof(Search)) + samples * static_cast<int64_t>(sizeof(int32_t)));
}

void merge_cuts(const MergeSources& s, const MergeRank* ranks, int64_t wanted, MergeCut* cuts, void* scratch) {
  const int64_t chunks = merge_chunks(s.count);
  auto* searches = static_cast<Search*>(scratch);
  char* rest = reinterpret_cast<char*>(searches + wanted);
  const bool sampled = s.count >= least_sampled;
  parallel_for(wanted, [&](int64_t w, int) {
    Search& search = searches[w];
    search = {ranks[w].source, ranks[w].k, 0, 0, nullptr, nullptr, nullptr, ranks[w].k > 0 && ranks[w].k < s.count};
    cuts[w] = search.k <= 0 ? cut_none : cut_all;
    if (!sampled) return;
    search.above = reinterpret_cast<int64_t*>(rest + w * (search_bytes(s.count) + samples * static_cast<int64_t>(sizeof(int32_t))));
    search.found = search.above + chunks;
    search.entries = reinterpret_cast<int32_t*>(search.found + chunks);
    if (!search.open) return;
    int32_t* sample = search.entries + chunks * room;
    const Values values{s.base, s.xs[search.source], s.count};
    for (int64_t i = 0; i < samples; ++i) sample[i] = values.bits(i * s.count / samples);
    bounds_from_sample(values, sample, search);
  });
  bool any = false;
  for (int64_t w = 0; w < wanted; ++w) any |= searches[w].open;
  if (any && sampled) collect(s, searches, wanted);
  parallel_for(wanted, [&](int64_t w, int) {
    const Search& search = searches[w];
    if (!search.open) return;
    const Values values{s.base, s.xs[search.source], s.count};
    if (!sampled || !cut_from(search, values, cuts[w])) cuts[w] = cut_by_counting(values, search.k);
  });
}

}  // namespace forge::FORGE_ISA
