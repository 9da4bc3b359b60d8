#include <cmath>

#include "cases.h"
#include "ops/ops.h"

/** What computes each element by itself, and what reduces them. */
namespace forge::conformance {
namespace {

const std::vector<float> edges{0.0f, -0.0f, 1.0f, -1.0f, 88.0f, -104.0f, 1e-38f, 1e30f, INFINITY, -INFINITY, NAN};

}  // namespace

void elementwise_cases(List& list) {
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
    list.add("adamwPrepared", stepped, shape.text(), [shape](Trial& t) {
      const Tensor settings = t.doubles({1e-2, 0.9, 0.99, 1e-8, 0.1, 0.271, 0.0297});
      for (const double scale : {0.5, static_cast<double>(NAN)}) {
        const Tensor clip = t.doubles({3, scale});
        TensorList p, g, m, v, mu;
        for (int i = 0; i < 50; ++i) {  // more than one launch takes
          const Shape part = i == 0 ? shape : Shape{i % 5 * 7};
          for (TensorList* xs : {&p, &g, &mu, &m}) xs->push_back(t.normal(part, 0.3));
          v.push_back(t.uniform(part, 0, 0.01));
        }
        t.check(ops::adamw_prepared(p, g, m, v, {}, settings, &clip, 0, 0, false));
        t.check(ops::adamw_prepared(p, g, m, v, mu, settings, nullptr, 0.98, 2, scale == 0.5));
        for (const TensorList* xs : {&p, &m, &v, &mu}) {
          for (const Tensor& x : *xs) t.out(x);
        }
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

void reduction_cases(List& list) {
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
  list.add("clipScale", summed, "above, below, infinite, nothing", [](Trial& t) {
    Tensor clip;
    const TensorList xs{t.normal({100, 70}), t.normal({1}), t.normal({0}), t.normal({20'001})};
    for (const double most : {1.0, 1e6, static_cast<double>(INFINITY)}) {
      t.check(ops::clip_scale(xs, most, {t.normal({3})}, clip));
      t.out(clip);
    }
    t.check(ops::clip_scale(xs, 1, {t.floats({3}, {1, NAN, 2})}, clip));
    t.out(clip);
    t.check(ops::clip_scale({t.floats({2}, {1, INFINITY})}, 1, {}, clip));
    t.out(clip);
    t.check(ops::clip_scale({}, 1, {}, clip));
    t.out(clip);
  });
  list.add("scaleBy", moved, "[1237]", [](Trial& t) {
    const Tensor x = t.normal({1237});
    t.check(ops::scale_by(x, t.doubles({0.1})));
    t.out(x);
  });
  list.add("expandScalar", moved, "1237, with and without a weight", [](Trial& t) {
    Tensor y;
    const Tensor weight = t.doubles({1.0 / 3});
    for (const int64_t n : {1237, 1, 0}) {
      t.check(ops::expand_scalar(t.normal({1}), 0.7, &weight, n, y));
      t.out(y);
      t.check(ops::expand_scalar(t.normal({1}), 0.7, nullptr, n, y));
      t.out(y);
    }
  });
  list.add("targetWeight", moved, "some, all, none ignored; nothing", [](Trial& t) {
    Tensor weight;
    for (const Tensor& targets : {t.indices({1237}, 5), t.integers({4}, {3, 3, 3, 3}), t.integers({3}, {0, 1, 2}), t.indices({0}, 5)}) {
      t.check(ops::target_weight(targets, 3, weight));
      t.out(weight);
    }
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

}  // namespace forge::conformance
