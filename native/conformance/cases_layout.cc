#include "cases.h"
#include "ops/ops.h"

/** What moves elements and computes nothing, for every type. */
namespace forge::conformance {

void layout_cases(List& list) {
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
      t.expect_refused(ops::gather_rows(x, t.integers({5}, {0, 3, bad, 1, 9}), y),
                       "gatherRows: index " + std::to_string(bad) + " at position 2, needs 0 to 3");
    }
  });
}

}  // namespace forge::conformance
