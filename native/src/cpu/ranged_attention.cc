#include "core/kernels.h"
#include "cpu/rows.h"

/**
 * Attention in which every query lists the ranges of keys that it sees: any mask, at the cost of what is seen. For
 * thoughts that grow in parallel a query sees its prefix and its own thought: two scattered pieces out of many.
 */
namespace forge::FORGE_ISA {
namespace {

void row_axpy(float* y, float p, const float* x, int64_t n) {
  const vf factor = splat(p);
  for (int64_t i = 0; i < n; i += lanes) {
    const int64_t count = min64(lanes, n - i);
    store_some(y + i, load_some(y + i, count) + factor * load_some(x + i, count), count);
  }
}

/** f(key, number of the key among those seen). */
template <class F>
int64_t each_seen(const int32_t* ranges, int64_t count, const F& f) {
  int64_t seen = 0;
  for (int64_t r = 0; r < count; ++r) {
    for (int64_t key = ranges[2 * r]; key < ranges[2 * r + 1]; ++key) f(key, seen++);
  }
  return seen;
}

int64_t query_at(const AttentionShape& s, int64_t batch, int64_t t, int64_t head) {
  return ((batch * s.queries + t) * s.q_heads + head) * s.dim;
}
int64_t key_at(const AttentionShape& s, int64_t batch, int64_t key, int64_t head) {
  return ((batch * s.keys + key) * s.kv_heads + head) * s.dim;
}

}  // namespace

int64_t ranged_attention_scratch(const AttentionShape& s) {
  return worker_count() * s.keys * static_cast<int64_t>(sizeof(float));
}

void ranged_attention(const AttentionShape& s, const int32_t* ranges, int64_t count, const float* q, const float* k,
                      const float* v, float* o, float* lse, float* scratch) {
  parallel_for(s.batch * s.q_heads * s.queries, [&](int64_t task, int worker) {
    const int64_t t = task % s.queries, head = task / s.queries % s.q_heads, batch = task / s.queries / s.q_heads;
    const int64_t kv_head = head / (s.q_heads / s.kv_heads);
    const float* query = q + query_at(s, batch, t, head);
    const int32_t* mine = ranges + t * count * 2;
    float *scores = scratch + worker * s.keys, *out = o + query_at(s, batch, t, head);
    const int64_t n = each_seen(mine, count, [&](int64_t key, int64_t i) {
      scores[i] = s.scale * row_dot(query, k + key_at(s, batch, key, kv_head), s.dim);
    });
    memset(out, 0, static_cast<size_t>(s.dim) * sizeof(float));
    lse[task] = -__builtin_inff();
    if (n == 0) return;
    const float top = row_max(scores, n);
    lse[task] = top + vlog(splat(row_sum_exp(scores, top, n)))[0];
    for (int64_t i = 0; i < n; i += lanes) {
      const int64_t here = min64(lanes, n - i);
      store_some(scores + i, vexp(load_some(scores + i, here) - lse[task]), here);
    }
    each_seen(mine, count, [&](int64_t key, int64_t i) {
      row_axpy(out, scores[i], v + key_at(s, batch, key, kv_head), s.dim);
    });
  });
}

// The formulas of attention_backward.cc; a task owns one key head, so that dk and dv are summed in a fixed order.
void ranged_attention_backward(const AttentionShape& s, const int32_t* ranges, int64_t count, const float* d_o,
                               const float* q, const float* k, const float* v, const float* o, const float* lse,
                               float* dq, float* dk, float* dv) {
  const int64_t group = s.q_heads / s.kv_heads;
  const size_t row_bytes = static_cast<size_t>(s.dim) * sizeof(float);
  parallel_for(s.batch * s.kv_heads, [&](int64_t task, int) {
    const int64_t batch = task / s.kv_heads, kv_head = task % s.kv_heads;
    for (int64_t key = 0; key < s.keys; ++key) {
      memset(dk + key_at(s, batch, key, kv_head), 0, row_bytes);
      memset(dv + key_at(s, batch, key, kv_head), 0, row_bytes);
    }
    for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
      for (int64_t t = 0; t < s.queries; ++t) {
        const int64_t at = query_at(s, batch, t, head);
        const float log_sum = lse[(batch * s.q_heads + head) * s.queries + t];
        const float delta = row_dot(d_o + at, o + at, s.dim);
        memset(dq + at, 0, row_bytes);
        each_seen(ranges + t * count * 2, count, [&](int64_t key, int64_t) {
          const int64_t from = key_at(s, batch, key, kv_head);
          const float p = vexp(splat(s.scale * row_dot(q + at, k + from, s.dim) - log_sum))[0];
          const float slope = p * (row_dot(d_o + at, v + from, s.dim) - delta) * s.scale;
          row_axpy(dq + at, slope, k + from, s.dim);
          row_axpy(dk + from, slope, q + at, s.dim);
          row_axpy(dv + from, p, d_o + at, s.dim);
        });
      }
    }
  });
}

}  // namespace forge::FORGE_ISA
