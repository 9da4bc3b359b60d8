#include <array>
#include <cmath>

#include "cases.h"
#include "core/backend.h"
#include "ops/ops.h"

/** One line per op and size: regular, odd, empty, and what the op's kernel treats apart. */
namespace forge::conformance {
namespace {

const std::vector<float> edges{0.0f, -0.0f, 1.0f, -1.0f, 88.0f, -104.0f, 1e-38f, 1e30f, INFINITY, -INFINITY, NAN};

void elementwise(List& list) {
  using Two = Status (*)(const Tensor&, const Tensor&, Tensor&);
  const std::pair<const char*, Two> twos[] = {{"add", ops::add}, {"sub", ops::sub}, {"mul", ops::mul}, {"div", ops::div}};
  for (const auto& [name, op] : twos) {
    const auto run = [list = &list, name = name, op = op](const Shape& a, const Shape& b) {
      list->add(name, rounded, a.text() + " " + b.text(), [=](Trial& t) {
        const Tensor x = t.normal(a), y = t.uniform(b, 0.5, 2);
        Tensor z;
        t.check(op(x, y, z));
        t.out(z);
      });
    };
    run({64, 32}, {64, 32});
    run({5, 7, 3}, {7, 3});
    run({1000, 33}, {1});
    run({0, 4}, {4});
  }
  using One = Status (*)(const Tensor&, Tensor&);
  const std::tuple<const char*, One, Tolerance> ones[] = {
      {"neg", ops::neg, moved},        {"exp", ops::exp, elementary},   {"log", ops::log, elementary},
      {"tanh", ops::tanh, elementary}, {"silu", ops::silu, elementary}, {"sigmoid", ops::sigmoid, elementary},
      {"relu", ops::relu, moved},      {"relu2", ops::relu2, rounded},  {"sqrt", ops::sqrt, rounded},
      {"abs", ops::abs, moved},        {"sign", ops::sign, moved}};
  for (const auto& [name, op, tolerance] : ones) {
    const auto run = [op = op](const Shape& shape, bool special) {
      return [=](Trial& t) {
        const Tensor x = special ? t.floats(shape, edges) : t.normal(shape, 3);
        Tensor y;
        t.check(op(x, y));
        t.out(y);
      };
    };
    list.add(name, tolerance, "[64, 32]", run({64, 32}, false));
    list.add(name, tolerance, "[1237]", run({1237}, false));
    list.add(name, tolerance, "[0]", run({0}, false));
    list.add(name, tolerance, "zeros, infinities, NaN", run({static_cast<int64_t>(edges.size())}, true));
  }
  const std::pair<const char*, Two> slopes[] = {{"siluBackward", ops::silu_backward},
                                                {"sigmoidBackward", ops::sigmoid_backward},
                                                {"tanhBackward", ops::tanh_backward},
                                                {"reluBackward", ops::relu_backward},
                                                {"relu2Backward", ops::relu2_backward}};
  for (const auto& [name, op] : slopes) {
    for (const Shape& shape : {Shape{64, 32}, Shape{1237}, Shape{0}}) {
      list.add(name, elementary, shape.text(), [op = op, shape](Trial& t) {
        const Tensor x = t.normal(shape), dy = t.normal(shape);
        Tensor dx;
        t.check(op(x, dy, dx));
        t.out(dx);
      });
    }
  }
  for (const Shape& shape : {Shape{64, 32}, Shape{1237}, Shape{0}}) {
    list.add("addScalar", rounded, shape.text(), [shape](Trial& t) {
      Tensor y;
      t.check(ops::add_scalar(t.normal(shape), 0.7, y));
      t.out(y);
    });
    list.add("mulScalar", rounded, shape.text(), [shape](Trial& t) {
      Tensor y;
      t.check(ops::mul_scalar(t.normal(shape), -1.3, y));
      t.out(y);
    });
    list.add("scaleInPlace", rounded, shape.text(), [shape](Trial& t) {
      const Tensor x = t.normal(shape);
      t.check(ops::scale_in_place(x, 0.3));
      t.out(x);
    });
    list.add("axpy", rounded, shape.text(), [shape](Trial& t) {
      const Tensor y = t.normal(shape), x = t.normal(shape);
      t.check(ops::axpy(y, 0.4, x));
      t.out(y);
    });
    list.add("swiglu", elementary, shape.text(), [shape](Trial& t) {
      const Tensor gate = t.normal(shape), up = t.normal(shape), dy = t.normal(shape);
      Tensor y;
      t.check(ops::swiglu(gate, up, y));
      t.out(y);
    });
    list.add("swigluBackward", elementary, shape.text(), [shape](Trial& t) {
      const Tensor gate = t.normal(shape), up = t.normal(shape), dy = t.normal(shape);
      Tensor d_gate, d_up;
      t.check(ops::swiglu_backward(dy, gate, up, d_gate, d_up));
      t.out(d_gate);
      t.out(d_up);
    });
    list.add("adamwGrokfast", stepped, shape.text(), [shape](Trial& t) {
      const Tensor p = t.normal(shape), g = t.normal(shape), m = t.normal(shape, 0.1), v = t.uniform(shape, 0, 0.01);
      const Tensor mu = t.normal(shape, 0.3);
      for (const bool starts : {true, false}) {
        t.check(ops::adamw_grokfast(p, g, mu, m, v, 1e-2, 0.9, 0.99, 1e-8, 0.1, 3, 0.5, 0.98, 2, starts));
        for (const Tensor* x : {&p, &mu, &m, &v}) t.out(*x);
      }
    });
    list.add("adamw", stepped, shape.text(), [shape](Trial& t) {
      const Tensor p = t.normal(shape), g = t.normal(shape), m = t.normal(shape, 0.1), v = t.uniform(shape, 0, 0.01);
      t.check(ops::adamw(p, g, m, v, 1e-2, 0.9, 0.99, 1e-8, 0.1, 3, 0.5));
      t.out(p);
      t.out(m);
      t.out(v);
    });
  }
}

void reductions(List& list) {
  using Along = Status (*)(const Tensor&, int64_t, Tensor&);
  const std::tuple<const char*, Along, Tolerance> all[] = {
      {"sum", ops::sum, summed}, {"mean", ops::mean, summed}, {"max", ops::max, moved}};
  for (const auto& [name, op, tolerance] : all) {
    const auto run = [&list, name = name, op = op, tolerance = tolerance](const Shape& shape, int64_t axis) {
      list.add(name, tolerance, shape.text() + " axis " + std::to_string(axis), [=](Trial& t) {
        Tensor y;
        t.check(op(t.normal(shape), axis, y));
        t.out(y);
      });
    };
    for (const int64_t axis : {-1, 0, 1, 2}) run({7, 33, 5}, axis);
    run({64, 16}, 0);
    run({64, 16}, 1);
    run({100'003}, -1);
    run({5000, 40}, 0);
    run({3, 5000}, 1);
    run({0, 4}, 1);
  }
  list.add("sum", summed, "[0, 4] axis 0", [](Trial& t) {
    Tensor y;
    t.check(ops::sum(t.normal({0, 4}), 0, y));
    t.out(y);
  });
  list.add("max", moved, "NaN, infinities", [](Trial& t) {
    Tensor y;
    t.check(ops::max(t.floats({static_cast<int64_t>(edges.size())}, edges), -1, y));
    t.out(y);
    t.check(ops::max(t.floats({2, 3}, {-INFINITY, NAN, 1, 2, -INFINITY, 3}), 0, y));
    t.out(y);
  });
  for (const Shape& shape : {Shape{64, 32}, Shape{5, 1237}, Shape{3, 1}, Shape{0, 3}}) {
    list.add("argmax", moved, shape.text(), [shape](Trial& t) {
      Tensor y;
      t.check(ops::argmax(t.normal(shape), y));
      t.out(y);
    });
  }
  list.add("argmax", moved, "ties, NaN", [](Trial& t) {
    Tensor y;
    t.check(ops::argmax(t.floats({4, 3}, {1, 1, 0, 0, NAN, NAN, -INFINITY, -INFINITY, -INFINITY, 2, 3, 3}), y));
    t.out(y);
  });
  list.add("sumSquares", summed, "four tensors", [](Trial& t) {
    double total = 0;
    t.check(ops::sum_squares({t.normal({100, 70}), t.normal({1}), t.normal({0}), t.normal({20'001})}, total));
    t.out(total);
    t.check(ops::sum_squares({}, total));
    t.out(total);
  });
  list.add("dot", summed, "[20003], [0]", [](Trial& t) {
    double total = 0;
    const Tensor a = t.normal({20'003}), b = t.normal({20'003});
    t.check(ops::dot(a, b, total));
    t.out(total);
    t.check(ops::dot(t.normal({0}), t.normal({0}), total));
    t.out(total);
  });
  list.add("isFinite", moved, "with and without", [](Trial& t) {
    for (const float last : {1.0f, NAN, INFINITY, -INFINITY}) {
      bool finite = false;
      t.check(ops::is_finite({t.normal({7'000}), t.floats({3}, {0, 1, last})}, finite));
      t.out(finite);
    }
  });
  for (const Shape& shape : {Shape{33}, Shape{5, 33}, Shape{1}}) {
    list.add("sumToShape", summed, "[60, 5, 33] to " + shape.text(), [shape](Trial& t) {
      Tensor y;
      t.check(ops::sum_to_shape(t.normal({60, 5, 33}), shape, y));
      t.out(y);
    });
  }
}

void layout(List& list) {
  for (const DType dtype : {DType::f32, DType::u8, DType::bf16, DType::f64, DType::i32}) {
    const std::string name = name_of(dtype);
    const auto add = [&](const char* op, const std::string& size, std::function<void(Trial&)> run) {
      list.add(op, moved, name + " " + size, std::move(run));
    };
    add("full", "[37], [0]", [dtype](Trial& t) {
      for (const int64_t n : {37, 0}) {
        Tensor y;
        t.check(ops::full(dtype, {n}, 3, y));
        t.out(y);
      }
    });
    add("slice", "[6, 5, 7]", [dtype](Trial& t) {
      const Tensor x = t.bytes(dtype, {6, 5, 7});
      for (const int64_t axis : {0, 1, 2}) {
        Tensor y;
        t.check(ops::slice(x, axis, 1, 4, y));
        t.out(y);
        t.check(ops::slice(x, axis, 2, 2, y));
        t.out(y);
      }
    });
    add("concat", "[3, 4, 5] and [3, 2, 5]", [dtype](Trial& t) {
      Tensor y;
      t.check(ops::concat({t.bytes(dtype, {3, 4, 5}), t.bytes(dtype, {3, 2, 5}), t.bytes(dtype, {3, 0, 5})}, 1, y));
      t.out(y);
    });
    add("permute", "rank 6, 4, 2, 0", [dtype](Trial& t) {
      Tensor y;
      t.check(ops::permute(t.bytes(dtype, {2, 3, 2, 5, 2, 3}), {5, 0, 3, 2, 1, 4}, y));
      t.out(y);
      t.check(ops::permute(t.bytes(dtype, {2, 16, 4, 8}), {0, 2, 1, 3}, y));
      t.out(y);
      t.check(ops::permute(t.bytes(dtype, {33, 65}), {1, 0}, y));
      t.out(y);
      t.check(ops::permute(t.bytes(dtype, {0, 5}), {1, 0}, y));
      t.out(y);
    });
    add("gatherRows", "[9, 5] by [3, 4]", [dtype](Trial& t) {
      const Tensor x = t.bytes(dtype, {9, 5}), index = t.indices({3, 4}, 9);
      Tensor y;
      t.check(ops::gather_rows(x, index, y));
      t.out(y);
      t.check(ops::gather_rows(x, t.indices({0}, 9), y));
      t.out(y);
    });
    add("copy", "[63], overlapping views", [dtype](Trial& t) {
      const Tensor x = t.bytes(dtype, {63}), y = t.bytes(dtype, {7, 9});
      t.check(ops::copy(y, x));
      t.out(y);
      t.check(ops::copy(x.view(3, {50}), x.view(0, {50})));
      t.out(x);
    });
    add("copyRows", "[4, 3] into [9, 3]", [dtype](Trial& t) {
      const Tensor cache = t.bytes(dtype, {9, 3});
      t.check(ops::copy_rows(cache, t.bytes(dtype, {4, 3}), 5));
      t.out(cache);
    });
  }
  const auto scatter = [&](const std::string& size, int64_t rows, int64_t count, int64_t width) {
    list.add("scatterAddRows", summed, size, [=](Trial& t) {
      const Tensor table = t.normal({rows, width}), index = t.indices({count}, rows);
      t.check(ops::scatter_add_rows(table, index, t.normal({count, width})));
      t.out(table);
    });
  };
  scatter("many of the same", 3, 300, 40);
  scatter("few of the same", 100, 150, 7);
  scatter("none", 5, 0, 4);
  scatter("rows of nothing", 5, 6, 0);
  list.add("embedding", moved, "[50, 24] by [4, 9]", [](Trial& t) {
    const Tensor table = t.normal({50, 24}), ids = t.indices({4, 9}, 50);
    Tensor y;
    t.check(ops::embedding(table, ids, y));
    t.out(y);
  });
  list.add("embeddingBackward", summed, "[50, 24] by [4, 9]", [](Trial& t) {
    const Tensor table = t.normal({50, 24}), ids = t.indices({4, 9}, 50);
    t.check(ops::embedding_backward(t.normal({4, 9, 24}), ids, table));
    t.out(table);
  });
  list.add("gatherRows", moved, "an index outside is found", [](Trial& t) {
    const Tensor x = t.normal({4, 3});
    for (const int32_t bad : {4, -1}) {
      Tensor y;
      const Status status = ops::gather_rows(x, t.integers({5}, {0, 3, bad, 1, 9}), y);
      t.out(status.code() == Code::argument && status.message().find("position 2") != std::string::npos ? 1 : 0);
    }
  });
}

void products(List& list) {
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

void rounded_products(List& list) {
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

void rows(List& list) {
  for (const Shape& shape : {Shape{16, 64}, Shape{70, 33}, Shape{3, 1300}, Shape{5, 1}, Shape{0, 8}}) {
    const int64_t n = shape[0], width = shape[1];
    list.add("rmsNorm", normalised, shape.text(), [=](Trial& t) {
      Tensor y, rstd;
      const Tensor x = t.normal(shape), gain = t.normal({width});
      t.check(ops::rms_norm(x, gain, 1e-5, y, rstd));
      t.out(y);
      t.out(rstd);
    });
    list.add("rmsNormBackward", normalised, shape.text(), [=](Trial& t) {
      const Tensor x = t.normal(shape), gain = t.normal({width}), dy = t.normal(shape), d_gain = t.normal({width});
      const Tensor rstd = t.uniform({n}, 0.5, 2);
      Tensor dx;
      t.check(ops::rms_norm_backward(dy, x, gain, rstd, &d_gain, dx));
      t.out(dx);
      t.out(d_gain);
      t.check(ops::rms_norm_backward(dy, x, gain, rstd, nullptr, dx));
      t.out(dx);
    });
    list.add("softmax", normalised, shape.text(), [=](Trial& t) {
      Tensor y;
      t.check(ops::softmax(t.normal(shape, 4), y));
      t.out(y);
    });
    list.add("softmaxBackward", normalised, shape.text(), [=](Trial& t) {
      const Tensor y = t.uniform(shape, 0, 1), dy = t.normal(shape);
      Tensor dx;
      t.check(ops::softmax_backward(y, dy, dx));
      t.out(dx);
    });
    const auto targets = [=](Trial& t) {
      std::vector<int32_t> values;
      for (int64_t i = 0; i < n; ++i) values.push_back(i % 5 == 3 ? -100 : static_cast<int32_t>(i * 31 % width));
      return t.integers({n}, values);
    };
    list.add("crossEntropy", normalised, shape.text(), [=](Trial& t) {
      Tensor loss, lse;
      t.check(ops::cross_entropy(t.normal(shape, 4), targets(t), -100, loss, lse));
      t.out(loss);
      t.out(lse);
    });
    list.add("crossEntropyBackward", normalised, shape.text(), [=](Trial& t) {
      const Tensor logits = t.normal(shape), goals = targets(t), d_loss = t.normal({n}), lse = t.uniform({n}, 1, 3);
      for (const Tensor* slope : {&d_loss, static_cast<const Tensor*>(nullptr)}) {
        Tensor d_logits;
        t.check(ops::cross_entropy_backward(logits, goals, lse, slope, 0.25, -100, false, d_logits));
        t.out(d_logits);
      }
      Tensor in_place;
      t.check(ops::cross_entropy_backward(logits, goals, lse, nullptr, 2, -100, true, in_place));
      t.out(logits);
    });
  }
  list.add("crossEntropy", normalised, "a target outside is found", [](Trial& t) {
    Tensor loss, lse;
    const Status status = ops::cross_entropy(t.normal({3, 4}), t.integers({3}, {0, -7, 4}), -7, loss, lse);
    t.out(status.code() == Code::argument && status.message().find("row 2") != std::string::npos ? 1 : 0);
  });
  list.add("softmax", normalised, "NaN, infinities", [](Trial& t) {
    Tensor y;
    t.check(ops::softmax(t.floats({4, 3}, {1, NAN, 2, 1, INFINITY, 2, 1, -INFINITY, 2, -INFINITY, -INFINITY, -INFINITY}), y));
    t.out(y);
  });
  for (const int64_t pairing : {0, 1}) {
    for (const bool inverse : {false, true}) {
      list.add("rope", rounded, "pairing " + std::to_string(pairing) + (inverse ? " inverse" : ""), [=](Trial& t) {
        Tensor y;
        t.check(ops::rope(t.normal({2, 5, 3, 10}), 7, 10000, {}, pairing, inverse, y));
        t.out(y);
        t.check(ops::rope(t.normal({1, 16, 2, 32}), 300, 500000, {}, pairing, inverse, y));
        t.out(y);
        t.check(ops::rope(t.normal({1, 7, 2, 6}), 90, 10000, {1, 2.5, 8}, pairing, inverse, y));
        t.out(y);
        t.check(ops::rope(t.normal({1, 0, 2, 32}), 0, 10000, {}, pairing, inverse, y));
        t.out(y);
      });
    }
  }
  for (const int64_t n : {1024, 1237, 3, 0}) {
    list.add("philoxUniform", moved, std::to_string(n), [=](Trial& t) {
      const Tensor x = t.normal({n});
      t.check(ops::philox_uniform(x, 1, 2, 0xfffffff0u, 4));
      t.out(x);
    });
    list.add("philoxNormal", gaussian, std::to_string(n), [=](Trial& t) {
      const Tensor x = t.normal({n});
      t.check(ops::philox_normal(x, 1, 2, 0xfffffff0u, 4, 0.5, 2));
      t.out(x);
    });
  }
}

struct Heads {
  int64_t batch, queries, keys, q_heads, kv_heads, dim;
  bool causal;
  int64_t window;
  /** −1: as many as there are keys. */
  int64_t kv_length;
  double scale_of_operands;
};

void attention(List& list) {
  const Heads sizes[] = {
      {2, 32, 32, 4, 2, 16, true, 0, -1, 1},   {1, 33, 65, 2, 2, 20, false, 0, -1, 1},
      {1, 70, 70, 2, 1, 64, true, 0, -1, 1},   {1, 5, 100, 3, 1, 7, true, 0, -1, 1},
      {1, 100, 100, 1, 1, 8, true, 34, -1, 1}, {2, 1, 70, 4, 2, 33, true, 0, 41, 1},
      {1, 3, 50, 2, 1, 128, true, 10, -1, 1},  {1, 40, 40, 1, 1, 130, true, 0, -1, 1},
      {1, 35, 40, 2, 1, 256, false, 0, -1, 1}, {1, 9, 4, 2, 1, 8, true, 0, -1, 1},
      {1, 70, 3, 2, 1, 8, true, 2, -1, 1},     {1, 6, 0, 1, 1, 4, false, 0, -1, 1},
      {0, 3, 3, 1, 1, 4, true, 0, -1, 1},      {1, 40, 90, 1, 1, 16, false, 0, -1, 30},
  };
  for (const Heads& h : sizes) {
    const Shape qs{h.batch, h.queries, h.q_heads, h.dim}, ks{h.batch, h.keys, h.kv_heads, h.dim};
    const double scale = 1 / std::sqrt(static_cast<double>(h.dim));
    const std::string size = "q " + qs.text() + " k " + ks.text() + (h.causal ? " causal" : "") +
                             (h.window > 0 ? " window " + std::to_string(h.window) : "") +
                             (h.kv_length >= 0 ? " of which " + std::to_string(h.kv_length) : "");
    // Scores up to 10⁴ lose 10⁻³ in the exponent.
    const Tolerance forward = h.scale_of_operands > 1 ? Tolerance{2e-2, attended.reason} : attended;
    list.add("attention", forward, size, [=](Trial& t) {
      const Tensor q = t.normal(qs, h.scale_of_operands), k = t.normal(ks, h.scale_of_operands), v = t.normal(ks);
      Tensor o, lse;
      t.check(ops::attention(q, k, v, h.causal, h.window, scale, h.kv_length, o, lse));
      t.out(o);
      t.out(lse);
    });
    if (h.kv_length >= 0 || h.scale_of_operands > 1) continue;
    list.add("attentionBackward", gradient, size, [=](Trial& t) {
      const Tensor q = t.normal(qs), k = t.normal(ks), v = t.normal(ks), d_o = t.normal(qs);
      Tensor o, lse, dq, dk, dv;
      t.check(ops::attention(q, k, v, h.causal, h.window, scale, -1, o, lse));
      if (!t.status().ok()) return;
      t.check(ops::attention_backward(d_o, q, k, v, o, lse, h.causal, h.window, scale, dq, dk, dv));
      t.out(dq);
      t.out(dk);
      t.out(dv);
    });
  }
}

void merges(List& list) {
  using Merge = Status (*)(const Tensor& base, const TensorList& xs, Tensor& y);
  // Written out, because each takes other arguments.
  const Merge linear = [](const Tensor&, const TensorList& xs, Tensor& y) {
    return ops::merge_linear(xs, {0.2, 0.5, 0.4}, true, y);
  };
  const Merge nothing = [](const Tensor&, const TensorList& xs, Tensor& y) {
    return ops::merge_linear(xs, {0, 0, 0}, false, y);
  };
  const Merge slerp = [](const Tensor&, const TensorList& xs, Tensor& y) {
    return ops::merge_slerp(xs[0], xs[1], 0.3, y);
  };
  const Merge nuslerp = [](const Tensor&, const TensorList& xs, Tensor& y) {
    return ops::merge_nuslerp(xs[0], xs[1], nullptr, 0.3, y);
  };
  const Merge nuslerp_on_base = [](const Tensor& base, const TensorList& xs, Tensor& y) {
    return ops::merge_nuslerp(xs[0], xs[1], &base, 0.3, y);
  };
  const Merge multislerp = [](const Tensor&, const TensorList& xs, Tensor& y) {
    return ops::merge_multislerp(xs, {0.2, 0.5, 0.3}, nullptr, true, y);
  };
  const Merge multislerp_on_base = [](const Tensor& base, const TensorList& xs, Tensor& y) {
    return ops::merge_multislerp(xs, {0.2, 0.5, 0.3}, &base, true, y);
  };
  const Merge karcher = [](const Tensor&, const TensorList& xs, Tensor& y) {
    return ops::merge_karcher(xs, {0.2, 0.5, 0.3}, 10, 1e-5, y);
  };
  const Merge nearswap = [](const Tensor&, const TensorList& xs, Tensor& y) {
    return ops::merge_nearswap(xs[0], xs[1], 0.2, y);
  };
  const std::tuple<const char*, const char*, Merge> all[] = {
      {"mergeLinear", "", linear},
      {"mergeLinear", "weights of 0, ", nothing},
      {"mergeSlerp", "", slerp},
      {"mergeNuslerp", "", nuslerp},
      {"mergeNuslerp", "on a base, ", nuslerp_on_base},
      {"mergeMultislerp", "", multislerp},
      {"mergeMultislerp", "on a base, ", multislerp_on_base},
      {"mergeKarcher", "", karcher},
      {"mergeModelStock", "", ops::merge_model_stock},
      {"mergeNearswap", "", nearswap},
  };
  for (const auto& [name, what, merge] : all) {
    for (const int64_t n : {64, 1237, 70'001}) {
      list.add(name, merged, what + std::to_string(n) + " entries of 3 models", [n, merge = merge](Trial& t) {
        const Tensor base = t.normal({n});
        const TensorList xs{t.normal({n}), t.normal({n}), t.normal({n})};
        Tensor y;
        t.check(merge(base, xs, y));
        t.out(y);
      });
    }
  }
  // The kernel by itself: what no op sends to a device yet.
  for (const bool consensus : {false, true}) {
    for (const bool normalize : {false, true}) {
      list.add("mergeNuslerp", moved, "the kernel with masks and bands", [=](Trial& t) {
        constexpr int64_t n = 1237;
        const Tensor base = t.normal({n}), a = t.normal({n}), b = t.normal({n}), y = t.normal({n});
        const Tensor bits = t.bytes(DType::u8, {(n + 63) / 64 * 8});
        const float* xs[] = {a.f32(), b.f32()};
        const double weights[] = {0.7, -0.2};
        const MergeMix mix{weights, consensus, normalize, 0.9};
        const MergeCut half{0x3f800000, -1}, third{0x3fc00000, -1};
        const MergeKeep band{MergeKeep::Rule::band, half, third, nullptr, 1.5};
        const MergeKeep mask{MergeKeep::Rule::bits, cut_all, cut_none, static_cast<const uint64_t*>(bits.data()), 2.0};
        for (const MergeKeep& keep : {band, mask}) {
          const MergeKeep both[] = {keep, keep};
          kernels().merge_task_vectors({base.f32(), xs, 2, n}, both, mix, y.f32());
          t.out(y);
        }
      });
    }
  }
}

}  // namespace

std::vector<Case> cases() {
  List list;
  elementwise(list);
  reductions(list);
  layout(list);
  products(list);
  rounded_products(list);
  rows(list);
  attention(list);
  sequence_cases(list);
  quantize_cases(list);
  merges(list);
  return std::move(list.all);
}

}  // namespace forge::conformance
