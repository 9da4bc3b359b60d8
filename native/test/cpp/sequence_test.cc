#include "check.h"
#include "ops/ops.h"

/** Divergence, dropout, choices, recurrences, masked attention, epilogues, the Grokfast filter: against plain loops. */
namespace forge::test {
namespace {

const std::vector<Shape> shapes{{0, 5}, {1, 1}, {3, 7}, {5, 16}, {35, 33}};

std::vector<double> softmax_row(const Tensor& x, int64_t row, int64_t width) {
  std::vector<double> p;
  double total = 0;
  for (int64_t i = 0; i < width; ++i) {
    p.push_back(std::exp(double{x.f32()[row * width + i]}));
    total += p.back();
  }
  for (double& v : p) v /= total;
  return p;
}

}  // namespace

TEST(kl_divergence_agrees_with_plain_loops_and_differences) {
  for_each_isa([] {
    Tensor loss, lse_t, lse_z, dt, dz;
    for (const Shape& shape : shapes) {
      const Tensor t = random_tensor(shape, 1, 2), z = random_tensor(shape, 2, 2);
      std::vector<double> expected;
      for (int64_t row = 0; row < shape[0]; ++row) {
        const auto p = softmax_row(t, row, shape[1]), q = softmax_row(z, row, shape[1]);
        expected.push_back(0);
        for (size_t i = 0; i < p.size(); ++i) expected.back() += p[i] * std::log(p[i] / q[i]);
      }
      CHECK_OK(ops::kl_divergence(t, z, loss, lse_t, lse_z));
      CHECK_CLOSE(loss, expected, 2e-6);
    }
    const Tensor t = random_tensor({4, 19}, 3), z = random_tensor({4, 19}, 4), weights = random_tensor({4}, 5);
    const auto f = [&] {
      CHECK_OK(ops::kl_divergence(t, z, loss, lse_t, lse_z));
      return inner(loss, weights);
    };
    f();
    CHECK_OK(ops::kl_divergence_backward(t, z, loss, lse_t, lse_z, &weights, 1, dt, dz));
    CHECK_CLOSE(dt, finite_difference(t, 1e-2, f), 2e-3);
    CHECK_CLOSE(dz, finite_difference(z, 1e-2, f), 2e-3);
    const double never = -INFINITY;
    CHECK_OK(ops::kl_divergence(tensor_of({1, 3}, {1, never, 2}), tensor_of({1, 3}, {1, 0, 2}), loss, lse_t, lse_z));
    CHECK(std::isfinite(loss.f32()[0]));
    CHECK_FAILS(ops::kl_divergence(t, weights, loss, lse_t, lse_z), Code::shape, "klDivergence", "[4, 19]", "[4]");
  });
}

TEST(linear_scan_agrees_with_plain_loops_and_differences) {
  for_each_isa([] {
    for (const Shape& shape : std::vector<Shape>{{1, 0, 3}, {2, 1, 1}, {2, 9, 37}, {1, 5, 130}}) {
      const Tensor a = random_tensor(shape, 1, 0.5), b = random_tensor(shape, 2), h0 = random_tensor({shape[0], shape[2]}, 3);
      std::vector<double> expected(static_cast<size_t>(a.count()));
      for (int64_t i = 0; i < a.count(); ++i) {
        const int64_t channel = i % shape[2], t = i / shape[2] % shape[1], entry = i / shape[2] / shape[1];
        const double before = t == 0 ? h0.f32()[entry * shape[2] + channel] : expected[static_cast<size_t>(i - shape[2])];
        expected[static_cast<size_t>(i)] = double{a.f32()[i]} * before + b.f32()[i];
      }
      Tensor h;
      CHECK_OK(ops::linear_scan(a, b, &h0, h));
      CHECK_CLOSE(h, expected, 1e-5);
    }
    const Shape shape{2, 4, 19};
    const Tensor a = random_tensor(shape, 1), b = random_tensor(shape, 2), h0 = random_tensor({2, 19}, 3);
    const Tensor dh = random_tensor(shape, 4);
    Tensor h, da, db, dh0;
    const auto f = [&] {
      CHECK_OK(ops::linear_scan(a, b, &h0, h));
      return inner(h, dh);
    };
    f();
    CHECK_OK(ops::linear_scan_backward(dh, a, h, &h0, da, db, dh0));
    CHECK_CLOSE(da, finite_difference(a, 1e-2, f), 5e-3);
    CHECK_CLOSE(db, finite_difference(b, 1e-2, f), 5e-3);
    CHECK_CLOSE(dh0, finite_difference(h0, 1e-2, f), 5e-3);
    CHECK_FAILS(ops::linear_scan(a, h0, nullptr, h), Code::shape, "linearScan");
    CHECK_FAILS(ops::linear_scan(a, b, &a, h), Code::shape, "linearScan", "h0");
  });
}

TEST(ranged_attention_is_attention_where_the_mask_is_causal) {
  for_each_isa([] {
    for (const int64_t length : {int64_t{1}, int64_t{7}, int64_t{37}}) {
      const Tensor q = random_tensor({2, length, 4, 24}, 1), k = random_tensor({2, length, 2, 24}, 2);
      const Tensor v = random_tensor({2, length, 2, 24}, 3), d_o = random_tensor({2, length, 4, 24}, 4);
      std::vector<int32_t> list;
      for (int64_t t = 0; t < length; ++t) {  // the prefix in two ranges, and an empty one
        const auto end = static_cast<int32_t>(t + 1);
        list.insert(list.end(), {0, end / 2, end / 2, end / 2, end / 2, end});
      }
      const Tensor ranges = tensor_of_i32({length, 3, 2}, list);
      Tensor o, lse, dq, dk, dv, mine, my_lse, my_dq, my_dk, my_dv;
      CHECK_OK(ops::attention(q, k, v, true, 0, 0.3, -1, false, o, lse));
      CHECK_OK(ops::ranged_attention(q, k, v, ranges, 0.3, mine, my_lse));
      CHECK_CLOSE(mine, values(o), 2e-6);
      CHECK_CLOSE(my_lse, values(lse), 2e-6);
      CHECK_OK(ops::attention_backward(d_o, q, k, v, o, lse, true, 0, 0.3, false, dq, dk, dv));
      CHECK_OK(ops::ranged_attention_backward(d_o, q, k, v, mine, my_lse, ranges, 0.3, my_dq, my_dk, my_dv));
      CHECK_CLOSE(my_dq, values(dq), 1e-5);
      CHECK_CLOSE(my_dk, values(dk), 1e-5);
      CHECK_CLOSE(my_dv, values(dv), 1e-5);
    }
    const Tensor q = random_tensor({1, 1, 1, 4}, 1), k = random_tensor({1, 3, 1, 4}, 2);
    Tensor o, lse;
    for (const std::vector<int32_t>& wrong : std::vector<std::vector<int32_t>>{{0, 4}, {-1, 2}, {2, 1}}) {
      CHECK_FAILS(ops::ranged_attention(q, k, k, tensor_of_i32({1, 1, 2}, wrong), 1, o, lse), Code::argument, "ascending");
    }
    CHECK_FAILS(ops::ranged_attention(q, k, k, tensor_of_i32({2, 1, 2}, {0, 1, 0, 1}), 1, o, lse), Code::shape, "ranges");
  });
}

TEST(dropout_top_k_and_categorical_choose_as_they_say) {
  for_each_isa([] {
    const Tensor x = random_tensor({9001}, 1);
    Tensor y, again, uniform = random_tensor({9001}, 2);
    CHECK_OK(ops::philox_uniform(uniform, 7, 8, 9, 0, nullptr));
    CHECK_OK(ops::dropout(x, 0.25, 7, 8, 9, 0, nullptr, y));
    std::vector<double> expected;
    for (int64_t i = 0; i < x.count(); ++i) expected.push_back(uniform.f32()[i] < 0.75f ? x.f32()[i] / 0.75 : 0);
    CHECK_CLOSE(y, expected, 1e-6);
    CHECK_FAILS(ops::dropout(x, 1, 7, 8, 9, 0, nullptr, y), Code::argument, "probability 1");

    Tensor largest, index;
    CHECK_OK(ops::top_k(tensor_of({2, 4}, {1, 4, 4, 2, -1, -2, -3, -4}), 3, largest, index));
    CHECK_CLOSE(largest, (std::vector<double>{4, 4, 2, -1, -2, -3}), 0);
    CHECK_CLOSE(index, (std::vector<double>{1, 2, 3, 0, 1, 2}), 0);
    CHECK_FAILS(ops::top_k(x, 0, largest, index), Code::argument, "topK");

    const Tensor logits = tensor_of({3, 2}, {0, -INFINITY, -INFINITY, 5, 1, -INFINITY});
    CHECK_OK(ops::categorical(logits, 1, 2, 3, 0, y));
    CHECK_CLOSE(y, (std::vector<double>{0, 1, 0}), 0);
    CHECK_FAILS(ops::categorical(tensor_of({1, 2}, {std::nan(""), 1}), 1, 2, 3, 0, y), Code::argument, "row 0");
  });
}

TEST(bias_and_activation_follow_in_place) {
  for_each_isa([] {
    const std::vector<std::function<double(double)>> functions{
        [](double x) { return x; }, [](double x) { return std::max(x, 0.0); },
        [](double x) { return std::pow(std::max(x, 0.0), 2); }, [](double x) { return x / (1 + std::exp(-x)); },
        [](double x) { return 1 / (1 + std::exp(-x)); }, [](double x) { return std::tanh(x); }};
    for (const Shape& shape : shapes) {
      for (size_t activation = 0; activation < functions.size(); ++activation) {
        const Tensor y = random_tensor(shape, 1), bias = random_tensor({shape[1]}, 2);
        std::vector<double> expected;
        for (int64_t i = 0; i < y.count(); ++i) {
          expected.push_back(functions[activation](double{y.f32()[i]} + bias.f32()[i % shape[1]]));
        }
        CHECK_OK(ops::bias_activation(y, &bias, static_cast<int64_t>(activation)));
        CHECK_CLOSE(y, expected, 1e-6);
      }
    }
    const Tensor y = random_tensor({2, 3}, 1), bias = random_tensor({2}, 2);
    CHECK_FAILS(ops::bias_activation(y, &bias, 0), Code::shape, "[2, 3]", "[2]");
    CHECK_FAILS(ops::bias_activation(y, nullptr, 6), Code::argument, "activation 6");
  });
}

TEST(adamw_behind_grokfast_is_adamw_on_the_filtered_gradient) {
  for_each_isa([] {
    constexpr int64_t n = 37;
    const auto zeros = [] { return tensor_of({n}, std::vector<double>(n, 0)); };
    const Tensor p = random_tensor({n}, 1), other = random_tensor({n}, 1), mu = zeros(), m = zeros(), v = zeros();
    const Tensor m2 = zeros(), v2 = zeros();
    std::vector<double> slow(n, 0);
    for (int64_t step = 1; step <= 5; ++step) {
      const Tensor g = random_tensor({n}, static_cast<unsigned>(step + 10)), filtered = zeros();
      for (size_t i = 0; i < n; ++i) {
        const double scaled = 0.5 * g.f32()[i];
        slow[i] = step == 1 ? scaled : 0.98 * slow[i] + 0.02 * scaled;
        filtered.f32()[i] = static_cast<float>(scaled + 2 * slow[i]);
      }
      CHECK_OK(ops::adamw_grokfast(p, g, mu, m, v, 1e-2, 0.9, 0.95, 1e-8, 0.1, step, 0.5, 0.98, 2, step == 1));
      CHECK_OK(ops::adamw(other, filtered, m2, v2, 1e-2, 0.9, 0.95, 1e-8, 0.1, step, 1));
      CHECK_CLOSE(p, values(other), 2e-6);
      CHECK_CLOSE(mu, slow, 1e-6);
    }
    CHECK_FAILS(ops::adamw_grokfast(p, p, mu, m, v, 1, 0.9, 0.9, 1, 0, 1, 1, 1, 2, true), Code::argument, "alpha 1");
  });
}

}  // namespace forge::test
