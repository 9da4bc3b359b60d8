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

/** A row of any width, where it lies. */
struct RowInMemory {
  float* at;
  int64_t n;
  RowInMemory(float* row, int64_t width) : at(row), n(width) {}
  void clear() { memset(at, 0, static_cast<size_t>(n) * sizeof(float)); }
  void read() {}
  void write() {}
  float dot(const float* x) const { return row_dot(at, x, n); }
  void add(float p, const float* x) { row_axpy(at, p, x, n); }
};

/** A row of V whole vectors, in registers between read() or clear() and write(). */
template <int V>
struct RowInRegisters {
  float* at;
  vf part[V];
  RowInRegisters(float* row, int64_t) : at(row) {}
  void clear() {
    for (int j = 0; j < V; ++j) part[j] = vf{};
  }
  void read() {
    for (int j = 0; j < V; ++j) part[j] = load(at + j * lanes);
  }
  void write() {
    for (int j = 0; j < V; ++j) store(at + j * lanes, part[j]);
  }
  float dot(const float* x) const {
    vf total = part[0] * load(x);
    for (int j = 1; j < V; ++j) total += part[j] * load(x + j * lanes);
    return sum_lanes(total);
  }
  void add(float p, const float* x) {
    const vf factor = splat(p);
    for (int j = 0; j < V; ++j) part[j] += factor * load(x + j * lanes);
  }
};

/** Calls f with the kind of row that a width has. */
template <class F>
void with_rows_of(int64_t width, const F& f) {
  if (width == 2 * lanes) return f(static_cast<RowInRegisters<2>*>(nullptr));
  if (width == 4 * lanes) return f(static_cast<RowInRegisters<4>*>(nullptr));
  if (width == 8 * lanes) return f(static_cast<RowInRegisters<8>*>(nullptr));
  f(static_cast<RowInMemory*>(nullptr));
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

/** One query of one head; tasks count rows of the batch, heads and queries. */
template <class Row>
void attend(const AttentionShape& s, const int32_t* ranges, int64_t count, const float* q, const float* k, const float* v,
            float* o, float* lse, float* scores, int64_t task) {
  const int64_t t = task % s.queries, head = task / s.queries % s.q_heads, batch = task / s.queries / s.q_heads;
  const int64_t kv_head = head / (s.q_heads / s.kv_heads), at = query_at(s, batch, t, head);
  const int32_t* mine = ranges + t * count * 2;
  Row query(const_cast<float*>(q + at), s.dim), out(o + at, s.dim);
  query.read();
  const int64_t n = each_seen(mine, count, [&](int64_t key, int64_t i) {
    scores[i] = s.scale * query.dot(k + key_at(s, batch, key, kv_head));
  });
  out.clear();
  lse[task] = -__builtin_inff();
  if (n > 0) {
    const float top = row_max(scores, n);
    lse[task] = top + vlog(splat(row_sum_exp(scores, top, n)))[0];
    for (int64_t i = 0; i < n; i += lanes) {
      const int64_t here = min64(lanes, n - i);
      store_some(scores + i, vexp(load_some(scores + i, here) - lse[task]), here);
    }
    each_seen(mine, count,
              [&](int64_t key, int64_t i) { out.add(scores[i], v + key_at(s, batch, key, kv_head)); });
  }
  out.write();
}

/** Gradients that query t of a head gives; the formulas of attention_backward.cc. */
template <class Row>
void give_back(const AttentionShape& s, const int32_t* mine, int64_t count, int64_t batch, int64_t head, int64_t kv_head,
               int64_t t, const float* d_o, const float* q, const float* k, const float* v, const float* o,
               const float* lse, float* dq, float* dk, float* dv) {
  const int64_t at = query_at(s, batch, t, head);
  const float log_sum = lse[(batch * s.q_heads + head) * s.queries + t];
  Row query(const_cast<float*>(q + at), s.dim), slopes(const_cast<float*>(d_o + at), s.dim), mixed(dq + at, s.dim);
  query.read();
  slopes.read();
  mixed.clear();
  const float delta = slopes.dot(o + at);
  for (int64_t r = 0; r < count; ++r) {
    for (int64_t first = mine[2 * r]; first < mine[2 * r + 1]; first += lanes) {
      const int64_t here = min64(lanes, mine[2 * r + 1] - first);
      float p[lanes] = {};
      for (int64_t i = 0; i < here; ++i) p[i] = s.scale * query.dot(k + key_at(s, batch, first + i, kv_head));
      store(p, vexp(load(p) - log_sum));
      for (int64_t i = 0; i < here; ++i) {
        const int64_t from = key_at(s, batch, first + i, kv_head);
        const float slope = p[i] * (slopes.dot(v + from) - delta) * s.scale;
        mixed.add(slope, k + from);
        row_axpy(dk + from, slope, q + at, s.dim);
        row_axpy(dv + from, p[i], d_o + at, s.dim);
      }
    }
  }
  mixed.write();
}

}  // namespace

int64_t ranged_attention_scratch(const AttentionShape& s) {
  return worker_count() * s.keys * static_cast<int64_t>(sizeof(float));
}

void ranged_attention(const AttentionShape& s, const int32_t* ranges, int64_t count, const float* q, const float* k,
                      const float* v, float* o, float* lse, float* scratch) {
  with_rows_of(s.dim, [&]<class Row>(Row*) {
    parallel_for(s.batch * s.q_heads * s.queries, [&](int64_t task, int worker) {
      attend<Row>(s, ranges, count, q, k, v, o, lse, scratch + worker * s.keys, task);
    });
  });
}

// A task owns one key head, so that dk and dv are summed in a fixed order.
void ranged_attention_backward(const AttentionShape& s, const int32_t* ranges, int64_t count, const float* d_o,
                               const float* q, const float* k, const float* v, const float* o, const float* lse,
                               float* dq, float* dk, float* dv) {
  const int64_t group = s.q_heads / s.kv_heads;
  const size_t row_bytes = static_cast<size_t>(s.dim) * sizeof(float);
  with_rows_of(s.dim, [&]<class Row>(Row*) {
    parallel_for(s.batch * s.kv_heads, [&](int64_t task, int) {
      const int64_t batch = task / s.kv_heads, kv_head = task % s.kv_heads;
      for (int64_t key = 0; key < s.keys; ++key) {
        memset(dk + key_at(s, batch, key, kv_head), 0, row_bytes);
        memset(dv + key_at(s, batch, key, kv_head), 0, row_bytes);
      }
      for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
        for (int64_t t = 0; t < s.queries; ++t)
          give_back<Row>(s, ranges + t * count * 2, count, batch, head, kv_head, t, d_o, q, k, v, o, lse, dq, dk, dv);
      }
    });
  });
}

}  // namespace forge::FORGE_ISA
