#include <cstdio>

#include "bench.h"
#include "ops/ops.h"

namespace forge::bench {
namespace {

void line(const char* name, double bytes, double bandwidth, const std::function<void()>& f, const char* shape = "2^24") {
  const double rate = bytes / median_seconds(f);
  record({name, shape, rate / 1e9, "GB/s", "memory copy", bandwidth / 1e9, rate / bandwidth});
}

}  // namespace

void bench_ops(double bandwidth) {
  constexpr int64_t large = int64_t{1} << 24;
  const Tensor a = random_tensor({large}, 1), b = random_tensor({large}, 2), g = random_tensor({large}, 3);
  const Tensor m = random_tensor({large}, 4), v = random_tensor({large}, 5);
  require(ops::scale_in_place(v, 0));
  Tensor y, z;
  const double array = 4.0 * large;
  double total = 0;
  std::printf("2^24 elements\n");
  line("add", 3 * array, bandwidth, [&] { require(ops::add(a, b, y)); });
  line("axpy", 3 * array, bandwidth, [&] { require(ops::axpy(a, 1e-9, b)); });
  line("exp", 2 * array, bandwidth, [&] { require(ops::exp(a, y)); });
  line("silu", 2 * array, bandwidth, [&] { require(ops::silu(a, y)); });
  line("swiglu", 3 * array, bandwidth, [&] { require(ops::swiglu(a, b, y)); });
  line("swigluBackward", 5 * array, bandwidth, [&] { require(ops::swiglu_backward(g, a, b, y, z)); });
  line("sumSquares", array, bandwidth, [&] { require(ops::sum_squares({a}, total)); });
  line("adamw", 7 * array, bandwidth, [&] {
    require(ops::adamw(a, g, m, v, 1e-4, 0.9, 0.95, 1e-8, 0.1, 3, 1));
  });

  line("adamwGrokfast", 9 * array, bandwidth, [&] {
    require(ops::adamw_grokfast(a, g, b, m, v, 1e-4, 0.9, 0.95, 1e-8, 0.1, 3, 1, 0.98, 2, false));
  });
  line("dropout", 2 * array, bandwidth, [&] { require(ops::dropout(a, 0.1, 1, 2, 3, 0, nullptr, y)); });

  std::printf("\nshapes of the pico model: 16 x 128 tokens, width 256\n");
  const Tensor x = random_tensor({2048, 256}, 1), gain = random_tensor({256}, 2), logits = random_tensor({2048, 1024}, 3);
  const Tensor q = random_tensor({16, 128, 4, 64}, 4), k = random_tensor({16, 128, 2, 64}, 5);
  Tensor targets, rstd, lse, o, dq, dk, dv, loss;
  require(ops::full(DType::i32, {2048}, 17, targets));
  const double rows = 4.0 * 2048 * 256, wide = 4.0 * 2048 * 1024;
  const auto pico = [&](const char* name, double bytes, double limit, const std::function<void()>& f) {
    line(name, bytes, limit, f, "pico 16x128");
  };
  pico("rmsNorm", 2 * rows, bandwidth, [&] { require(ops::rms_norm(x, gain, 1e-5, y, rstd)); });
  pico("rmsNormBackward", 4 * rows, bandwidth,
       [&] { require(ops::rms_norm_backward(x, x, gain, rstd, &gain, z)); });
  pico("rope", 2 * rows, bandwidth, [&] { require(ops::rope(q, 0, 10000, {}, 0, false, y)); });
  pico("attention", 3 * rows, bandwidth, [&] { require(ops::attention(q, k, k, true, 0, 0.125, -1, o, lse)); });
  pico("attentionBackward", 7 * rows, bandwidth,
       [&] { require(ops::attention_backward(q, q, k, k, o, lse, true, 0, 0.125, dq, dk, dv)); });
  pico("softmax", 2 * wide, bandwidth, [&] { require(ops::softmax(logits, y)); });
  pico("crossEntropy", wide, bandwidth, [&] { require(ops::cross_entropy(logits, targets, -1, loss, lse)); });
  pico("crossEntropyBackward", 2 * wide, bandwidth, [&] {
    require(ops::cross_entropy_backward(logits, targets, lse, nullptr, 1e-3, -1, false, y));
  });
  pico("klDivergence", 2 * wide, bandwidth, [&] { require(ops::kl_divergence(logits, logits, loss, lse, y)); });
  pico("klDivergenceBackward", 4 * wide, bandwidth, [&] {
    require(ops::kl_divergence_backward(logits, logits, loss, lse, lse, nullptr, 1, y, z));
  });
  // relu, because silu applied to its own result again and again runs into subnormal numbers.
  pico("biasActivation", 2 * rows, bandwidth, [&] { require(ops::bias_activation(x, &gain, 1)); });
  pico("topK", wide, bandwidth, [&] { require(ops::top_k(logits, 40, y, z)); });
  pico("categorical", 2 * wide, bandwidth, [&] { require(ops::categorical(logits, 1, 2, 3, 0, y)); });
  const Tensor wave = random_tensor({16, 128, 256}, 6);
  pico("linearScan", 3 * rows, bandwidth, [&] { require(ops::linear_scan(wave, wave, nullptr, y)); });
  pico("linearScanBackward", 6 * rows, bandwidth, [&] {
    require(ops::linear_scan_backward(wave, wave, wave, nullptr, dq, dk, dv));
  });
  Tensor ranges;  // the causal mask: what attention above computes
  require(empty("bench", DType::i32, {128, 1, 2}, ranges));
  for (int32_t t = 0; t < 128; ++t) {
    ranges.i32()[2 * t] = 0;
    ranges.i32()[2 * t + 1] = t + 1;
  }
  pico("rangedAttention", 3 * rows, bandwidth, [&] { require(ops::ranged_attention(q, k, k, ranges, 0.125, o, lse)); });
  pico("rangedAttentionBackward", 7 * rows, bandwidth, [&] {
    require(ops::ranged_attention_backward(q, q, k, k, o, lse, ranges, 0.125, dq, dk, dv));
  });
  const Tensor square = random_tensor({256, 256}, 7);
  const double peak = peak_burst(), flops = 5 * 3 * 2.0 * 256 * 256 * 256;
  const double rate = flops / median_seconds([&] { require(ops::newton_schulz(square, 5, y)); });
  record({"newtonSchulz", "256 x 256", rate / 1e9, "GFLOP/s", "peak", peak / 1e9, rate / peak});
  std::printf("svd of 256 x 256: %.1f ms\n", 1e3 * median_seconds([&] { require(ops::svd(square, y, z, o)); }));
  std::printf("\n");
}

}  // namespace forge::bench
