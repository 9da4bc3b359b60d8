#include "cuda/gemm_library.h"

#include <dlfcn.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <map>
#include <mutex>
#include <vector>

#include "cuda/device.h"

/**
 * cuBLASLt without its headers: the few functions and constants that a strided product needs, as cublasLt.h of
 * CUDA 12 and 13 has them. Because nothing checks them at build time, the first use multiplies small matrices of both
 * types in every layout both ways, and a library that disagrees is not used for that type.
 */
namespace forge::cuda {
namespace {

using Handle = void*;

constexpr int f32_compute = 68;  // CUBLAS_COMPUTE_32F: never TF32
constexpr int f32_type = 0;      // CUDA_R_32F
constexpr int bf16_type = 14;    // CUDA_R_16BF
constexpr int desc_trans_a = 3, desc_trans_b = 4;
constexpr int layout_batch_count = 5, layout_batch_stride = 6;
constexpr int preference_workspace = 1, preference_reductions = 3, preference_alignment = 5;  // 5 to 8: a, b, c, d
// Split products are added in a fixed order by these; CUBLASLT_REDUCTION_SCHEME_INPLACE (1) depends on timing.
constexpr uint32_t ordered_reductions = 0x06;

struct Algorithm {
  uint64_t data[8];
};

struct Heuristic {
  Algorithm algorithm;
  size_t workspace_bytes;
  int status;
  float waves;
  int reserved[4];
};

struct Library {
  int (*create)(Handle*);
  int (*desc_create)(Handle*, int compute, int scale_type);
  int (*desc_set)(Handle, int attribute, const void*, size_t);
  int (*layout_create)(Handle*, int type, uint64_t rows, uint64_t columns, int64_t ld);
  int (*layout_set)(Handle, int attribute, const void*, size_t);
  int (*preference_create)(Handle*);
  int (*preference_set)(Handle, int attribute, const void*, size_t);
  int (*heuristic)(Handle, Handle desc, Handle a, Handle b, Handle c, Handle d, Handle preference, int wanted,
                   Heuristic* found, int* count);
  int (*matmul)(Handle, Handle desc, const void* alpha, const void* a, Handle a_layout, const void* b, Handle b_layout,
                const void* beta, const void* c, Handle c_layout, void* d, Handle d_layout, const Algorithm* algorithm,
                void* workspace, size_t workspace_bytes, cudaStream_t stream);
  Handle handle = nullptr;
};

/** What a product of one geometry needs; made once per thread. */
struct Plan {
  bool usable = false;
  Handle desc = nullptr, a = nullptr, b = nullptr, c = nullptr;
  Algorithm algorithm{};
};

/** One operand as the library sees it. */
struct Operand {
  const void* data;
  int64_t ld, stride;
};

/** A product of operands of one type into f32; sizes, c and beta are those of `gemm`. */
struct Product {
  const Gemm& gemm;
  int type;
  Operand a, b;
};

Product f32_product(const Gemm& g) {
  return {g, f32_type, {g.a, g.lda, g.stride_a}, {g.b, g.ldb, g.stride_b}};
}

Product bf16_product(const Gemm& g, void* scratch) {
  const StoredOperand a = stored_a(g), b = stored_b(g);
  return {g,
          bf16_type,
          {scratch, a.rounded_ld(), a.rows * a.rounded_ld()},
          {rounded_b(g, scratch), b.rounded_ld(), b.rows * b.rounded_ld()}};
}

Library library;
bool usable = false, usable_bf16 = false;
char source[192] = "builtin";
std::once_flag loaded;

bool load_functions(void* file) {
  const auto get = [file](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(file, name));
    return function != nullptr;
  };
  return get(library.create, "cublasLtCreate") && get(library.desc_create, "cublasLtMatmulDescCreate") &&
         get(library.desc_set, "cublasLtMatmulDescSetAttribute") &&
         get(library.layout_create, "cublasLtMatrixLayoutCreate") &&
         get(library.layout_set, "cublasLtMatrixLayoutSetAttribute") &&
         get(library.preference_create, "cublasLtMatmulPreferenceCreate") &&
         get(library.preference_set, "cublasLtMatmulPreferenceSetAttribute") &&
         get(library.heuristic, "cublasLtMatmulAlgoGetHeuristic") && get(library.matmul, "cublasLtMatmul");
}

/** Sixteen bytes when every matrix of the operand starts there, else four: what algorithms may assume. */
uint32_t alignment_of(const void* data, int64_t stride_bytes, int64_t batch) {
  const uint64_t bits = reinterpret_cast<uint64_t>(data) | (batch == 1 ? 0 : static_cast<uint64_t>(stride_bytes));
  return bits % 16 == 0 ? 16 : 4;
}

/** Of the library's first and second operand and of c, which is written where it is read. */
std::array<uint32_t, 4> alignments_of(const Product& p) {
  const Gemm& g = p.gemm;
  const int64_t size = p.type == f32_type ? 4 : 2;
  const uint32_t of_c = alignment_of(g.c, 4 * g.stride_c, g.batch);
  return {alignment_of(p.b.data, size * p.b.stride, g.batch), alignment_of(p.a.data, size * p.a.stride, g.batch), of_c,
          of_c};
}

bool make_layout(Handle& layout, int type, int64_t rows, int64_t columns, int64_t ld, int64_t count, int64_t stride) {
  const auto batch = static_cast<int32_t>(count);
  return library.layout_create(&layout, type, static_cast<uint64_t>(rows), static_cast<uint64_t>(columns), ld) == 0 &&
         (count == 1 || (library.layout_set(layout, layout_batch_count, &batch, sizeof batch) == 0 &&
                         library.layout_set(layout, layout_batch_stride, &stride, sizeof stride) == 0));
}

/**
 * The library stores columns. A row-major c = op(a)·op(b) is its cᵀ = op(b)ᵀ·op(a)ᵀ, and a row-major matrix is already
 * the transpose it needs: its first operand is b, its second a, with their own flags.
 */
Plan make_plan(const Product& p) {
  const Gemm& g = p.gemm;
  Plan plan;
  Handle preference = nullptr;
  const int32_t trans_first = g.trans_b, trans_second = g.trans_a;
  const uint64_t bytes = gemm_scratch_memory_bytes;
  bool made = library.desc_create(&plan.desc, f32_compute, f32_type) == 0 &&
              library.desc_set(plan.desc, desc_trans_a, &trans_first, sizeof trans_first) == 0 &&
              library.desc_set(plan.desc, desc_trans_b, &trans_second, sizeof trans_second) == 0 &&
              make_layout(plan.b, p.type, g.trans_b ? g.k : g.n, g.trans_b ? g.n : g.k, p.b.ld, g.batch, p.b.stride) &&
              make_layout(plan.a, p.type, g.trans_a ? g.m : g.k, g.trans_a ? g.k : g.m, p.a.ld, g.batch, p.a.stride) &&
              make_layout(plan.c, f32_type, g.n, g.m, g.ldc, g.batch, g.stride_c) &&
              library.preference_create(&preference) == 0 &&
              library.preference_set(preference, preference_workspace, &bytes, sizeof bytes) == 0 &&
              library.preference_set(preference, preference_reductions, &ordered_reductions,
                                     sizeof ordered_reductions) == 0;
  int attribute = preference_alignment;
  for (const uint32_t alignment : alignments_of(p)) {
    made = made && library.preference_set(preference, attribute++, &alignment, sizeof alignment) == 0;
  }
  Heuristic found{};
  int count = 0;
  plan.usable = made &&
                library.heuristic(library.handle, plan.desc, plan.b, plan.a, plan.c, plan.c, preference, 1, &found,
                                  &count) == 0 &&
                count == 1 && found.status == 0 && found.workspace_bytes <= bytes;
  plan.algorithm = found.algorithm;
  return plan;  // its objects live as long as the process, like the geometries of a model
}

const Plan& plan_of(const Product& p) {
  using Key = std::array<int64_t, 16>;
  thread_local std::map<Key, Plan> plans;
  const Gemm& g = p.gemm;
  const auto [first, second, third, fourth] = alignments_of(p);
  const Key key{p.type,    g.m,     g.n,        g.k,        p.a.ld,     p.b.ld, g.ldc,  g.trans_a,
                g.trans_b, g.batch, p.a.stride, p.b.stride, g.stride_c, first,  second, third};
  const auto known = plans.find(key);
  return known != plans.end() ? known->second : plans.emplace(key, make_plan(p)).first->second;
}

bool multiply(const Product& p) {
  const Plan& plan = plan_of(p);
  if (!plan.usable) return false;
  const Gemm& g = p.gemm;
  const float alpha = 1.0f;
  return library.matmul(library.handle, plan.desc, &alpha, p.b.data, plan.b, p.a.data, plan.a, &g.beta, g.c, plan.c, g.c,
                        plan.c, &plan.algorithm, gemm_scratch_memory(), static_cast<size_t>(gemm_scratch_memory_bytes),
                        stream()) == 0;
}

/** Whether products of 2 × [5,9]·[9,7] in every layout, with and without beta, come out as those of our own kernels. */
bool agrees(bool bf16) {
  constexpr int64_t m = 5, n = 7, k = 9, batch = 2, room = 256;
  constexpr size_t compared = 3 * room;  // a, b and c; rounded operands lie behind them
  std::vector<float> host(6 * room);
  for (size_t i = 0; i < host.size(); ++i) host[i] = static_cast<float>(i * 37 % 101) / 50.0f - 1.0f;
  float* x = nullptr;
  const auto size = host.size() * sizeof(float);
  if (cudaMalloc(reinterpret_cast<void**>(&x), size) != cudaSuccess) return false;
  bool same = true;
  for (int layout = 0; same && layout < 8; ++layout) {
    const bool trans_a = (layout & 1) != 0, trans_b = (layout & 2) != 0;
    Gemm g{m, n, k, x, trans_a ? m : k, trans_a, x + room, trans_b ? k : n, trans_b, x + 2 * room, n,
           (layout & 4) != 0 ? 0.5f : 0.0f, batch, m * k, k * n, m * n};
    std::vector<float> theirs(host.size()), ours(host.size());
    same = rounded_bytes(g) <= static_cast<int64_t>(3 * room * sizeof(float)) &&
           cudaMemcpyAsync(x, host.data(), size, cudaMemcpyHostToDevice, stream()) == cudaSuccess;
    if (bf16) round_operands(g, x + compared);
    same = same && multiply(bf16 ? bf16_product(g, x + compared) : f32_product(g));
    read_back(theirs.data(), x, static_cast<int64_t>(size));
    same = same && cudaMemcpyAsync(x, host.data(), size, cudaMemcpyHostToDevice, stream()) == cudaSuccess;
    if (bf16) builtin_gemm_bf16(g);
    else builtin_gemm(g);
    read_back(ours.data(), x, static_cast<int64_t>(size));
    // Nine products of numbers up to 1, summed in another order.
    for (size_t i = 0; same && i < compared; ++i) same = std::fabs(ours[i] - theirs[i]) <= 1e-5f;
  }
  cudaStreamSynchronize(stream());
  cudaFree(x);
  return same && !has_failed();  // after a failure nothing runs, and reads give zeros
}

void load() {
  for (const char* name : {"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"}) {
    void* file = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (file == nullptr) continue;
    if (!load_functions(file) || library.create(&library.handle) != 0) {
      std::snprintf(source, sizeof source, "builtin (%s does not start)", name);
    } else {
      usable = agrees(false);
      usable_bf16 = agrees(true);
      if (usable && usable_bf16) std::snprintf(source, sizeof source, "%s", name);
      else if (!usable && !usable_bf16) std::snprintf(source, sizeof source, "builtin (%s does not agree with it on small products)", name);
      else std::snprintf(source, sizeof source, "%s, builtin for %s (where they do not agree on small products)", name,
                         usable ? "bf16" : "f32");
    }
    return;
  }
  std::snprintf(source, sizeof source, "builtin (no libcublasLt.so.13, .12 or unversioned on the library path)");
}

}  // namespace

bool library_gemm(const Gemm& g) {
  std::call_once(loaded, load);
  return usable && g.k > 0 && multiply(f32_product(g));
}

bool takes_library_gemm_bf16(const Gemm& g) {
  std::call_once(loaded, load);
  // Any scratch is as aligned as this one.
  return usable_bf16 && g.k > 0 && plan_of(bf16_product(g, gemm_scratch_memory())).usable;
}

bool library_gemm_bf16(const Gemm& g, void* scratch) {
  return takes_library_gemm_bf16(g) && multiply(bf16_product(g, scratch));
}

const char* gemm_source() {
  std::call_once(loaded, load);
  return source;
}

}  // namespace forge::cuda
