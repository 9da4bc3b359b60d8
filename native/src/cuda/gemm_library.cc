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
 * cuBLASLt without its headers: the few functions and constants that a strided f32 product needs, as cublasLt.h of
 * CUDA 12 and 13 has them. Because nothing checks them at build time, the first use multiplies small matrices in every
 * layout both ways, and a library that disagrees is not used.
 */
namespace forge::cuda {
namespace {

using Handle = void*;

constexpr int f32_compute = 68;  // CUBLAS_COMPUTE_32F: never TF32
constexpr int f32_type = 0;      // CUDA_R_32F
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

Library library;
bool usable = false;
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

/** Sixteen bytes when every operand of every product starts there, else four: what algorithms may assume. */
uint32_t alignment_of(const Gemm& g) {
  const uint64_t bits = reinterpret_cast<uint64_t>(g.a) | reinterpret_cast<uint64_t>(g.b) |
                        reinterpret_cast<uint64_t>(g.c) |
                        (g.batch == 1 ? 0 : static_cast<uint64_t>(4 * (g.stride_a | g.stride_b | g.stride_c)));
  return bits % 16 == 0 ? 16 : 4;
}

bool make_layout(Handle& layout, int64_t rows, int64_t columns, int64_t ld, const Gemm& g, int64_t stride) {
  const auto batch = static_cast<int32_t>(g.batch);
  return library.layout_create(&layout, f32_type, static_cast<uint64_t>(rows), static_cast<uint64_t>(columns), ld) == 0 &&
         (g.batch == 1 || (library.layout_set(layout, layout_batch_count, &batch, sizeof batch) == 0 &&
                           library.layout_set(layout, layout_batch_stride, &stride, sizeof stride) == 0));
}

/**
 * The library stores columns. A row-major c = op(a)·op(b) is its cᵀ = op(b)ᵀ·op(a)ᵀ, and a row-major matrix is already
 * the transpose it needs: its first operand is b, its second a, with their own flags.
 */
Plan make_plan(const Gemm& g) {
  Plan plan;
  Handle preference = nullptr;
  const int32_t trans_first = g.trans_b, trans_second = g.trans_a;
  const uint64_t bytes = gemm_scratch_memory_bytes;
  const uint32_t alignment = alignment_of(g);
  bool made = library.desc_create(&plan.desc, f32_compute, f32_type) == 0 &&
              library.desc_set(plan.desc, desc_trans_a, &trans_first, sizeof trans_first) == 0 &&
              library.desc_set(plan.desc, desc_trans_b, &trans_second, sizeof trans_second) == 0 &&
              make_layout(plan.b, g.trans_b ? g.k : g.n, g.trans_b ? g.n : g.k, g.ldb, g, g.stride_b) &&
              make_layout(plan.a, g.trans_a ? g.m : g.k, g.trans_a ? g.k : g.m, g.lda, g, g.stride_a) &&
              make_layout(plan.c, g.n, g.m, g.ldc, g, g.stride_c) && library.preference_create(&preference) == 0 &&
              library.preference_set(preference, preference_workspace, &bytes, sizeof bytes) == 0 &&
              library.preference_set(preference, preference_reductions, &ordered_reductions,
                                     sizeof ordered_reductions) == 0;
  for (int operand = 0; made && operand < 4; ++operand) {
    made = library.preference_set(preference, preference_alignment + operand, &alignment, sizeof alignment) == 0;
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

const Plan& plan_of(const Gemm& g) {
  using Key = std::array<int64_t, 13>;
  thread_local std::map<Key, Plan> plans;
  const Key key{g.m,     g.n,        g.k,        g.lda,      g.ldb,       g.ldc,        g.trans_a,
                g.trans_b, g.batch, g.stride_a, g.stride_b, g.stride_c, static_cast<int64_t>(alignment_of(g))};
  const auto known = plans.find(key);
  return known != plans.end() ? known->second : plans.emplace(key, make_plan(g)).first->second;
}

bool multiply(const Gemm& g) {
  const Plan& plan = plan_of(g);
  if (!plan.usable) return false;
  const float alpha = 1.0f;
  return library.matmul(library.handle, plan.desc, &alpha, g.b, plan.b, g.a, plan.a, &g.beta, g.c, plan.c, g.c, plan.c,
                        &plan.algorithm, gemm_scratch_memory(), static_cast<size_t>(gemm_scratch_memory_bytes),
                        stream()) == 0;
}

/** Whether products of 2 × [5,9]·[9,7] in every layout, with and without beta, come out as those of matmul.cu. */
bool agrees() {
  constexpr int64_t m = 5, n = 7, k = 9, batch = 2, room = 256;
  std::vector<float> host(4 * room);
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
    same = cudaMemcpyAsync(x, host.data(), size, cudaMemcpyHostToDevice, stream()) == cudaSuccess && multiply(g);
    read_back(theirs.data(), x, static_cast<int64_t>(size));
    same = same && cudaMemcpyAsync(x, host.data(), size, cudaMemcpyHostToDevice, stream()) == cudaSuccess;
    builtin_gemm(g);
    read_back(ours.data(), x, static_cast<int64_t>(size));
    // Nine products of numbers up to 1, summed in another order.
    for (size_t i = 0; same && i < ours.size(); ++i) same = std::fabs(ours[i] - theirs[i]) <= 1e-5f;
  }
  cudaStreamSynchronize(stream());
  cudaFree(x);
  return same;
}

void load() {
  for (const char* name : {"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"}) {
    void* file = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (file == nullptr) continue;
    if (!load_functions(file) || library.create(&library.handle) != 0) {
      std::snprintf(source, sizeof source, "builtin (%s does not start)", name);
    } else if (!agrees()) {
      std::snprintf(source, sizeof source, "builtin (%s does not agree with it on small products)", name);
    } else {
      std::snprintf(source, sizeof source, "%s", name);
      usable = true;
    }
    return;
  }
  std::snprintf(source, sizeof source, "builtin (no libcublasLt.so.13, .12 or unversioned on the library path)");
}

}  // namespace

bool library_gemm(const Gemm& g) {
  std::call_once(loaded, load);
  return usable && g.k > 0 && multiply(g);
}

const char* gemm_source() {
  std::call_once(loaded, load);
  return source;
}

}  // namespace forge::cuda
