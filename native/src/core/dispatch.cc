#include <atomic>
#include <cstdlib>
#include <cstring>

#include "core/backend.h"
#include "core/kernels.h"

namespace forge {

#if defined(FORGE_X86)
namespace avx512bf16 {
void gemm_bf16(const Gemm&, float*);
}
namespace avx512 {
extern const Kernels table;
extern const Kernels vnni_table;
}
namespace avx2 {
extern const Kernels table;
}
#endif
namespace portable {
extern const Kernels table;
}

namespace {

struct Isa {
  const char* name;
  const Kernels* table;
  bool supported;
};

#if defined(FORGE_X86)
/** The kernels of avx512vnni, but for the one that gains from bf16 dot products. */
const Kernels& bf16_table() {
  static const Kernels table = [] {
    Kernels kernels = avx512::vnni_table;
    kernels.gemm_bf16 = avx512bf16::gemm_bf16;
    return kernels;
  }();
  return table;
}
#endif

const Isa* find_isa(const char* wanted) {
#if defined(FORGE_X86)
  static const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                                 __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                                 __builtin_cpu_supports("fma");
  static const Isa isas[] = {
      {"avx512bf16", &bf16_table(),
       has_avx512 && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16")},
      {"avx512vnni", &avx512::vnni_table, has_avx512 && __builtin_cpu_supports("avx512vnni")},
      {"avx512", &avx512::table, has_avx512},
      {"avx2", &avx2::table, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")},
      {"portable", &portable::table, true},
  };
#else
  static const Isa isas[] = {{"portable", &portable::table, true}};
#endif
  for (const Isa& isa : isas) {
    if (isa.supported && (wanted == nullptr || std::strcmp(wanted, isa.name) == 0)) return &isa;
  }
  return nullptr;
}

const Isa* initial_isa() {
  const Isa* wanted = find_isa(std::getenv("FORGE_ISA"));
  return wanted != nullptr ? wanted : find_isa(nullptr);
}

std::atomic<const Isa*>& selected() {
  static std::atomic<const Isa*> isa{initial_isa()};
  return isa;
}

std::atomic<const Kernels*>& in_use() {
  static std::atomic<const Kernels*> table{selected().load()->table};
  return table;
}

}  // namespace

const Kernels& kernels() {
  return detail::on_processor ? *selected().load(std::memory_order_relaxed)->table
                              : *in_use().load(std::memory_order_relaxed);
}

void use_kernels(const Kernels* table) { in_use().store(table != nullptr ? table : selected().load()->table); }

const char* isa_name() { return selected().load(std::memory_order_relaxed)->name; }

bool select_isa(const char* name) {
  const Isa* isa = find_isa(name);
  if (isa != nullptr) {
    selected().store(isa);
    use_kernels(isa->table);
  }
  return isa != nullptr;
}

}  // namespace forge
