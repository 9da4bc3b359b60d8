#include "core/kernels.h"
#include "cpu/simd.h"

/**
 * One-sided Jacobi (Hestenes 1958; Brent & Luk 1985): rotates pairs of columns of a tall matrix until all are
 * orthogonal; their lengths are the singular values, the product of the rotations V. In f64. A round rotates
 * disjoint pairs in parallel, n − 1 rounds meet every pair once. Compiled without contraction, with sums of a fixed
 * order: the same bytes on every instruction set and for any number of threads.
 */
namespace forge::FORGE_ISA {
namespace {

constexpr int most_sweeps = 60;         // convergence is quadratic at the end: eight are usual
constexpr double orthogonal = 1e-13;    // cosine between columns that counts as 0
constexpr double unit = 2.220446049250313e-16;

double dot64(const double* a, const double* b, int64_t n) {
  double sums[8] = {};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (int j = 0; j < 8; ++j) sums[j] += a[i + j] * b[i + j];
  }
  for (; i < n; ++i) sums[i % 8] += a[i] * b[i];
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

void rotate(double* a, double* b, double cosine, double sine, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const double x = a[i], y = b[i];
    a[i] = cosine * x - sine * y;
    b[i] = sine * x + cosine * y;
  }
}

/** Columns of the tall orientation [m, n], m ≥ n, one after the other; V the same way. */
struct Work {
  int64_t m, n;
  double *columns, *v, *lengths;
  int64_t *order, *moved;
  /** Length up to which a column is rounding error of the others: below what the result takes for zero. */
  double negligible = 0;

  Work(int64_t rows, int64_t width, double* scratch) : m(rows), n(width) {
    columns = scratch;
    v = columns + m * n;
    lengths = v + n * n;
    order = reinterpret_cast<int64_t*>(lengths + n);
    moved = order + n;
  }
  double* column(int64_t j) const { return columns + j * m; }
};

/**
 * Makes columns p and q orthogonal; whether they were not. A negligible column is left: in a matrix without full rank it
 * has no direction of its own, and rotating it would only make it smaller, sweep after sweep.
 */
bool rotate_pair(const Work& w, int64_t p, int64_t q) {
  double *a = w.column(p), *b = w.column(q);
  const double aa = dot64(a, a, w.m), bb = dot64(b, b, w.m), ab = dot64(a, b, w.m);
  if ((aa < bb ? aa : bb) <= w.negligible * w.negligible) return false;
  if (ab == 0 || __builtin_fabs(ab) <= orthogonal * __builtin_sqrt(aa) * __builtin_sqrt(bb)) return false;
  const double zeta = (bb - aa) / (2 * ab);
  const double size = __builtin_fabs(zeta) + __builtin_sqrt(1 + zeta * zeta);
  const double tangent = zeta < 0 ? -1 / size : 1 / size;
  const double cosine = 1 / __builtin_sqrt(1 + tangent * tangent), sine = cosine * tangent;
  rotate(a, b, cosine, sine, w.m);
  rotate(w.v + p * w.n, w.v + q * w.n, cosine, sine, w.n);
  return true;
}

/** One meeting of every pair, by the circle method: seat 0 stays, the others move on by one each round. */
bool sweep(const Work& w) {
  const int64_t seats = w.n + w.n % 2;
  bool any = false;
  for (int64_t round = 0; round < seats - 1; ++round) {
    parallel_for(seats / 2, [&](int64_t i, int) {
      const auto at = [&](int64_t seat) { return seat == 0 ? 0 : (seat - 1 + round) % (seats - 1) + 1; };
      const int64_t p = at(i), q = at(seats - 1 - i);
      w.moved[i] = p < w.n && q < w.n && rotate_pair(w, min64(p, q), max64(p, q));
    });
    for (int64_t i = 0; i < seats / 2; ++i) any = any || w.moved[i] != 0;
  }
  return any;
}

/** A unit vector orthogonal to the first `count` of the columns in order: the axis they cover least, made orthogonal twice. */
void complete(const Work& w, int64_t count) {
  int64_t axis = 0;
  double least = 2;
  for (int64_t row = 0; row < w.m; ++row) {
    double covered = 0;
    for (int64_t j = 0; j < count; ++j) covered += w.column(w.order[j])[row] * w.column(w.order[j])[row];
    if (covered < least) {
      least = covered;
      axis = row;
    }
  }
  double* x = w.column(w.order[count]);
  for (int64_t row = 0; row < w.m; ++row) x[row] = row == axis ? 1 : 0;
  for (int pass = 0; pass < 2; ++pass) {
    for (int64_t j = 0; j < count; ++j) {
      const double* other = w.column(w.order[j]);
      const double share = dot64(other, x, w.m);
      for (int64_t row = 0; row < w.m; ++row) x[row] -= share * other[row];
    }
    const double scale = 1 / __builtin_sqrt(dot64(x, x, w.m));
    for (int64_t row = 0; row < w.m; ++row) x[row] *= scale;
  }
}

/** Columns by falling length; of equal ones the first first. */
void sort_columns(const Work& w) {
  for (int64_t j = 0; j < w.n; ++j) {
    int64_t to = j;
    for (; to > 0 && w.lengths[w.order[to - 1]] < w.lengths[j]; --to) w.order[to] = w.order[to - 1];
    w.order[to] = j;
  }
}

/** −1 when the component of largest magnitude is negative. */
double sign_of(const double* x, int64_t n) {
  int64_t best = 0;
  for (int64_t i = 1; i < n; ++i) {
    if (__builtin_fabs(x[i]) > __builtin_fabs(x[best])) best = i;
  }
  return x[best] < 0 ? -1 : 1;
}

}  // namespace

int64_t svd_scratch(int64_t rows, int64_t width) {
  const int64_t m = max64(rows, width), n = min64(rows, width);
  return (m * n + n * n + 3 * n + 1) * static_cast<int64_t>(sizeof(double));
}

bool svd(const float* x, int64_t rows, int64_t width, float* u, float* s, float* vt, void* scratch) {
  const bool is_wide = width > rows;
  Work w(is_wide ? width : rows, is_wide ? rows : width, static_cast<double*>(scratch));
  for (int64_t j = 0; j < w.n; ++j) {
    for (int64_t i = 0; i < w.m; ++i) w.column(j)[i] = is_wide ? x[j * width + i] : x[i * width + j];
    for (int64_t i = 0; i < w.n; ++i) w.v[j * w.n + i] = i == j ? 1 : 0;
  }
  // The largest singular value is at least the root mean square of all; half of what is taken for zero below.
  const double squares = dot64(w.columns, w.columns, w.m * w.n) / static_cast<double>(w.n);
  w.negligible = 2 * unit * static_cast<double>(w.m) * __builtin_sqrt(squares);
  int sweeps = 0;
  while (sweeps < most_sweeps && sweep(w)) ++sweeps;
  if (sweeps == most_sweeps) return false;
  for (int64_t j = 0; j < w.n; ++j) w.lengths[j] = __builtin_sqrt(dot64(w.column(j), w.column(j), w.m));
  sort_columns(w);
  for (int64_t k = 0; k < w.n; ++k) {
    const int64_t j = w.order[k];
    double length = w.lengths[j];
    double *tall = w.column(j), *square = w.v + j * w.n;
    if (length <= 4 * unit * static_cast<double>(w.m) * w.lengths[w.order[0]]) {
      length = 0;
      complete(w, k);
    } else {
      for (int64_t i = 0; i < w.m; ++i) tall[i] /= length;
    }
    // x = tall · diag · squareᵀ, or its transpose when x is wide: then the square factor is the left one.
    const double sign = is_wide ? sign_of(square, w.n) : sign_of(tall, w.m);
    const double *left = is_wide ? square : tall, *right = is_wide ? tall : square;
    s[k] = static_cast<float>(length);
    for (int64_t i = 0; i < rows; ++i) u[i * w.n + k] = static_cast<float>(sign * left[i]);
    for (int64_t i = 0; i < width; ++i) vt[k * width + i] = static_cast<float>(sign * right[i]);
  }
  return true;
}

}  // namespace forge::FORGE_ISA
