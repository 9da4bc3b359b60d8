#include <cstdio>
#include <cstdlib>

#include "bench.h"
#include "ops/ops.h"
#include "ops/stored_weights.h"

namespace forge::bench {
namespace {

/** An op on one tensor, or on two, and what it reads. */
struct Unary {
  const char* name;
  Status (*op)(const Tensor& x, Tensor& y);
  const Tensor* x;
};
struct Binary {
  const char* name;
  Status (*op)(const Tensor& a, const Tensor& b, Tensor& y);
};
/** Anything else, with the bytes that it has to move. */
struct Other {
  const char* name;
  double bytes;
  std::function<void()> f;
};

/** i32 numbers below `below`, each as often, in no order. */
Tensor random_rows(int64_t count, int64_t below) {
  Tensor index;
  require(empty("bench", DType::i32, {count}, index));
  for (int64_t i = 0; i < count; ++i) index.i32()[i] = static_cast<int32_t>(i * 7919 % below);
  return index;
}

/** A file without a name that holds `bytes` zeros, and is in the page cache. */
std::FILE* file_of(int64_t bytes) {
  std::FILE* file = std::tmpfile();
  const std::vector<char> zeros(static_cast<size_t>(bytes));
  if (file == nullptr || std::fwrite(zeros.data(), 1, zeros.size(), file) != zeros.size() || std::fflush(file) != 0) {
    std::perror("a temporary file");
    std::exit(1);
  }
  return file;
}

/** Ops that do little with each of 2^24 elements: memory bounds them. */
void bench_large(double bandwidth) {
  constexpr int64_t large = int64_t{1} << 24, width = 1024, height = large / width;
  const Tensor a = random_tensor({height, width}, 1), b = random_tensor({height, width}, 2);
  const Tensor g = random_tensor({height, width}, 3), m = random_tensor({height, width}, 4);
  const Tensor v = random_tensor({height, width}, 5), row = random_tensor({width}, 6), one = random_tensor({1}, 7);
  require(ops::scale_in_place(v, 0));
  const Tensor rows = random_rows(height, height), targets = random_rows(large, width);
  Tensor y, z, positive, weight, settings;
  require(ops::abs(a, positive));
  require(ops::full(DType::f64, {1}, 1, weight));
  require(ops::full(DType::f64, {7}, 0.5, settings));
  const double array = 4.0 * large;
  double total = 0;
  bool finite = false;
  std::printf("2^24 elements\n");
  const Unary unary[] = {{"neg", ops::neg, &a},         {"exp", ops::exp, &a},   {"log", ops::log, &positive},
                         {"tanh", ops::tanh, &a},       {"silu", ops::silu, &a}, {"sqrt", ops::sqrt, &positive},
                         {"sigmoid", ops::sigmoid, &a}, {"relu", ops::relu, &a}, {"relu2", ops::relu2, &a},
                         {"abs", ops::abs, &a},         {"sign", ops::sign, &a}};
  for (const Unary& u : unary) {
    record_against_copy(u.name, "2^24", 2 * array, bandwidth, [&] { require(u.op(*u.x, y)); });
  }
  const Binary binary[] = {{"add", ops::add},
                           {"sub", ops::sub},
                           {"mul", ops::mul},
                           {"div", ops::div},
                           {"swiglu", ops::swiglu},
                           {"siluBackward", ops::silu_backward},
                           {"sigmoidBackward", ops::sigmoid_backward},
                           {"tanhBackward", ops::tanh_backward},
                           {"reluBackward", ops::relu_backward},
                           {"relu2Backward", ops::relu2_backward}};
  for (const Binary& p : binary) {
    record_against_copy(p.name, "2^24", 3 * array, bandwidth, [&] { require(p.op(a, b, y)); });
  }
  std::FILE* const file = file_of(2 * large);
  std::vector<uint16_t> stored(large);
  const int64_t bf16 = 2, stored_bytes = 2 * large;
  const std::vector<Other> others{
      {"addScalar", 2 * array, [&] { require(ops::add_scalar(a, 1, y)); }},
      {"mulScalar", 2 * array, [&] { require(ops::mul_scalar(a, 2, y)); }},
      {"axpy", 3 * array, [&] { require(ops::axpy(a, 1e-9, b)); }},
      {"scaleInPlace", 2 * array, [&] { require(ops::scale_in_place(a, 1)); }},
      {"scaleBy", 2 * array, [&] { require(ops::scale_by(a, weight)); }},
      {"swigluBackward", 5 * array, [&] { require(ops::swiglu_backward(g, a, b, y, z)); }},
      {"sum, all", array, [&] { require(ops::sum(a, -1, y)); }},
      {"sum, rows", array, [&] { require(ops::sum(a, 1, y)); }},
      {"sum, columns", array, [&] { require(ops::sum(a, 0, y)); }},
      {"sumToShape", array, [&] { require(ops::sum_to_shape(a, {width}, y)); }},
      {"mean, rows", array, [&] { require(ops::mean(a, 1, y)); }},
      {"max, rows", array, [&] { require(ops::max(a, 1, y)); }},
      {"argmax", array, [&] { require(ops::argmax(a, y)); }},
      {"sumSquares", array, [&] { require(ops::sum_squares({a}, total)); }},
      {"clipScale", array, [&] { require(ops::clip_scale({a}, 1, {}, y)); }},
      {"isFinite", array, [&] { require(ops::is_finite({a}, finite)); }},
      {"dot", 2 * array, [&] { require(ops::dot(a, b, total)); }},
      {"expandScalar", array, [&] { require(ops::expand_scalar(one, 0.5, &weight, large, y)); }},
      {"targetWeight", array, [&] { require(ops::target_weight(targets, -1, y)); }},
      {"full", array, [&] { require(ops::full(DType::f32, {large}, 1, y)); }},
      {"copy", 2 * array, [&] { require(ops::copy(b, g)); }},
      {"copyRows", 2 * array, [&] { require(ops::copy_rows(b, g, 0)); }},
      {"slice, columns", array, [&] { require(ops::slice(a, 1, 0, width / 2, y)); }},
      {"concat, columns", 4 * array, [&] { require(ops::concat({a, b}, 1, y)); }},
      {"permute, transpose", 2 * array, [&] { require(ops::permute(a, {1, 0}, y)); }},
      {"gatherRows", 2 * array, [&] { require(ops::gather_rows(a, rows, y)); }},
      {"scatterAddRows", 3 * array, [&] { require(ops::scatter_add_rows(b, rows, g)); }},
      {"philoxUniform", array, [&] { require(ops::philox_uniform(b, 1, 2, 3, 0, nullptr)); }},
      {"philoxNormal", array, [&] { require(ops::philox_normal(b, 1, 2, 3, 0, 0, 1)); }},
      {"dropout", 2 * array, [&] { require(ops::dropout(a, 0.1, 1, 2, 3, 0, nullptr, y)); }},
      {"adamw", 7 * array, [&] { require(ops::adamw(a, g, m, v, 1e-4, 0.9, 0.95, 1e-8, 0.1, 3, 1)); }},
      {"adamwPrepared", 7 * array,
       [&] { require(ops::adamw_prepared({a}, {g}, {m}, {v}, {}, settings, nullptr, 0, 0, false)); }},
      {"adamwGrokfast", 9 * array,
       [&] { require(ops::adamw_grokfast(a, g, b, m, v, 1e-4, 0.9, 0.95, 1e-8, 0.1, 3, 1, 0.98, 2, false)); }},
      {"readWeights, bf16", 1.5 * array, [&] { require(ops::read_weights(fileno(file), 0, bf16, {large}, y)); }},
      {"encodeWeights, bf16", 1.5 * array, [&] { require(ops::encode_weights(g, bf16, 0, stored.data(), stored_bytes)); }},
  };
  for (const Other& other : others) record_against_copy(other.name, "2^24", other.bytes, bandwidth, other.f);
  std::fclose(file);
}

}  // namespace

void bench_ops(double bandwidth) {
  bench_large(bandwidth);
  std::printf("\nshapes of the pico model: 16 x 128 tokens, width 256\n");
  const Tensor x = random_tensor({2048, 256}, 1), gain = random_tensor({256}, 2), logits = random_tensor({2048, 1024}, 3);
  const Tensor q = random_tensor({16, 128, 4, 64}, 4), k = random_tensor({16, 128, 2, 64}, 5);
  const Tensor table = random_tensor({1024, 256}, 8), ids = random_rows(2048, 1024);
  Tensor y, z, targets, rstd, lse, o, dq, dk, dv, loss;
  require(ops::full(DType::i32, {2048}, 17, targets));
  const double rows = 4.0 * 2048 * 256, wide = 4.0 * 2048 * 1024;
  const auto pico = [&](const char* name, double bytes, const std::function<void()>& f) {
    record_against_copy(name, "pico 16x128", bytes, bandwidth, f);
  };
  pico("rmsNorm", 2 * rows, [&] { require(ops::rms_norm(x, gain, 1e-5, y, rstd)); });
  pico("rmsNormBackward", 4 * rows,
       [&] { require(ops::rms_norm_backward(x, x, gain, rstd, &gain, z)); });
  pico("rope", 2 * rows, [&] { require(ops::rope(q, 0, 10000, {}, 0, false, y)); });
  pico("attention", 3 * rows, [&] { require(ops::attention(q, k, k, true, 0, 0.125, -1, false, o, lse)); });
  pico("attentionBackward", 7 * rows,
       [&] { require(ops::attention_backward(q, q, k, k, o, lse, true, 0, 0.125, false, dq, dk, dv)); });
  // Of each pair of a row and a position before it, products of 64 numbers: two forward; five backward, with the scores anew.
  const double product = 2.0 * 64 * 16 * 4 * (128 * 129 / 2);
  record_against_peak("attention", "pico 16x128", 2 * product,
                      [&] { require(ops::attention(q, k, k, true, 0, 0.125, -1, false, o, lse)); });
  record_against_peak("attentionBackward", "pico 16x128", 5 * product,
                      [&] { require(ops::attention_backward(q, q, k, k, o, lse, true, 0, 0.125, false, dq, dk, dv)); });
  pico("embedding", 2 * rows, [&] { require(ops::embedding(table, ids, y)); });
  pico("embeddingBackward", 3 * rows, [&] { require(ops::embedding_backward(x, ids, table)); });
  pico("softmax", 2 * wide, [&] { require(ops::softmax(logits, y)); });
  pico("softmaxBackward", 3 * wide, [&] { require(ops::softmax_backward(logits, logits, y)); });
  pico("crossEntropy", wide, [&] { require(ops::cross_entropy(logits, targets, -1, loss, lse)); });
  pico("crossEntropyBackward", 2 * wide, [&] {
    require(ops::cross_entropy_backward(logits, targets, lse, nullptr, 1e-3, -1, false, y));
  });
  pico("klDivergence", 2 * wide, [&] { require(ops::kl_divergence(logits, logits, loss, lse, y)); });
  pico("klDivergenceBackward", 4 * wide, [&] {
    require(ops::kl_divergence_backward(logits, logits, loss, lse, lse, nullptr, 1, y, z));
  });
  // relu, because silu applied to its own result again and again runs into subnormal numbers.
  pico("biasActivation", 2 * rows, [&] { require(ops::bias_activation(x, &gain, 1)); });
  pico("topK", wide, [&] { require(ops::top_k(logits, 40, y, z)); });
  pico("categorical", 2 * wide, [&] { require(ops::categorical(logits, 1, 2, 3, 0, y)); });
  const Tensor wave = random_tensor({16, 128, 256}, 6);
  pico("linearScan", 3 * rows, [&] { require(ops::linear_scan(wave, wave, nullptr, y)); });
  pico("linearScanBackward", 6 * rows, [&] {
    require(ops::linear_scan_backward(wave, wave, wave, nullptr, dq, dk, dv));
  });
  Tensor ranges;  // the causal mask: what attention above computes
  require(empty("bench", DType::i32, {128, 1, 2}, ranges));
  for (int32_t t = 0; t < 128; ++t) {
    ranges.i32()[2 * t] = 0;
    ranges.i32()[2 * t + 1] = t + 1;
  }
  pico("rangedAttention", 3 * rows, [&] { require(ops::ranged_attention(q, k, k, ranges, 0.125, o, lse)); });
  pico("rangedAttentionBackward", 7 * rows, [&] {
    require(ops::ranged_attention_backward(q, q, k, k, o, lse, ranges, 0.125, dq, dk, dv));
  });
  const Tensor square = random_tensor({256, 256}, 7);
  const Tensor parameter = random_tensor({256, 256}, 9), momentum = random_tensor({256, 256}, 10);
  const double flop = 5 * 3 * 2.0 * 256 * 256 * 256;  // five steps of three products
  record_against_peak("newtonSchulz", "256 x 256", flop, [&] { require(ops::newton_schulz(square, 5, y)); });
  record_against_peak("muon", "256 x 256", flop,
                      [&] { require(ops::muon(parameter, square, momentum, 1e-3, 0.9, true, 0.1, 5, 1)); });
  const double seconds = median_seconds([&] { require(ops::svd(square, y, z, o)); });
  record({"svd", "256 x 256", 1e3 * seconds, "ms"});
  std::printf("\n");
}

}  // namespace forge::bench
