#include "cuda/launch.h"
#include "cuda/table.h"

namespace forge::cuda {

void rope(const float* x, const float* cosine, const float* sine, float* y, int64_t batch, int64_t time, int64_t heads,
          int64_t dim, bool neighbours, bool inverse) {
  const int64_t half = dim / 2, gap = neighbours ? 1 : half, step = neighbours ? 2 : 1;
  const float sign = inverse ? -1.0f : 1.0f;
  for_each("rope", batch * time * heads * half, [=] __device__(int64_t i) {
    const int64_t pair = i % half, head = i / half, t = head / heads % time;
    const int64_t at = head * dim + pair * step;
    const float c = cosine[t * half + pair], s = sine[t * half + pair] * sign, x1 = x[at], x2 = x[at + gap];
    y[at] = x1 * c - x2 * s;
    y[at + gap] = x2 * c + x1 * s;
  });
}

}  // namespace forge::cuda
