#include "cpu/seedlm.h"

namespace forge::FORGE_ISA {

// Σ (V − 2^(K−1))·q is an exact integer below 2^28; one product in f64 and one rounding follow: the same bytes everywhere.
void seedlm_decode(const SeedLm& code, const int32_t* seeds, const int8_t* fields, float scale, float* w,
                   int64_t blocks) {
  parallel_ranges(blocks, grain / code.block, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const int8_t* field = fields + b * (1 + code.rank);
      int32_t sums[seedlm_most_block] = {};
      for_each_state(code, static_cast<uint32_t>(seeds[b]),
                     [&](int i, int32_t value) { sums[i / code.rank] += value * field[1 + i % code.rank]; });
      const double power = static_cast<double>(1 << (field[0] + 8)) / 256;
      const double factor = double{scale} * power / static_cast<double>((1 << (code.bits - 1)) - 1);
      for (int i = 0; i < code.block; ++i) w[b * code.block + i] = static_cast<float>(sums[i] * factor);
    }
  });
}

}  // namespace forge::FORGE_ISA
