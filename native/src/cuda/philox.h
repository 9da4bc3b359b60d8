#pragma once
/** Random words by key and position, the same bits as on the processor. */
#include "cuda/launch.h"

namespace forge::cuda {

struct PhiloxBlock {
  uint32_t words[4];
};

/** The number of a stream's first block. */
__device__ inline uint64_t first_block(const Philox& key) { return key.base == nullptr ? key.counter : key.counter + *key.base; }

/** Philox4x32-10 of one block: Salmon et al. 2011, section 3.3; constants from there. */
__device__ inline PhiloxBlock philox_block(const Philox& key, uint64_t counter) {
  PhiloxBlock x{{static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32), 0, 0}};
  uint32_t k0 = key.seed_lo, k1 = key.seed_hi;
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * x.words[0], p1 = uint64_t{0xCD9E8D57} * x.words[2];
    x = {{static_cast<uint32_t>(p1 >> 32) ^ x.words[1] ^ k0, static_cast<uint32_t>(p1),
          static_cast<uint32_t>(p0 >> 32) ^ x.words[3] ^ k1, static_cast<uint32_t>(p0)}};
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return x;
}

}  // namespace forge::cuda
