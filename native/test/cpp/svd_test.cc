#include <cstring>

#include "check.h"
#include "ops/ops.h"

namespace forge::test {
namespace {

struct Factors {
  Tensor u, s, vt;
};

Factors factors_of(const Tensor& x) {
  Factors f;
  CHECK_OK(ops::svd(x, f.u, f.s, f.vt));
  return f;
}

/** u·diag(s)·vt in f64. */
std::vector<double> product(const Factors& f) {
  const int64_t rows = f.u.shape()[0], rank = f.s.count(), columns = f.vt.shape()[1];
  std::vector<double> x;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < rank; ++k) {
        sum += double{f.u.f32()[i * rank + k]} * double{f.s.f32()[k]} * double{f.vt.f32()[k * columns + j]};
      }
      x.push_back(sum);
    }
  }
  return x;
}

/** Largest |⟨a, b⟩ − [a = b]| over pairs of columns of x[rows, columns], or of rows. */
double away_from_orthonormal(const Tensor& x, bool by_rows) {
  const int64_t count = x.shape()[by_rows ? 0 : 1], length = x.shape()[by_rows ? 1 : 0], width = x.shape()[1];
  double worst = 0;
  for (int64_t a = 0; a < count; ++a) {
    for (int64_t b = 0; b <= a; ++b) {
      double sum = a == b ? -1 : 0;
      for (int64_t i = 0; i < length; ++i) {
        sum += by_rows ? double{x.f32()[a * width + i]} * x.f32()[b * width + i]
                       : double{x.f32()[i * width + a]} * x.f32()[i * width + b];
      }
      worst = std::max(worst, std::fabs(sum));
    }
  }
  return worst;
}

}  // namespace

TEST(svd_factors_multiply_to_the_matrix_and_are_orthonormal) {
  for_each_isa([] {
    for (const Shape& shape : std::vector<Shape>{{1, 1}, {5, 3}, {3, 5}, {17, 17}, {40, 7}, {7, 40}, {65, 33}}) {
      const Tensor x = random_tensor(shape, 1);
      const Factors f = factors_of(x);
      CHECK_CLOSE(tensor_of(shape, product(f)), values(x), 2e-6);
      CHECK(away_from_orthonormal(f.u, false) < 1e-6);
      CHECK(away_from_orthonormal(f.vt, true) < 1e-6);
      for (int64_t k = 1; k < f.s.count(); ++k) CHECK(f.s.f32()[k] <= f.s.f32()[k - 1]);
      for (int64_t k = 0; k < f.s.count(); ++k) CHECK(f.s.f32()[k] >= 0);
    }
  });
}

TEST(svd_completes_the_basis_of_matrices_without_full_rank) {
  for_each_isa([] {
    std::vector<double> rank_one;
    for (int i = 0; i < 6; ++i) {
      for (int j = 0; j < 4; ++j) rank_one.push_back((i + 1.0) * (j - 1.5));
    }
    for (const Shape& shape : std::vector<Shape>{{6, 4}, {4, 6}}) {
      const Factors f = factors_of(tensor_of(shape, shape[0] == 6 ? rank_one : std::vector<double>(24, 2.0)));
      CHECK(f.s.f32()[0] > 1 && f.s.f32()[1] == 0 && f.s.f32()[3] == 0);
      CHECK(away_from_orthonormal(f.u, false) < 1e-6);
      CHECK(away_from_orthonormal(f.vt, true) < 1e-6);
    }
    const Factors nothing = factors_of(tensor_of({3, 2}, std::vector<double>(6, 0)));
    CHECK_CLOSE(nothing.s, (std::vector<double>{0, 0}), 0);
    CHECK(away_from_orthonormal(nothing.u, false) < 1e-6);
    CHECK(factors_of(tensor_of({0, 3}, {})).vt.shape() == (Shape{0, 3}));
  });
}

TEST(svd_converges_on_matrices_of_rank_one) {
  for (const Shape& shape : {Shape{32, 256}, Shape{256, 32}, Shape{16, 16}, Shape{100, 100}, Shape{31, 77}}) {
    for (const double value : {1.0, 0.001, 3.7, 1e30, 1e-30}) {
      Tensor x, u, s, vt;
      CHECK_OK(ops::full(DType::f32, shape, value, x));
      CHECK_OK(ops::svd(x, u, s, vt));
      const double largest = std::sqrt(static_cast<double>(shape.count())) * static_cast<double>(x.f32()[0]);
      CHECK(std::fabs(s.f32()[0] / largest - 1) < 1e-6);
      for (int64_t i = 1; i < s.count(); ++i) CHECK(s.f32()[i] == 0);
    }
  }
}

TEST(svd_gives_the_same_bytes_on_every_instruction_set) {
  const Tensor x = random_tensor({33, 20}, 2);
  std::vector<Factors> results;
  for_each_isa([&] { results.push_back(factors_of(x)); });
  for (const Factors& f : results) {
    CHECK(std::memcmp(f.u.data(), results[0].u.data(), static_cast<size_t>(f.u.bytes())) == 0);
    CHECK(std::memcmp(f.s.data(), results[0].s.data(), static_cast<size_t>(f.s.bytes())) == 0);
    CHECK(std::memcmp(f.vt.data(), results[0].vt.data(), static_cast<size_t>(f.vt.bytes())) == 0);
  }
}

TEST(svd_refuses_what_is_not_a_finite_matrix) {
  Tensor u, s, vt;
  CHECK_FAILS(ops::svd(random_tensor({3}, 1), u, s, vt), Code::shape, "svd", "[3]");
  CHECK_FAILS(ops::svd(tensor_of({1, 2}, {1, std::nan("")}), u, s, vt), Code::argument, "not finite");
}

TEST(newton_schulz_maps_singular_values_as_computed_by_hand) {
  for_each_isa([] {
    Tensor y;
    CHECK_OK(ops::newton_schulz(tensor_of({2, 2}, {1, 2, 3, 4}), 5, y));
    CHECK_CLOSE(y, (std::vector<double>{-.68066099, .82553961, .74129542, .25944003}), 1e-5);
    const double in[] = {.001, .01, .05, .1, .3, .5, .8, 1}, out[] = {.4705, .6989, .7581, .7121, 1.0796, .7654, 1.1192, .6964};
    for (int i = 0; i < 8; ++i) {
      // A diagonal of norm 1 with the value in place: the other entry carries the rest of the norm.
      const double rest = std::sqrt(1 - in[i] * in[i]);
      CHECK_OK(ops::newton_schulz(tensor_of({2, 2}, {in[i], 0, 0, rest}), 5, y));
      CHECK(std::fabs(y.f32()[0] - out[i]) < 2e-4);
    }
    const Tensor x = random_tensor({19, 7}, 3);  // tall and wide agree: the shorter side is multiplied out
    Tensor turned, flat;
    CHECK_OK(ops::permute(x, {1, 0}, turned));
    CHECK_OK(ops::newton_schulz(x, 5, y));
    CHECK_OK(ops::newton_schulz(turned, 5, flat));
    CHECK_OK(ops::permute(flat, {1, 0}, turned));
    CHECK_CLOSE(turned, values(y), 1e-5);
    CHECK_FAILS(ops::newton_schulz(x, 101, y), Code::argument, "101 steps");
    CHECK_FAILS(ops::newton_schulz(random_tensor({3}, 1), 5, y), Code::shape, "newtonSchulz");
  });
}

TEST(muon_moves_by_the_orthogonalised_momentum) {
  for_each_isa([] {
    for (const bool nesterov : {false, true}) {
      const Tensor p = random_tensor({12, 5}, 1), m = random_tensor({12, 5}, 2), g = random_tensor({12, 5}, 3);
      const Tensor u = random_tensor({12, 5}, 4);
      std::vector<double> momentum, expected;
      for (int64_t i = 0; i < 60; ++i) {
        momentum.push_back(0.9 * m.f32()[i] + 0.1 * 0.5 * g.f32()[i]);
        u.f32()[i] = static_cast<float>(nesterov ? 0.9 * momentum.back() + 0.1 * 0.5 * g.f32()[i] : momentum.back());
      }
      Tensor direction;
      CHECK_OK(ops::newton_schulz(u, 5, direction));
      for (int64_t i = 0; i < 60; ++i) {
        expected.push_back(p.f32()[i] * (1 - 0.02 * 0.1) - 0.02 * std::sqrt(12.0 / 5) * direction.f32()[i]);
      }
      CHECK_OK(ops::muon(p, g, m, 0.02, 0.9, nesterov, 0.1, 5, 0.5));
      CHECK_CLOSE(p, expected, 1e-5);
      CHECK_CLOSE(m, momentum, 1e-6);
    }
    const Tensor p = random_tensor({2, 3}, 1);
    CHECK_FAILS(ops::muon(p, random_tensor({3, 2}, 1), p, 1, 0.9, true, 0, 5, 1), Code::shape, "muon");
    CHECK_FAILS(ops::muon(p, p, p, 1, 1, true, 0, 5, 1), Code::argument, "momentum 1");
  });
}

}  // namespace forge::test
