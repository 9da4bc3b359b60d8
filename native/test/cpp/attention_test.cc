#include "check.h"
#include "ops/ops.h"

namespace forge::test {
namespace {

struct Setup {
  int64_t batch, queries, keys, q_heads, kv_heads, dim;
  bool causal;
  int64_t window;
};

struct Reference {
  std::vector<double> o, lse, dq, dk, dv;
};

/** The definition, in f64, with the full score matrix. */
Reference reference(const Setup& s, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& d_o, double scale,
                    int64_t capacity) {
  Reference r;
  r.o.assign(static_cast<size_t>(q.count()), 0);
  r.dq = r.o;
  r.dk.assign(static_cast<size_t>(k.count()), 0);
  r.dv = r.dk;
  for (int64_t b = 0; b < s.batch; ++b) {
    for (int64_t h = 0; h < s.q_heads; ++h) {
      const int64_t kh = h / (s.q_heads / s.kv_heads);
      for (int64_t t = 0; t < s.queries; ++t) {
        const int64_t position = s.keys - s.queries + t, qi = ((b * s.queries + t) * s.q_heads + h) * s.dim;
        const auto ki = [&](int64_t j) { return ((b * capacity + j) * s.kv_heads + kh) * s.dim; };
        std::vector<double> p(static_cast<size_t>(s.keys), 0);
        double sum = 0;
        const auto seen = [&](int64_t j) {
          return (!s.causal || j <= position) && (s.window == 0 || j > position - s.window);
        };
        for (int64_t j = 0; j < s.keys; ++j) {
          if (!seen(j)) continue;
          double score = 0;
          for (int64_t i = 0; i < s.dim; ++i) score += double{q.f32()[qi + i]} * double{k.f32()[ki(j) + i]};
          p[static_cast<size_t>(j)] = std::exp(score * scale);
          sum += p[static_cast<size_t>(j)];
        }
        r.lse.push_back(std::log(sum));
        if (sum == 0) continue;
        double delta = 0;
        for (int64_t j = 0; j < s.keys; ++j) {
          p[static_cast<size_t>(j)] /= sum;
          for (int64_t i = 0; i < s.dim; ++i) {
            r.o[static_cast<size_t>(qi + i)] += p[static_cast<size_t>(j)] * double{v.f32()[ki(j) + i]};
          }
        }
        for (int64_t i = 0; i < s.dim; ++i) delta += double{d_o.f32()[qi + i]} * r.o[static_cast<size_t>(qi + i)];
        for (int64_t j = 0; j < s.keys; ++j) {
          const double pj = p[static_cast<size_t>(j)];
          double dp = 0;
          for (int64_t i = 0; i < s.dim; ++i) dp += double{d_o.f32()[qi + i]} * double{v.f32()[ki(j) + i]};
          const double ds = pj * (dp - delta) * scale;
          for (int64_t i = 0; i < s.dim; ++i) {
            r.dq[static_cast<size_t>(qi + i)] += ds * double{k.f32()[ki(j) + i]};
            r.dk[static_cast<size_t>(ki(j) + i)] += ds * double{q.f32()[qi + i]};
            r.dv[static_cast<size_t>(ki(j) + i)] += pj * double{d_o.f32()[qi + i]};
          }
        }
      }
    }
  }
  return r;
}

void compare(const Setup& s) {
  const Tensor q = random_tensor({s.batch, s.queries, s.q_heads, s.dim}, 1);
  const Tensor k = random_tensor({s.batch, s.keys, s.kv_heads, s.dim}, 2);
  const Tensor v = random_tensor({s.batch, s.keys, s.kv_heads, s.dim}, 3);
  const Tensor d_o = random_tensor({s.batch, s.queries, s.q_heads, s.dim}, 4);
  const double scale = 1 / std::sqrt(static_cast<double>(s.dim));
  const Reference r = reference(s, q, k, v, d_o, scale, s.keys);
  Tensor o, lse, dq, dk, dv;
  CHECK_OK(ops::attention(q, k, v, s.causal, s.window, scale, -1, false, o, lse));
  // Exponentials to 2 ulp and sums of up to 600 terms.
  CHECK_CLOSE(o, r.o, 5e-6);
  CHECK_CLOSE(lse, r.lse, 5e-6);
  CHECK_OK(ops::attention_backward(d_o, q, k, v, o, lse, s.causal, s.window, scale, false, dq, dk, dv));
  CHECK_CLOSE(dq, r.dq, 2e-5);
  CHECK_CLOSE(dk, r.dk, 2e-5);
  CHECK_CLOSE(dv, r.dv, 2e-5);
}

}  // namespace

TEST(agrees_with_the_definition) {
  for_each_isa([] {
    compare({2, 33, 33, 4, 2, 16, true, 0});
    compare({1, 65, 65, 2, 2, 20, false, 0});
    compare({1, 130, 130, 2, 1, 64, true, 0});
    compare({1, 300, 300, 2, 1, 8, true, 0});
    compare({1, 5, 300, 3, 1, 7, true, 0});
    compare({1, 300, 300, 1, 1, 8, true, 40});
    compare({1, 20, 600, 1, 1, 5, false, 0});
    compare({2, 1, 9, 2, 1, 64, true, 0});
    compare({1, 3, 50, 2, 1, 33, true, 10});
  });
}

TEST(queries_without_keys_give_zero) {
  for_each_isa([] {
    compare({1, 9, 4, 2, 1, 8, true, 0});
    compare({1, 3, 1, 2, 1, 8, true, 0});
    compare({1, 70, 3, 2, 1, 8, true, 2});
    compare({1, 6, 0, 1, 1, 4, false, 0});
  });
}

TEST(kv_length_hides_unused_rows) {
  for_each_isa([] {
    for (const int64_t queries : {1, 7}) {
      const Tensor q = random_tensor({2, queries, 4, 16}, 1);
      const Tensor k = random_tensor({2, 50, 2, 16}, 2), v = random_tensor({2, 50, 2, 16}, 3);
      const Setup s{2, queries, 23, 4, 2, 16, true, 0};
      Tensor o, lse;
      CHECK_OK(ops::attention(q, k, v, true, 0, 0.25, 23, false, o, lse));
      CHECK_CLOSE(o, reference(s, q, k, v, q, 0.25, 50).o, 5e-6);
    }
  });
}

TEST(survives_large_scores) {
  for_each_isa([] {
    const Tensor q = random_tensor({1, 40, 1, 16}, 1, 30), k = random_tensor({1, 400, 1, 16}, 2, 30);
    Tensor o, lse;
    CHECK_OK(ops::attention(q, k, k, false, 0, 1, -1, false, o, lse));
    for (const double x : values(o)) CHECK(std::isfinite(x));
    for (const double x : values(lse)) CHECK(std::isfinite(x));
  });
}

TEST(refuses_shapes_and_ranges) {
  Tensor o, lse;
  const Tensor q = random_tensor({1, 2, 3, 8}, 1), k = random_tensor({1, 4, 2, 8}, 2);
  CHECK_FAILS(ops::attention(q, k, k, true, 0, 1, -1, false, o, lse), Code::shape, "attention", "[1, 2, 3, 8]", "[1, 4, 2, 8]");
  const Tensor ok = random_tensor({1, 4, 3, 8}, 3);
  CHECK_FAILS(ops::attention(q, ok, ok, true, 0, 1, 5, false, o, lse), Code::argument, "kvLength 5");
  CHECK_FAILS(ops::attention(q, ok, ok, false, 3, 1, -1, false, o, lse), Code::argument, "window 3");
  CHECK_FAILS(ops::attention(random_tensor({1, 2, 1, 300}, 1), random_tensor({1, 2, 1, 300}, 1),
                             random_tensor({1, 2, 1, 300}, 1), false, 0, 1, -1, false, o, lse),
              Code::shape, "D <= 256");
}

}  // namespace forge::test
