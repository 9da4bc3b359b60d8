#include "check.h"
#include "ops/ops.h"

namespace forge::test {

TEST(slice_and_concat_are_inverse) {
  const Tensor x = random_tensor({3, 5, 2}, 1);
  for (int axis = 0; axis < 3; ++axis) {
    Tensor left, right, joined;
    CHECK_OK(ops::slice(x, axis, 0, 1, left));
    CHECK_OK(ops::slice(x, axis, 1, x.shape()[axis], right));
    CHECK_OK(ops::concat({left, right}, axis, joined));
    CHECK_CLOSE(joined, values(x), 0);
  }
  Tensor y;
  CHECK_OK(ops::slice(x, 1, 2, 4, y));
  CHECK(y.f32()[0] == x.f32()[4] && y.f32()[4] == x.f32()[14]);
  CHECK_OK(ops::slice(x, 1, 2, 2, y));
  CHECK(y.shape() == (Shape{3, 0, 2}));
  CHECK_FAILS(ops::slice(x, 1, 2, 6, y), Code::argument, "2 to 6", "[3, 5, 2]");
  CHECK_FAILS(ops::slice(x, 3, 0, 1, y), Code::argument, "axis 3");
  CHECK_FAILS(ops::concat({x, random_tensor({3, 5, 3}, 1)}, 0, y), Code::shape, "[3, 5, 2]", "[3, 5, 3]");
  CHECK_FAILS(ops::concat({}, 0, y), Code::argument, "no tensors");
}

TEST(permute_moves_every_element) {
  const Tensor x = random_tensor({2, 3, 4, 5}, 1);
  for (const Shape& axes : {Shape{0, 2, 1, 3}, Shape{3, 2, 1, 0}, Shape{0, 1, 2, 3}, Shape{1, 3, 0, 2}}) {
    Tensor y;
    CHECK_OK(ops::permute(x, axes, y));
    const int64_t strides[] = {60, 20, 5, 1};
    int64_t at[4];
    int64_t position = 0;
    const Shape& s = y.shape();
    for (at[0] = 0; at[0] < s[0]; ++at[0])
      for (at[1] = 0; at[1] < s[1]; ++at[1])
        for (at[2] = 0; at[2] < s[2]; ++at[2])
          for (at[3] = 0; at[3] < s[3]; ++at[3]) {
            int64_t from = 0;
            for (int i = 0; i < 4; ++i) from += at[i] * strides[axes[i]];
            CHECK(y.f32()[position++] == x.f32()[from]);
          }
  }
  Tensor y;
  CHECK_OK(ops::permute(random_tensor({2, 0}, 1), {1, 0}, y));
  CHECK(y.shape() == (Shape{0, 2}));
  CHECK_FAILS(ops::permute(x, {0, 1, 1, 3}, y), Code::argument, "[0, 1, 1, 3]");
  CHECK_FAILS(ops::permute(x, {0, 1}, y), Code::argument, "[2, 3, 4, 5]");
}

TEST(gather_and_scatter_rows) {
  for_each_isa([] {
    const Tensor table = random_tensor({4, 70}, 1), index = tensor_of_i32({2, 3}, {3, 0, 3, 1, 1, 3});
    Tensor y;
    CHECK_OK(ops::embedding(table, index, y));
    CHECK(y.shape() == (Shape{2, 3, 70}));
    for (int64_t i = 0; i < y.count(); ++i) CHECK(y.f32()[i] == table.f32()[index.i32()[i / 70] * 70 + i % 70]);
    const Tensor gradient = tensor_of({4, 70}, std::vector<double>(280, 1.0));
    CHECK_OK(ops::embedding_backward(y, index, gradient));
    std::vector<double> expected(280, 1.0);
    for (int64_t i = 0; i < y.count(); ++i) {
      expected[static_cast<size_t>(index.i32()[i / 70] * 70 + i % 70)] += y.f32()[i];
    }
    CHECK_CLOSE(gradient, expected, 1e-6);
    const std::vector<double> before = values(gradient);
    CHECK_FAILS(ops::embedding(table, tensor_of_i32({1}, {4}), y), Code::argument, "index 4", "0 to 3");
    CHECK_FAILS(ops::embedding_backward(random_tensor({2, 70}, 1), tensor_of_i32({2}, {0, -1}), gradient), Code::argument,
                "index -1");
    CHECK_CLOSE(gradient, before, 0);
    CHECK_FAILS(ops::scatter_add_rows(gradient, index, random_tensor({2, 3, 69}, 1)), Code::shape, "[4, 70]",
                "[2, 3, 69]");
    CHECK_FAILS(ops::gather_rows(table, random_tensor({2}, 1), y), Code::dtype, "i32");
  });
}

TEST(copies_between_overlapping_views_read_before_they_write) {
  const Tensor x = tensor_of({6}, {0, 1, 2, 3, 4, 5});
  const Tensor front = x.view(0, {4}), back = x.view(2, {4});
  CHECK_OK(ops::copy(back, front));
  CHECK_CLOSE(x, (std::vector<double>{0, 1, 0, 1, 2, 3}), 0);
  CHECK_OK(ops::copy(front, back));
  CHECK_CLOSE(x, (std::vector<double>{0, 1, 2, 3, 2, 3}), 0);
  CHECK_OK(ops::copy_rows(x, x.view(0, {3}), 1));
  CHECK_CLOSE(x, (std::vector<double>{0, 0, 1, 2, 2, 3}), 0);
}

TEST(copy_rows_stays_inside_the_destination) {
  const Tensor cache = tensor_of({4, 2}, std::vector<double>(8, 0.0)), rows = tensor_of({2, 2}, {1, 2, 3, 4});
  CHECK_OK(ops::copy_rows(cache, rows, 2));
  CHECK_CLOSE(cache, (std::vector<double>{0, 0, 0, 0, 1, 2, 3, 4}), 0);
  CHECK_FAILS(ops::copy_rows(cache, rows, 3), Code::argument, "row 3", "[4, 2]");
  CHECK_FAILS(ops::copy_rows(cache, rows, -1), Code::argument, "row -1");
  CHECK_FAILS(ops::copy_rows(cache, random_tensor({2, 3}, 1), 0), Code::shape, "[2, 3]");
}

TEST(views_share_elements_within_bounds) {
  const Tensor x = tensor_of({6}, {0, 1, 2, 3, 4, 5});
  Tensor y;
  CHECK_OK(ops::view(x, 2, {2, 2}, y));
  CHECK_CLOSE(y, (std::vector<double>{2, 3, 4, 5}), 0);
  y.f32()[0] = 9;
  CHECK(x.f32()[2] == 9);
  CHECK(y.overlaps(x));
  CHECK_FAILS(ops::view(x, 3, {2, 2}, y), Code::shape, "[2, 2]", "[6]");
  CHECK_FAILS(ops::view(x, -1, {1}, y), Code::shape, "element -1");
  CHECK_FAILS(ops::view(x, 0, {-1}, y), Code::shape, "negative");
  CHECK_FAILS(ops::view(x, INT64_MAX, {1}, y), Code::shape, "does not fit");
}

TEST(full_converts_and_refuses) {
  Tensor y;
  CHECK_OK(ops::full(DType::i32, {3}, -7, y));
  CHECK(y.i32()[2] == -7);
  CHECK_FAILS(ops::full(DType::u8, {3}, 256, y), Code::argument, "256");
  CHECK_FAILS(ops::full(DType::i32, {3}, 0.5, y), Code::argument, "0.5");
  CHECK_OK(ops::full(DType::bf16, {1}, 1.0, y));
  CHECK(*static_cast<uint16_t*>(y.data()) == 0x3f80);
}

}  // namespace forge::test
