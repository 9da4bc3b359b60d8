#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "bench.h"
#include "core/kernels.h"
#include "ops/ops.h"

namespace forge::bench {
namespace {

/** The library of a folder that says it fits this processor best, as ggml chooses it; null when none does. */
void* best_of_folder(const std::filesystem::path& folder) {
  void* best = nullptr;
  int highest = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (!entry.path().filename().string().starts_with("libggml-cpu")) continue;
    void* library = dlopen(entry.path().c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) continue;
    const auto score = reinterpret_cast<int (*)()>(dlsym(library, "ggml_backend_score"));
    if (score == nullptr || score() <= highest) continue;
    highest = score();
    best = library;
  }
  return best;
}

/**
 * Rows of TQ2_0 times one row of Q8_K as ggml computes them. FORGE_BENCH_GGML names a libggml-cpu library, or a folder
 * of them.
 */
class Ggml {
 public:
  Ggml() {
    const char* path = std::getenv("FORGE_BENCH_GGML");
    if (path == nullptr) return;
    void* library = std::filesystem::is_directory(path) ? best_of_folder(path) : dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      std::fprintf(stderr, "FORGE_BENCH_GGML: no library for this processor at %s\n", path);
      return;
    }
    if (const auto start = reinterpret_cast<void (*)()>(dlsym(library, "ggml_cpu_init"))) start();
    const auto traits_of = reinterpret_cast<const Traits* (*)(int)>(dlsym(library, "ggml_get_type_traits_cpu"));
    if (traits_of == nullptr) return;
    dot_ = traits_of(tq2_0)->vec_dot;
    quantize_ = traits_of(q8_k)->from_float;
  }
  bool is_loaded() const { return dot_ != nullptr && quantize_ != nullptr; }
  void multiply(const float* x, const uint8_t* blocks, float* y, uint8_t* scratch, int64_t m, int64_t n, int64_t k) const {
    const int64_t row_bytes = k / 256 * 66, x_bytes = k / 256 * q8_k_bytes;
    for (int64_t i = 0; i < m; ++i) quantize_(x + i * k, scratch + i * x_bytes, k);
    // Tiles of 16 × 16, as ggml_compute_forward_mul_mat.
    for (int64_t row = 0; row < n; row += 16) {
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t j = row; j < std::min(n, row + 16); ++j) {
          dot_(static_cast<int>(k), y + i * n + j, 0, blocks + j * row_bytes, 0, scratch + i * x_bytes, 0, 1);
        }
      }
    }
  }
  static constexpr int64_t q8_k_bytes = 4 + 256 + 32;  // scale, codes, sums of 16

 private:
  static constexpr int q8_k = 15, tq2_0 = 35;
  struct Traits {
    void (*from_float)(const float*, void*, int64_t);
    void (*vec_dot)(int, float*, size_t, const void*, size_t, const void*, size_t, int);
    int vec_dot_type;
    int64_t nrows;
  };
  void (*quantize_)(const float*, void*, int64_t) = nullptr;
  void (*dot_)(int, float*, size_t, const void*, size_t, const void*, size_t, int) = nullptr;
};

/** Bytes per second of reading `bytes` again and again, where they fit: one worker's share of the weights. */
double read_bandwidth(const Tensor& buffer) {
  const int64_t words = buffer.count() / 8;
  const auto* data = static_cast<const int64_t*>(buffer.data());
  volatile int64_t sink = 0;
  const int repeats = static_cast<int>(std::max<int64_t>(1, (1 << 24) / buffer.count()));
  const double seconds = median_seconds([&] {
    for (int i = 0; i < repeats; ++i) {
      int64_t sums[8] = {};
      for (int64_t w = 0; w + 8 <= words; w += 8) {
        for (int j = 0; j < 8; ++j) sums[j] ^= data[w + j];
      }
      sink = sink + (sums[0] ^ sums[1] ^ sums[2] ^ sums[3] ^ sums[4] ^ sums[5] ^ sums[6] ^ sums[7]);
    }
  });
  return static_cast<double>(buffer.count()) * repeats / seconds;
}

void bench_ternary() {
  const Ggml peer;
  struct Case {
    int64_t m, n, k;
  };
  for (const Case& c : {Case{1, 512, 512}, Case{1, 1280, 512}, Case{1, 512, 1280}, Case{1, 2048, 2048}, Case{1, 4096, 4096},
                        Case{1, 8192, 8192}, Case{1, 16384, 16384}, Case{2, 2048, 2048}, Case{4, 2048, 2048},
                        Case{128, 512, 512}, Case{128, 1280, 512}, Case{512, 2048, 2048}}) {
    const Tensor x = random_tensor({c.m, c.k}, 1), w = random_tensor({c.n, c.k}, 2);
    Tensor codes, step, packed, blocks, y, values, scratch, theirs;
    require(ops::absmean_quantize(w, codes, step));
    require(ops::ternary_pack(codes, packed));
    require(ops::absmean_fake_quantize(w, values));
    require(ops::encode_blocks(values, 3, blocks));
    require(empty("bench", DType::u8, {c.m, c.k / 256 * Ggml::q8_k_bytes}, scratch));
    require(empty("bench", DType::f32, {c.m, c.n}, theirs));
    const double operations = 2.0 * static_cast<double>(c.m * c.n * c.k);
    const int repeats = static_cast<int>(std::clamp(4e7 / operations, 1.0, 200.0));
    const auto ours = [&] { for (int i = 0; i < repeats; ++i) require(ops::ternary_matmul(x, packed, step, c.n, y)); };
    const auto peers = [&] {
      for (int i = 0; i < repeats; ++i) {
        peer.multiply(x.f32(), blocks.u8(), theirs.f32(), scratch.u8(), c.m, c.n, c.k);
      }
    };
    std::vector<double> times, ratios;
    ours();
    if (peer.is_loaded()) peers();
    for (int round = 0; round < 21; ++round) {
      times.push_back(seconds_of(ours) / repeats);
      ratios.push_back(peer.is_loaded() ? seconds_of(peers) / repeats / times.back() : 0);
    }
    const double seconds = median(times), rate = operations / seconds / 1e9, ratio = median(ratios);
    const std::string name = c.m == 1 ? "ternary row" : "ternary rows";
    const std::string shape = std::to_string(c.m) + "x" + std::to_string(c.n) + "x" + std::to_string(c.k);
    if (peer.is_loaded()) record({name, shape, rate, "GOP/s", "llama.cpp TQ2_0", rate / ratio, ratio});
    if (c.m > 1) {
      if (!peer.is_loaded()) record({name, shape, rate, "GOP/s"});
      continue;
    }
    const double read = read_bandwidth(packed), bytes = static_cast<double>(packed.bytes()) / seconds;
    record({name + ", weights", shape, bytes / 1e9, "GB/s", "read, one thread", read / 1e9, bytes / read});
    if (c.n != 2048) continue;
    Tensor row, row_step, sums;
    require(ops::absmax_quantize(x, row, row_step));
    const double whole = median_seconds([&] { require(ops::ternary_accumulate(row, packed, c.n, sums)); });
    record({"ternaryAccumulate", shape, operations / whole / 1e9, "GOP/s"});
  }
  std::printf("\n");
}

void bench_seedlm(double bandwidth) {
  struct Case {
    const char* name;
    int64_t block, rank;
  };
  for (const Case& c : {Case{"seedlm encode M4", 8, 3}, Case{"seedlm encode M3", 12, 4}}) {
    constexpr int64_t blocks = 4800;
    const Tensor w = random_tensor({blocks, c.block}, 1);
    Tensor seeds, fields;
    // What each seed of each block costs at least: Qᵀw and its square.
    const double flop = 2.0 * static_cast<double>(c.block * c.rank + c.rank), tried = 65535.0 * blocks;
    std::vector<double> rates, shares;
    for (int round = 0; round < 9; ++round) {
      double peak = peak_burst();
      const double seconds = seconds_of([&] { require(ops::seedlm_encode(w, 1, 16, c.block, c.rank, seeds, fields)); });
      peak = std::max(peak, peak_burst());
      rates.push_back(tried * flop / seconds);
      shares.push_back(rates.back() / peak);
    }
    const double rate = median(rates) / 1e9, share = median(shares);
    record({c.name, "4800 blocks", rate, "GFLOP/s", "multiply-add peak", rate / share, share});
    record({std::string(c.name) + ", seeds", "4800 blocks", rate / flop, "G seeds/s"});
    if (c.block != 8) continue;
    // Fifty times the same blocks, past the caches.
    Tensor many_seeds, many_fields, y;
    require(ops::concat(TensorList(50, seeds), 0, many_seeds));
    require(ops::concat(TensorList(50, fields), 0, many_fields));
    const int64_t count = 50 * w.count();
    const double bytes = 4.0 * static_cast<double>(count) + static_cast<double>(many_seeds.bytes() + many_fields.bytes());
    record_against_copy("seedlmDecode M4", "240000 blocks", bytes, bandwidth,
                        [&] { require(ops::seedlm_decode(many_seeds, many_fields, 1, 16, c.block, count, y)); });
  }
  std::printf("\n");
}

}  // namespace

void bench_quantize(double bandwidth) {
  bench_ternary();
  bench_seedlm(bandwidth);
  constexpr int64_t large = int64_t{1} << 24;
  const Tensor x = random_tensor({large / 4096, 4096}, 1), pairs = random_tensor({1 << 18, 4}, 2);
  Tensor y, z, codes, step;
  const auto line = [&](const char* name, double bytes, const std::function<void()>& f) {
    record_against_copy(name, "2^24", bytes, bandwidth, f);
  };
  line("absmeanQuantize", 9.0 * large, [&] { require(ops::absmean_quantize(x, codes, step)); });
  line("absmeanFakeQuantize", 12.0 * large, [&] { require(ops::absmean_fake_quantize(x, y)); });
  line("absmaxQuantize", 5.0 * large, [&] { require(ops::absmax_quantize(x, codes, step)); });
  line("absmaxFakeQuantize", 8.0 * large, [&] { require(ops::absmax_fake_quantize(x, y)); });
  const char* names[] = {"F16", "Q8_0", "TQ1_0", "TQ2_0"};
  for (int64_t format = 0; format < 4; ++format) {
    const BlockSize size = block_sizes[format];
    const double bytes = large * (4.0 + static_cast<double>(size.bytes) / static_cast<double>(size.elements));
    line((std::string("encodeBlocks ") + names[format]).c_str(), bytes, [&] { require(ops::encode_blocks(x, format, y)); });
    line((std::string("decodeBlocks ") + names[format]).c_str(), bytes, [&] { require(ops::decode_blocks(y, format, z)); });
  }
  const Tensor centroids = random_tensor({256, 4}, 3);
  const double flop = 3.0 * 4 * 256 * static_cast<double>(pairs.shape()[0]);
  record_against_peak("nearestCentroid", "2^18x4, 256", flop,
                      [&] { require(ops::nearest_centroid(pairs, centroids, codes, y)); });
  const Tensor few = random_tensor({1 << 14, 4}, 4);
  const double seconds = median_seconds([&] { require(ops::kmeans(few, nullptr, 64, 8, 1, 2, y, codes, z)); });
  record({"kmeans, 8 iterations", "2^14x4, 64", 1e3 * seconds, "ms"});
  line("hyperEncode", 4.0 * large + 2.0 * large, [&] { require(ops::hyper_encode(x, 0.1, 40, 3, codes, step)); });
  line("hyperDecode", 4.0 * large + 2.0 * large,
       [&] { require(ops::hyper_decode(codes, step, 0.1, 40, 3, x.count(), y)); });
  require(ops::absmean_quantize(x, codes, step));
  line("ternaryPack", 1.25 * large, [&] { require(ops::ternary_pack(codes, y)); });
  line("ternaryUnpack", 1.25 * large, [&] { require(ops::ternary_unpack(y, large / 4096, 4096, z)); });
  line("packBits, 3 of i8", 1.375 * large, [&] { require(ops::pack_bits(codes, 3, true, y)); });
  line("unpackBits, 3 to i32", 4.375 * large, [&] { require(ops::unpack_bits(y, large, 3, true, z)); });
  std::printf("\n");
}

}  // namespace forge::bench
