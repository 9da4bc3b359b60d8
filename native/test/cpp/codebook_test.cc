#include <cstring>
#include <set>

#include "check.h"
#include "core/parallel.h"
#include "ops/ops.h"

/** k-means, nearest centroids, hyper-compression and packed bits. */
namespace forge::test {
namespace {

double total(const Tensor& x) {
  double sum = 0;
  for (int64_t i = 0; i < x.count(); ++i) sum += double{x.f32()[i]};
  return sum;
}

struct Clusters {
  Tensor centroids, index, distance;
};

Clusters cluster(const Tensor& x, int64_t k, int64_t iterations, const Tensor* weights = nullptr, uint32_t seed = 1) {
  Clusters c;
  CHECK_OK(ops::kmeans(x, weights, k, iterations, seed, 0, c.centroids, c.index, c.distance));
  return c;
}

}  // namespace

TEST(nearest_centroid_agrees_with_plain_loops) {
  for_each_isa([] {
    for (const Shape& shape : {Shape{0, 3}, Shape{1, 1}, Shape{70, 5}, Shape{33, 256}}) {
      for (const int64_t k : {1, 3, 37}) {
        const Tensor x = random_tensor(shape, 1), centroids = random_tensor({k, shape[1]}, 2);
        Tensor index, distance;
        CHECK_OK(ops::nearest_centroid(x, centroids, index, distance));
        std::vector<double> expected;
        for (int64_t i = 0; i < shape[0]; ++i) {
          double best = INFINITY;
          for (int64_t j = 0; j < k; ++j) {
            double sum = 0;
            for (int64_t d = 0; d < shape[1]; ++d) {
              sum += std::pow(double{x.f32()[i * shape[1] + d]} - double{centroids.f32()[j * shape[1] + d]}, 2);
            }
            best = std::min(best, sum);
            if (j == index.i32()[i]) expected.push_back(sum);
          }
          CHECK(std::fabs(expected.back() - best) <= 1e-6 * (1 + best));
        }
        CHECK_CLOSE(distance, expected, 2e-6);
      }
    }
  });
}

TEST(kmeans_finds_separate_clusters_and_lowers_the_error) {
  for_each_isa([] {
    Tensor x = random_tensor({600, 3}, 1, 0.01);
    for (int64_t i = 0; i < 600; ++i) x.f32()[i * 3 + i % 3] += static_cast<float>(5 * (1 + i % 6 / 3));
    const Clusters six = cluster(x, 6, 50);
    CHECK(total(six.distance) < 600 * 3 * 0.0002);
    for (int64_t i = 6; i < 600; ++i) CHECK(six.index.i32()[i] == six.index.i32()[i % 6]);
    const Tensor y = random_tensor({2000, 4}, 2);
    double before = INFINITY;
    for (const int64_t iterations : {0, 1, 3, 20}) {
      const double error = total(cluster(y, 16, iterations).distance);
      CHECK(error <= before * (1 + 1e-6));
      before = error;
    }
  });
}

TEST(kmeans_reaches_the_known_rate_of_normal_weights) {
  // Relative squared error of pairs of N(0, 1) under 16 centroids: 0.11.
  const Tensor x = random_tensor({20000, 2}, 3);
  CHECK(std::fabs(total(cluster(x, 16, 60).distance) / inner(x, x) - 0.11) < 0.006);
}

TEST(kmeans_is_exact_with_a_centroid_for_each_distinct_row) {
  std::vector<double> rows;
  for (int i = 0; i < 200; ++i) rows.insert(rows.end(), {i % 5 * 1.0, i % 7 * 2.0});
  const Tensor x = tensor_of({200, 2}, rows);
  CHECK(total(cluster(x, 35, 20).distance) == 0);
  CHECK(total(cluster(x, 200, 20).distance) == 0);
  const Clusters one = cluster(x, 1, 5);
  CHECK(std::fabs(double{one.centroids.f32()[0]} - 2.0) < 1e-6);
}

TEST(kmeans_counts_weights) {
  const Tensor x = tensor_of({3, 1}, {0, 1, 10}), weights = tensor_of({3}, {3, 1, 0});
  const Clusters c = cluster(x, 1, 5, &weights);
  CHECK_CLOSE(c.centroids, {0.25}, 1e-7);
}

TEST(kmeans_depends_on_its_seed_only) {
  const Tensor x = random_tensor({9000, 4}, 3);
  const Clusters a = cluster(x, 32, 5), b = cluster(x, 32, 5), other = cluster(x, 32, 5, nullptr, 2);
  // Inside a task the pool is busy, so all pieces run on one thread.
  Clusters alone;
  parallel_for(1, [&](int64_t, int) { alone = cluster(x, 32, 5); });
  for (const Clusters* c : {&b, const_cast<const Clusters*>(&alone)}) {
    CHECK(std::memcmp(a.centroids.data(), c->centroids.data(), static_cast<size_t>(a.centroids.bytes())) == 0);
    CHECK(std::memcmp(a.index.data(), c->index.data(), static_cast<size_t>(a.index.bytes())) == 0);
  }
  CHECK(std::memcmp(a.centroids.data(), other.centroids.data(), static_cast<size_t>(a.centroids.bytes())) != 0);
}

TEST(hyper_keeps_cell_centres_and_bounds_the_error) {
  constexpr double side = 0.1;
  constexpr int64_t cells = 40, classes = 3;
  Tensor w = random_tensor({5001}, 4, 0.04), codes, frame, back, again;
  CHECK_OK(ops::hyper_encode(w, side, cells, classes, codes, frame));
  CHECK_OK(ops::hyper_decode(codes, frame, side, cells, classes, 5001, back));
  CHECK(codes.count() == 2501 && back.count() == 5001);
  const double outside = frame.f32()[2];
  std::set<int64_t> seen;
  for (int64_t i = 0; i < 2500; ++i) {
    const int64_t code = codes.i32()[i], m = code / (cells * cells);
    CHECK(code >= 0 && m <= classes);
    seen.insert(m);
    // Half the diagonal of a cell, larger by what drew the pair in.
    const double grown = 1 + 2 * static_cast<double>(m) * outside / classes / side;
    const double bound = side / static_cast<double>(cells) / 2 * std::sqrt(2.0) * grown;
    const double a = double{w.f32()[2 * i]} - double{back.f32()[2 * i]};
    const double b = double{w.f32()[2 * i + 1]} - double{back.f32()[2 * i + 1]};
    if (std::hypot(a, b) > bound * (1 + 1e-4)) return report(__FILE__, __LINE__, "pair " + std::to_string(i));
  }
  CHECK(seen.size() == 4);
  // What was decoded are centres of cells. Encoded with the same frame they would be the same; a frame of its own needs
  // pairs that are symmetric, so that mean and farthest stay.
  std::vector<double> centres;
  for (int sign : {1, -1}) {
    for (int i = 0; i < 40; ++i) centres.insert(centres.end(), {sign * (i + .5) * .0025 - sign * .05, sign * .00125});
  }
  const Tensor exact = tensor_of({160}, centres);
  CHECK_OK(ops::hyper_encode(exact, side, cells, classes, codes, frame));
  CHECK_OK(ops::hyper_decode(codes, frame, side, cells, classes, 160, again));
  CHECK_CLOSE(again, centres, 1e-8);
}

TEST(hyper_refuses_bad_arguments) {
  Tensor codes, frame, w = random_tensor({10}, 1);
  CHECK_FAILS(ops::hyper_encode(w, 0, 40, 3, codes, frame), Code::argument, "side 0");
  CHECK_FAILS(ops::hyper_encode(w, 0.1, 32768, 3, codes, frame), Code::argument, "2^31");
  CHECK_FAILS(ops::hyper_encode(tensor_of({1}, {NAN}), 0.1, 40, 3, codes, frame), Code::argument, "element 0");
  CHECK_OK(ops::hyper_encode(w, 0.1, 40, 3, codes, frame));
  CHECK_FAILS(ops::hyper_decode(codes, frame, 0.1, 40, 3, 12, w), Code::shape, "12");
  codes.i32()[2] = 6400;
  CHECK_FAILS(ops::hyper_decode(codes, frame, 0.1, 40, 3, 10, w), Code::argument, "6400", "position 2", "6399");
}

TEST(bits_come_back_at_every_width) {
  for (int64_t width = 1; width <= 31; ++width) {
    for (const bool is_signed : {false, true}) {
      const int64_t least = is_signed ? -(int64_t{1} << (width - 1)) : 0, range = int64_t{1} << width;
      std::vector<int32_t> numbers;
      for (int64_t i = 0; i < 37; ++i) numbers.push_back(static_cast<int32_t>(least + i * 0x9e3779b97f4a7 % range));
      numbers[0] = static_cast<int32_t>(least), numbers[1] = static_cast<int32_t>(least + range - 1);
      Tensor bytes, back;
      CHECK_OK(ops::pack_bits(tensor_of_i32({37}, numbers), width, is_signed, bytes));
      CHECK(bytes.count() == (37 * width + 7) / 8);
      CHECK_OK(ops::unpack_bits(bytes, 37, width, is_signed, back));
      CHECK(std::memcmp(back.i32(), numbers.data(), 37 * 4) == 0);
    }
  }
  Tensor bytes;
  CHECK_FAILS(ops::pack_bits(tensor_of_i32({2}, {3, 4}), 2, false, bytes), Code::argument, "4 at position 1", "0 to 3");
  CHECK_FAILS(ops::pack_bits(tensor_of_i32({1}, {2}), 2, true, bytes), Code::argument, "-2 to 1");
  CHECK_FAILS(ops::pack_bits(random_tensor({2}, 1), 2, false, bytes), Code::dtype, "f32");
  CHECK_OK(ops::pack_bits(tensor_of_i32({2}, {1, 2}), 3, false, bytes));
  CHECK(*bytes.u8() == (1 | 2 << 3));
  CHECK_FAILS(ops::unpack_bits(bytes, 3, 3, false, bytes), Code::shape, "1 bytes", "3 values");
  CHECK_FAILS(ops::unpack_bits(bytes, 1, 32, false, bytes), Code::argument, "32 bits");
}

TEST(kmeans_refuses_bad_arguments) {
  Clusters c;
  const Tensor x = random_tensor({10, 2}, 1), negative = tensor_of({10}, {1, 1, -1, 1, 1, 1, 1, 1, 1, 1});
  CHECK_FAILS(ops::kmeans(x, nullptr, 11, 5, 1, 0, c.centroids, c.index, c.distance), Code::argument, "11", "[10, 2]");
  CHECK_FAILS(ops::kmeans(x, nullptr, 2, 10001, 1, 0, c.centroids, c.index, c.distance), Code::argument, "10001");
  CHECK_FAILS(ops::kmeans(x, &negative, 2, 5, 1, 0, c.centroids, c.index, c.distance), Code::argument, "row 2");
  CHECK_FAILS(ops::kmeans(random_tensor({10}, 1), nullptr, 2, 5, 1, 0, c.centroids, c.index, c.distance), Code::shape, "[10]");
  CHECK_FAILS(ops::nearest_centroid(x, random_tensor({3, 3}, 1), c.index, c.distance), Code::shape, "[10, 2]", "[3, 3]");
}

}  // namespace forge::test
