#include <algorithm>
#include <cmath>
#include <vector>

#include "core/kernels.h"
#include "core/parallel.h"
#include "ops/finite.h"
#include "ops/ops.h"

/**
 * Hyper-compression: a pair of weights as one integer. A line of irrational slope comes as close as one likes to every
 * point of a square; sampled at U steps and read through a grid of U cells, the step that hits a cell stands for the cell.
 * So a code is class · U + cell, and decoding is a look-up. Fan et al. 2024, arXiv:2409.00592, sections 3.2 and 3.3.
 */
namespace forge::ops {
namespace {

constexpr int64_t pairs_per_piece = 16384;
/** Doubles hold every intermediate; codes must fit an i32. */
constexpr int64_t most_codes = int64_t{1} << 31;

struct Grid {
  double side;
  int64_t cells, classes;
  double centre[2] = {0, 0}, outside = 0;

  int64_t area() const { return cells * cells; }
  int64_t codes() const { return (classes + 1) * area(); }
  /** Factor that draws points of class m into the square: (side/2) / (side/2 + m·outside/classes). */
  double factor(int64_t m) const {
    return m == 0 ? 1 : side / 2 / (side / 2 + outside / static_cast<double>(classes) * static_cast<double>(m));
  }
  /** Class 0 is the square; class m ends m/classes of the way to the farthest point (greatest coordinate). */
  int64_t class_of(double radius) const {
    if (radius <= side / 2 || !(outside > 0)) return 0;
    const double rings = (radius - side / 2) / outside * static_cast<double>(classes);
    const auto whole = static_cast<int64_t>(rings);
    return std::min(whole + (static_cast<double>(whole) < rings), classes);
  }
  int64_t cell_of(double offset) const {
    return std::clamp<int64_t>(static_cast<int64_t>((offset / side + 0.5) * static_cast<double>(cells)), 0, cells - 1);
  }
  double middle_of(int64_t cell) const {
    return ((static_cast<double>(cell) + 0.5) / static_cast<double>(cells) - 0.5) * side;
  }
};

struct Pair {
  float first, second;
};

Status check_grid(const char* op, const Grid& grid) {
  if (!(grid.side > 0 && std::isfinite(grid.side)) || grid.cells < 1 || grid.cells > 32768 || grid.classes < 1 ||
      grid.classes > 1024 || grid.codes() > most_codes) {
    return failure(Code::argument,
                   "%s: side %g, %lld cells a side, %lld classes; needs a positive side, 1 to 32768, 1 to 1024, and "
                   "(classes + 1) * cells^2 up to 2^31",
                   op, grid.side, static_cast<long long>(grid.cells), static_cast<long long>(grid.classes));
  }
  return {};
}

template <class F>
void for_pairs(int64_t pairs, const F& f) {
  parallel_for((pairs + pairs_per_piece - 1) / pairs_per_piece, [&](int64_t piece, int) {
    for (int64_t i = piece * pairs_per_piece; i < std::min(pairs, (piece + 1) * pairs_per_piece); ++i) f(i);
  });
}

}  // namespace

Status hyper_encode(const Tensor& w, double side, int64_t cells, int64_t classes, Tensor& codes, Tensor& frame) {
  constexpr const char* op = "hyperEncode";
  FORGE_TRY(expect_f32(op, {&w}));
  Grid grid{side, cells, classes};
  FORGE_TRY(check_grid(op, grid));
  FORGE_TRY(expect_finite(op, w));
  const int64_t count = w.count(), pairs = (count + 1) / 2;
  Tensor result, where;
  FORGE_TRY(empty(op, DType::i32, {pairs}, result));
  FORGE_TRY(empty(op, DType::f32, {3}, where));
  const float* x = w.f32();
  // Per piece, so that the order of the sums is that of the pieces; elements at 2i, then at 2i + 1.
  struct Part {
    double sum[2] = {0, 0}, farthest = 0;
  };
  std::vector<Part> parts(static_cast<size_t>((pairs + pairs_per_piece - 1) / pairs_per_piece));
  const auto for_parts = [&](const auto& f) {
    parallel_for(static_cast<int64_t>(parts.size()), [&](int64_t piece, int) {
      const int64_t begin = 2 * piece * pairs_per_piece, end = std::min(count, begin + 2 * pairs_per_piece);
      for (int axis = 0; axis < 2; ++axis) {
        for (int64_t i = begin + axis; i < end; i += 2) f(parts[static_cast<size_t>(piece)], axis, double{x[i]});
      }
    });
  };
  for_parts([](Part& part, int axis, double value) { part.sum[axis] += value; });
  for (int axis = 0; axis < 2; ++axis) {
    double total = 0;
    for (const Part& part : parts) total += part.sum[axis];
    const int64_t n = axis == 0 ? pairs : count / 2;
    grid.centre[axis] = where.f32()[axis] = n == 0 ? 0 : static_cast<float>(total / static_cast<double>(n));
  }
  for_parts([&](Part& part, int axis, double value) {
    part.farthest = std::max(part.farthest, std::fabs(value - grid.centre[axis]));
  });
  double farthest = 0;
  for (const Part& part : parts) farthest = std::max(farthest, part.farthest);
  where.f32()[2] = static_cast<float>(std::max(0.0, farthest - side / 2));
  grid.outside = where.f32()[2];
  std::vector<double> factors;
  for (int64_t m = 0; m <= classes; ++m) factors.push_back(grid.factor(m));
  for_pairs(pairs, [&](int64_t i) {
    // The last pair of an odd count is filled with the centre.
    const double a = x[2 * i] - grid.centre[0], b = 2 * i + 1 < count ? x[2 * i + 1] - grid.centre[1] : 0;
    const int64_t m = grid.class_of(std::max(std::fabs(a), std::fabs(b)));
    const double factor = factors[static_cast<size_t>(m)];
    result.i32()[i] =
        static_cast<int32_t>(m * grid.area() + grid.cell_of(a * factor) * grid.cells + grid.cell_of(b * factor));
  });
  codes = std::move(result);
  frame = std::move(where);
  return {};
}

Status hyper_decode(const Tensor& codes, const Tensor& frame, double side, int64_t cells, int64_t classes, int64_t count,
                    Tensor& w) {
  constexpr const char* op = "hyperDecode";
  FORGE_TRY(expect_dtype(op, "codes", codes, DType::i32));
  FORGE_TRY(expect_f32(op, {&frame}));
  Grid grid{side, cells, classes};
  FORGE_TRY(check_grid(op, grid));
  if (!(frame.shape() == Shape{3}) || count < 0 || codes.count() != (count + 1) / 2) {
    return failure(Code::shape, "%s: codes %s and frame %s, needs one code for two of %lld weights, and [3]", op,
                   codes.shape().text().c_str(), frame.shape().text().c_str(), static_cast<long long>(count));
  }
  FORGE_TRY(expect_finite(op, frame));
  for (int axis = 0; axis < 2; ++axis) grid.centre[axis] = frame.f32()[axis];
  grid.outside = std::max(0.0f, frame.f32()[2]);
  for (int64_t i = 0; i < codes.count(); ++i) {
    if (codes.i32()[i] >= 0 && codes.i32()[i] < grid.codes()) continue;
    return failure(Code::argument, "%s: code %d at position %lld, needs 0 to %lld", op, codes.i32()[i],
                   static_cast<long long>(i), static_cast<long long>(grid.codes() - 1));
  }
  Tensor result;
  FORGE_TRY(empty(op, DType::f32, {count}, result));
  const auto pair_of = [&](int64_t code) {
    const int64_t cell = code % grid.area();
    const double factor = grid.factor(code / grid.area());
    return Pair{static_cast<float>(grid.middle_of(cell / cells) / factor + grid.centre[0]),
                static_cast<float>(grid.middle_of(cell % cells) / factor + grid.centre[1])};
  };
  const int32_t* code = codes.i32();
  float* y = result.f32();
  const auto put = [y](int64_t i, const Pair& pair) { y[2 * i] = pair.first, y[2 * i + 1] = pair.second; };
  if (grid.codes() <= codes.count()) {
    std::vector<Pair> table;
    for (int64_t i = 0; i < grid.codes(); ++i) table.push_back(pair_of(i));
    const Pair* pairs = table.data();
    for_pairs(count / 2, [=](int64_t i) { put(i, pairs[code[i]]); });
  } else {
    for_pairs(count / 2, [&](int64_t i) { put(i, pair_of(code[i])); });
  }
  if (count % 2 == 1) y[count - 1] = pair_of(code[count / 2]).first;
  w = std::move(result);
  return {};
}

}  // namespace forge::ops
