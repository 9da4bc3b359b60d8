#include "check.h"
#include "ops/ops.h"

/** SeedLM against values computed by an exhaustive search in f64, and the properties of any code. */
namespace forge::test {
namespace {

struct Encoded {
  Tensor seeds, fields;
};

Encoded encode(const Tensor& w, int64_t bits, int64_t block, int64_t rank) {
  Encoded code;
  CHECK_OK(ops::seedlm_encode(w, 1, bits, block, rank, code.seeds, code.fields));
  return code;
}

Tensor decode(const Encoded& code, int64_t bits, int64_t block, int64_t count) {
  Tensor w;
  CHECK_OK(ops::seedlm_decode(code.seeds, code.fields, 1, bits, block, count, w));
  return w;
}

double squared_error(const Tensor& a, const Tensor& b, int64_t begin, int64_t end) {
  double sum = 0;
  for (int64_t i = begin; i < end; ++i) sum += std::pow(double{a.f32()[i]} - double{b.f32()[i]}, 2);
  return sum;
}

}  // namespace

TEST(seedlm_reproduces_the_matrix_of_a_seed) {
  Encoded code;
  CHECK_OK(ops::full(DType::i32, {1}, 1, code.seeds));
  for (int p = 0; p < 3; ++p) {
    CHECK_OK(ops::full(DType::i8, {1, 4}, 0, code.fields));
    code.fields.i8()[1 + p] = 1;
    const Tensor w = decode(code, 16, 8, 8);
    const double first[] = {0, -.500015, -.750023}, second[] = {-.875027, .062502, -.468764};
    CHECK(std::fabs(double{w.f32()[0]} - first[p]) < 1e-6 && std::fabs(double{w.f32()[1]} - second[p]) < 1e-6);
  }
}

TEST(seedlm_finds_the_best_seed) {
  for_each_isa([] {
    const Tensor w = tensor_of({8}, {.5, -.25, .125, 1, -1, .75, -.5, .25});
    const Encoded code = encode(w, 16, 8, 3);
    CHECK(*code.seeds.i32() == 25552);
    const int8_t expected[] = {-2, -7, 3, 3};
    for (int i = 0; i < 4; ++i) CHECK(code.fields.i8()[i] == expected[i]);
    CHECK(std::fabs(squared_error(w, decode(code, 16, 8, 8), 0, 8) - .0602842) < 1e-6);
  });
}

TEST(seedlm_beats_every_single_seed) {
  for_each_isa([] {
    for (const int64_t rank : {1, 2, 3, 4}) {
      const Tensor w = random_tensor({5, 4}, static_cast<unsigned>(rank));
      const Encoded code = encode(w, 8, 4, rank);
      const Tensor best = decode(code, 8, 4, 20);
      for (int64_t b = 0; b < 5; ++b) {
        const double error = squared_error(w, best, 4 * b, 4 * b + 4);
        // The same fields under every other seed: none may fit better.
        for (int seed = 1; seed < 256; ++seed) {
          Encoded other{tensor_of_i32({5}, std::vector<int32_t>(5, seed)), code.fields};
          if (squared_error(w, decode(other, 8, 4, 20), 4 * b, 4 * b + 4) < error - 1e-6) {
            return report(__FILE__, __LINE__, "seed " + std::to_string(seed) + " is better");
          }
        }
      }
    }
  });
}

TEST(seedlm_errors_are_those_of_random_weights) {
  // Relative squared error on N(0, 1): 0.0152 for 4 bits a weight, 0.0486 for 3 (both to about 3 % with 200 blocks).
  struct Case {
    int64_t block, rank;
    double expected;
  };
  for (const Case& c : {Case{8, 3, .0152}, Case{12, 4, .0486}}) {
    const Tensor w = random_tensor({200, c.block}, 7);
    const Tensor back = decode(encode(w, 16, c.block, c.rank), 16, c.block, w.count());
    const double error = squared_error(w, back, 0, w.count()) / inner(w, w);
    CHECK(std::fabs(error / c.expected - 1) < .06);
  }
}

TEST(seedlm_pads_the_last_block_and_codes_zeros) {
  for_each_isa([] {
    const Tensor w = random_tensor({19}, 3), zeros = tensor_of({16}, std::vector<double>(16, 0));
    const Encoded code = encode(w, 10, 8, 3);
    CHECK(code.seeds.count() == 3 && decode(code, 10, 8, 19).count() == 19);
    CHECK_CLOSE(decode(encode(zeros, 10, 8, 3), 10, 8, 16), std::vector<double>(16, 0), 0);
    CHECK(encode(random_tensor({0}, 1), 10, 8, 3).seeds.count() == 0);
    // All seeds of the smallest registers have dependent columns or a handful of states: still a valid code.
    CHECK(decode(encode(w, 2, 8, 4), 2, 8, 19).count() == 19);
  });
}

TEST(seedlm_refuses_bad_arguments) {
  Tensor seeds, fields, w = random_tensor({16}, 1);
  CHECK_FAILS(ops::seedlm_encode(w, 1, 25, 8, 3, seeds, fields), Code::argument, "bits 25");
  CHECK_FAILS(ops::seedlm_encode(w, 1, 16, 2, 3, seeds, fields), Code::argument, "block 2", "rank 3");
  CHECK_FAILS(ops::seedlm_encode(w, 0, 16, 8, 3, seeds, fields), Code::argument, "scale 0");
  CHECK_FAILS(ops::seedlm_encode(tensor_of({1}, {INFINITY}), 1, 16, 8, 3, seeds, fields), Code::argument, "element 0");
  Encoded code = encode(w, 4, 8, 1);
  CHECK_FAILS(ops::seedlm_decode(code.seeds, code.fields, 1, 4, 8, 17, w), Code::shape, "17");
  code.seeds.i32()[1] = 16;
  CHECK_FAILS(ops::seedlm_decode(code.seeds, code.fields, 1, 4, 8, 16, w), Code::argument, "block 1", "seed 16");
  code.seeds.i32()[1] = 1, code.fields.i8()[0] = 8;
  CHECK_FAILS(ops::seedlm_decode(code.seeds, code.fields, 1, 4, 8, 16, w), Code::argument, "block 0");
}

}  // namespace forge::test
