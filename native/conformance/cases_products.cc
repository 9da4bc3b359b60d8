#include <array>

#include "cases.h"
#include "ops/ops.h"

/** Products of matrices. */
namespace forge::conformance {

void product_cases(List& list) {
  const auto run = [&](int64_t m, int64_t n, int64_t k, bool trans_a, bool trans_b, int64_t batch, double beta) {
    const std::string size = std::to_string(batch) + " of " + std::to_string(m) + "x" + std::to_string(n) + "x" +
                             std::to_string(k) + (trans_a ? " aT" : "") + (trans_b ? " bT" : "") +
                             (beta != 0 ? " added" : "");
    list.add("matmul", product, size, [=](Trial& t) {
      const auto shape = [batch](int64_t rows, int64_t columns) {
        return batch == 0 ? Shape{rows, columns} : Shape{batch, rows, columns};
      };
      const Tensor a = t.normal(trans_a ? shape(k, m) : shape(m, k)), b = t.normal(trans_b ? shape(n, k) : shape(k, n));
      const Tensor c = t.normal(shape(m, n));
      Tensor y;
      t.check(ops::matmul(a, b, trans_a, trans_b, beta == 0 ? nullptr : &c, beta, y));
      t.out(y);
    });
  };
  for (const bool trans_a : {false, true}) {
    for (const bool trans_b : {false, true}) {
      run(64, 64, 64, trans_a, trans_b, 0, 0);
      run(33, 70, 19, trans_a, trans_b, 3, 0);
      run(5, 130, 65, trans_a, trans_b, 0, 0.5);
    }
  }
  run(1, 1, 1, false, false, 0, 0);
  run(1, 300, 40, false, true, 0, 0);
  run(130, 129, 20, false, false, 60, 0);  // enough tiles for the large kernel
  run(0, 5, 4, false, false, 0, 0);
  run(5, 4, 0, false, false, 0, 0);
  run(5, 4, 0, false, false, 0, 0.5);
  list.add("matmul", product, "[2, 3, 20] x [20, 9], operands not aligned", [](Trial& t) {
    const Tensor a = t.unaligned(t.normal({2, 3, 20})), b = t.unaligned(t.normal({20, 9}));
    Tensor y;
    t.check(ops::matmul(a, b, false, false, nullptr, 0, y));
    t.out(y);
  });
}

void rounded_product_cases(List& list) {
  // From 2^27 multiply-adds on, a library makes the product where there is one.
  for (const bool trans_a : {false, true}) {
    for (const bool trans_b : {false, true}) {
      const std::string layout = std::string(trans_a ? " aT" : "") + (trans_b ? " bT" : "");
      list.add("matmulBf16", product, "3 of 390x203x601, added: for the library" + layout, [=](Trial& t) {
        const Tensor a = t.normal(trans_a ? Shape{3, 601, 390} : Shape{3, 390, 601});
        const Tensor b = t.normal(trans_b ? Shape{3, 203, 601} : Shape{3, 601, 203}), c = t.normal({3, 390, 203});
        Tensor y;
        t.check(ops::matmul_bf16(a, b, trans_a, trans_b, &c, 0.5, y));
        t.out(y);
      });
    }
  }
  list.add("matmulBf16", product, "513x512x512, operands not aligned: for the library", [](Trial& t) {
    const Tensor a = t.unaligned(t.normal({513, 512})), b = t.unaligned(t.normal({512, 512}));
    Tensor y;
    t.check(ops::matmul_bf16(a, b, false, true, nullptr, 0, y));
    t.out(y);
  });
  list.add("matmulBf16", product, "25 of 130x129x20, added: the large tile", [](Trial& t) {
    const Tensor a = t.normal({25, 130, 20}), b = t.normal({25, 20, 129}), c = t.normal({25, 130, 129});
    Tensor y;
    t.check(ops::matmul_bf16(a, b, false, false, &c, 0.5, y));
    t.out(y);
  });
  list.add("matmulBf16", product, "infinities and NaN", [](Trial& t) {
    Tensor y;
    t.check(ops::matmul_bf16(t.floats({3, 2}, {INFINITY, 1, NAN, 1, 3.4e38f, 0}), t.floats({2, 2}, {1, 2, 3, 4}), false,
                             false, nullptr, 0, y));
    t.out(y);
  });
  for (const bool trans_a : {false, true}) {
    for (const bool trans_b : {false, true}) {
      for (const auto& [m, n, k] : {std::array<int64_t, 3>{64, 64, 64}, {33, 70, 19}, {129, 65, 50}, {5, 4, 0}}) {
        const std::string size = std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k) +
                                 (trans_a ? " aT" : "") + (trans_b ? " bT" : "");
        list.add("matmulBf16", product, size, [=, m = m, n = n, k = k](Trial& t) {
          const Tensor a = t.normal(trans_a ? Shape{k, m} : Shape{m, k}), b = t.normal(trans_b ? Shape{n, k} : Shape{k, n});
          Tensor y;
          t.check(ops::matmul_bf16(a, b, trans_a, trans_b, nullptr, 0, y));
          t.out(y);
        });
      }
    }
  }
}

}  // namespace forge::conformance
