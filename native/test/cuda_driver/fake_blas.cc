#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iterator>

/**
 * A libcublasLt that multiplies on host memory, columns first, by the attributes that cublasLt.h documents: what
 * src/cuda/gemm_library.cc asks of the real one. FAKE_BLAS=wrong_f32 or wrong_bf16 spoils those products, `refuses`
 * finds no algorithm, `broken` does not start.
 */
namespace {

enum Type { f32 = 0, bf16 = 14 };  // CUDA_R_32F, CUDA_R_16BF
constexpr int ok = 0, invalid = 7, unsupported = 15, not_started = 1;

struct Desc {
  int32_t trans[2] = {0, 0};
};
struct Layout {
  int type;
  uint64_t rows, columns;
  int64_t ld;
  int32_t count = 1;
  int64_t stride = 0;
};
struct Preference {
  uint64_t workspace = 0;
  uint32_t reductions = 7;
  uint32_t alignments[4] = {256, 256, 256, 256};
};
struct Heuristic {
  uint64_t algorithm[8];
  size_t workspace_bytes;
  int status;
  float waves;
  int reserved[4];
};
constexpr uint64_t mark = 0x466f726765;

bool is(const char* fault) {
  const char* const text = std::getenv("FAKE_BLAS");
  return text != nullptr && std::strcmp(text, fault) == 0;
}

template <class T>
int set(T& to, const void* from, size_t size) {
  if (size != sizeof to) return invalid;
  std::memcpy(&to, from, size);
  return ok;
}

float element(const Layout& l, const void* data, int64_t row, int64_t column, int64_t product) {
  const int64_t at = product * l.stride + column * l.ld + row;
  if (l.type == f32) return static_cast<const float*>(data)[at];
  const uint32_t bits = static_cast<uint32_t>(static_cast<const uint16_t*>(data)[at]) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/** Whether op(a)[m, k] · op(b)[k, n] fits c[m, n], in types that have a product into f32. */
bool fit(const Desc& d, const Layout& a, const Layout& b, const Layout& c) {
  const auto rows = [&](const Layout& l, int i) { return d.trans[i] != 0 ? l.columns : l.rows; };
  const auto columns = [&](const Layout& l, int i) { return d.trans[i] != 0 ? l.rows : l.columns; };
  for (const Layout* l : {&a, &b, &c}) {
    if (l->ld < static_cast<int64_t>(l->rows) || l->count != c.count) return false;
  }
  return a.type == b.type && (a.type == f32 || a.type == bf16) && c.type == f32 && rows(a, 0) == c.rows &&
         columns(b, 1) == c.columns && columns(a, 0) == rows(b, 1);
}

/** Whether every matrix of the operand begins at a multiple of `bytes`. */
bool is_aligned(const Layout& l, const void* data, uint64_t bytes) {
  const uint64_t step = l.count == 1 ? 0 : static_cast<uint64_t>(l.stride) * (l.type == f32 ? 4 : 2);
  return reinterpret_cast<uint64_t>(data) % bytes == 0 && step % bytes == 0;
}

}  // namespace

extern "C" {

int cublasLtCreate(void** handle) {
  *handle = handle;
  return is("broken") ? not_started : ok;
}
int cublasLtMatmulDescCreate(Desc** desc, int compute, int scale_type) {
  *desc = new Desc();
  return compute == 68 && scale_type == f32 ? ok : invalid;  // CUBLAS_COMPUTE_32F
}
int cublasLtMatmulDescSetAttribute(Desc* desc, int attribute, const void* value, size_t size) {
  const int operand = attribute - 3;  // CUBLASLT_MATMUL_DESC_TRANSA, _TRANSB
  return operand == 0 || operand == 1 ? set(desc->trans[operand], value, size) : invalid;
}
int cublasLtMatrixLayoutCreate(Layout** layout, int type, uint64_t rows, uint64_t columns, int64_t ld) {
  *layout = new Layout{type, rows, columns, ld};
  return ok;
}
int cublasLtMatrixLayoutSetAttribute(Layout* layout, int attribute, const void* value, size_t size) {
  if (attribute == 5) return set(layout->count, value, size);   // CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT
  if (attribute == 6) return set(layout->stride, value, size);  // CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET
  return invalid;
}
int cublasLtMatmulPreferenceCreate(Preference** preference) {
  *preference = new Preference();
  return ok;
}
int cublasLtMatmulPreferenceSetAttribute(Preference* preference, int attribute, const void* value, size_t size) {
  if (attribute == 1) return set(preference->workspace, value, size);   // CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES
  if (attribute == 3) return set(preference->reductions, value, size);  // CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK
  const int operand = attribute - 5;                                    // CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES …
  return operand >= 0 && operand < 4 ? set(preference->alignments[operand], value, size) : invalid;
}
/** The algorithm it gives carries the alignments that it relies on. */
int cublasLtMatmulAlgoGetHeuristic(void*, Desc* desc, Layout* a, Layout* b, Layout* c, Layout* d, Preference* preference,
                                   int wanted, Heuristic* found, int* count) {
  *count = 0;
  const bool ordered = (preference->reductions & 1) == 0;
  if (is("refuses") || wanted < 1 || c != d || !ordered || !fit(*desc, *a, *b, *c)) return unsupported;
  *found = {};
  found->algorithm[0] = mark;
  for (size_t i = 0; i < std::size(preference->alignments); ++i) found->algorithm[1 + i] = preference->alignments[i];
  found->workspace_bytes = preference->workspace;
  *count = 1;
  return ok;
}
int cublasLtMatmul(void*, Desc* desc, const float* alpha, const void* a, Layout* a_layout, const void* b, Layout* b_layout,
                   const float* beta, const float* c, Layout* c_layout, float* d, Layout* d_layout,
                   const uint64_t* algorithm, void* workspace, size_t workspace_bytes, void*) {
  const bool aligned = is_aligned(*a_layout, a, algorithm[1]) && is_aligned(*b_layout, b, algorithm[2]) &&
                       is_aligned(*c_layout, c, algorithm[3]) && is_aligned(*d_layout, d, algorithm[4]);
  if (algorithm[0] != mark || !aligned || workspace == nullptr || workspace_bytes == 0 || c != d) return invalid;
  const bool spoilt = is(a_layout->type == f32 ? "wrong_f32" : "wrong_bf16");
  const int64_t depth = static_cast<int64_t>(desc->trans[0] != 0 ? a_layout->rows : a_layout->columns);
  for (int64_t product = 0; product < d_layout->count; ++product) {
    for (int64_t column = 0; column < static_cast<int64_t>(d_layout->columns); ++column) {
      for (int64_t row = 0; row < static_cast<int64_t>(d_layout->rows); ++row) {
        float sum = spoilt ? 1.0f : 0.0f;
        for (int64_t k = 0; k < depth; ++k) {
          sum += (desc->trans[0] != 0 ? element(*a_layout, a, k, row, product) : element(*a_layout, a, row, k, product)) *
                 (desc->trans[1] != 0 ? element(*b_layout, b, column, k, product) : element(*b_layout, b, k, column, product));
        }
        const int64_t at = product * d_layout->stride + column * d_layout->ld + row;
        d[at] = *alpha * sum + (*beta == 0.0f ? 0.0f : *beta * element(*c_layout, c, row, column, product));
      }
    }
  }
  return ok;
}
}
