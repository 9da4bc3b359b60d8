#include "check.h"
#include "ops/ops.h"

namespace forge::test {

TEST(adamw_follows_the_published_update) {
  for_each_isa([] {
    constexpr int64_t n = 37;
    const Tensor p = random_tensor({n}, 1), m = tensor_of({n}, std::vector<double>(n, 0)), v = tensor_of({n}, std::vector<double>(n, 0));
    std::vector<double> ep = values(p), em(n, 0), ev(n, 0);
    const double lr = 1e-2, beta1 = 0.9, beta2 = 0.95, eps = 1e-8, decay = 0.1, scale = 0.5;
    for (int64_t step = 1; step <= 10; ++step) {
      const Tensor g = random_tensor({n}, static_cast<unsigned>(step + 10));
      CHECK_OK(ops::adamw(p, g, m, v, lr, beta1, beta2, eps, decay, step, scale));
      for (size_t i = 0; i < n; ++i) {
        const double grad = scale * double{g.f32()[i]};
        em[i] = beta1 * em[i] + (1 - beta1) * grad;
        ev[i] = beta2 * ev[i] + (1 - beta2) * grad * grad;
        const double t = static_cast<double>(step);
        ep[i] -= lr * decay * ep[i];
        ep[i] -= lr * (em[i] / (1 - std::pow(beta1, t))) / (std::sqrt(ev[i] / (1 - std::pow(beta2, t))) + eps);
      }
    }
    CHECK_CLOSE(p, ep, 2e-6);
    CHECK_CLOSE(m, em, 1e-6);
    CHECK_CLOSE(v, ev, 1e-6);
  });
}

TEST(adamw_refuses_wrong_arguments_and_changes_nothing) {
  const Tensor p = random_tensor({3}, 1), other = random_tensor({4}, 2);
  const std::vector<double> before = values(p);
  CHECK_FAILS(ops::adamw(p, other, p, p, 1, 0.9, 0.9, 1e-8, 0, 1, 1), Code::shape, "adamw", "[3]", "[4]");
  CHECK_FAILS(ops::adamw(p, p, p, p, 1, 0.9, 0.9, 1e-8, 0, 0, 1), Code::argument, "step 0");
  CHECK_FAILS(ops::adamw(p, p, p, p, 1, 1.0, 0.9, 1e-8, 0, 1, 1), Code::argument, "beta1 1");
  CHECK_CLOSE(p, before, 0);
}

}  // namespace forge::test
