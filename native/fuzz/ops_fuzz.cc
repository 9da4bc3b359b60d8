#include "ops_fuzz.h"

#include <cmath>
#include <cstdlib>
#include <limits>
#include <optional>
#include <tuple>
#include <type_traits>

#include "core/allocator.h"
#include "ops/ops.h"

namespace forge::fuzz {
namespace {

constexpr size_t most_tensors = 16;
/** Tensors made here; what ops make of them is bounded by the allocator, so that a whole sequence takes milliseconds. */
constexpr int64_t most_elements = 4096;
constexpr int64_t memory_limit = int64_t{1} << 20;

constexpr int64_t lengths[] = {0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 64, 65, 127, 128, 256, 257, 512, 1025};
constexpr int64_t two_53 = int64_t{1} << 53;
/** What no tensor has: negative, or with a product beyond 32, 46, 53 or 64 bits. */
constexpr int64_t edges[] = {-1,      -2,           (int64_t{1} << 31) - 1, int64_t{1} << 31, int64_t{1} << 32,
                             1 << 16, int64_t{1} << 45, int64_t{1} << 46,   two_53 - 1,       two_53,
                             -two_53, -(int64_t{1} << 31)};
constexpr double numbers[] = {0,    1,     -1,   0.5,    2,      3,    1e-5,  1e-8,     0.9, 0.999, 1e30, -1e30,
                              1e308, 1e-308, -0.0, 127, 65504, 1e-45, 4096, NAN, INFINITY, -INFINITY, 0.25, 7};

/** The input, byte by byte; zeros after its end. */
struct Input {
  const uint8_t* bytes;
  size_t count;
  size_t at = 0;

  bool done() const { return at >= count; }
  uint8_t byte() { return done() ? 0 : bytes[at++]; }
  template <class T, size_t n>
  T pick(const T (&list)[n]) {
    return list[byte() % n];
  }
};

struct Machine {
  Input input;
  TensorList tensors;
  int accepted = 0;

  void keep(Tensor tensor) {
    if (tensors.size() < most_tensors) return tensors.push_back(std::move(tensor));
    tensors[input.byte() % most_tensors] = std::move(tensor);
  }
};

void fill(Tensor& x, uint8_t kind) {
  const int64_t n = x.count();
  uint32_t state = 2463534242u + kind;
  for (int64_t i = 0; i < n; ++i) {
    state ^= state << 13, state ^= state >> 17, state ^= state << 5;  // Marsaglia 2003, xorshift32
    const double small = static_cast<double>(state >> 8) / (1 << 23) - 1;
    const double edge = numbers[state % std::size(numbers)];
    const int32_t integer = kind % 4 == 3 ? static_cast<int32_t>(state) : static_cast<int32_t>(state % 8) - kind % 4;
    switch (x.dtype()) {
      case DType::f32: x.f32()[i] = static_cast<float>(kind % 4 == 0 ? edge : kind % 4 == 1 ? 0 : small * kind); break;
      case DType::f64: static_cast<double*>(x.data())[i] = kind % 2 == 0 ? edge : small; break;
      case DType::i32: x.i32()[i] = integer; break;
      case DType::bf16: static_cast<uint16_t*>(x.data())[i] = static_cast<uint16_t>(state); break;
      case DType::u8: x.u8()[i] = static_cast<uint8_t>(kind % 2 == 0 ? state : state % 3); break;
      case DType::i8: x.i8()[i] = static_cast<int8_t>(kind % 2 == 0 ? state : state % 3 - 1); break;
    }
  }
}

/** A new tensor; of fewer axes when it would be large. Undefined when its shape is refused. */
Tensor make(Machine& machine) {
  constexpr DType dtypes[] = {DType::f32, DType::f32, DType::f32, DType::f32, DType::f32, DType::i32,
                              DType::i32, DType::u8,  DType::i8,  DType::i8,  DType::bf16, DType::f64};
  const DType dtype = machine.input.pick(dtypes);
  const int rank = machine.input.byte() % (Shape::max_rank + 1);
  Shape shape;
  int64_t count = 1;
  for (int axis = 0; axis < rank; ++axis) {
    const int64_t length = machine.input.pick(lengths);
    if (count * length > most_elements) break;
    shape.dims[shape.rank++] = length;
    count *= length;
  }
  Tensor x;
  if (!empty("fuzz", dtype, shape, x).ok()) return x;
  fill(x, machine.input.byte());
  return x;
}

void read(Machine& machine, Tensor& value) {
  const uint8_t choice = machine.input.byte();
  if (choice < 64 || machine.tensors.empty()) {
    Tensor made = make(machine);
    if (made.defined()) machine.keep(std::move(made));
  }
  if (machine.tensors.empty()) {  // no op ever gets an undefined tensor: handles are checked before
    if (!empty("fuzz", DType::f32, Shape{}, value).ok()) std::abort();
    return machine.keep(value);
  }
  value = machine.tensors[choice % machine.tensors.size()];
}
void read(Machine& machine, std::optional<Tensor>& value) {
  if (machine.input.byte() % 2 == 0) read(machine, value.emplace());
}
void read(Machine& machine, TensorList& value) {
  for (int n = machine.input.byte() % 5; n > 0; --n) read(machine, value.emplace_back());
}
void read(Machine& machine, int64_t& value) {
  const uint8_t choice = machine.input.byte();
  value = choice < 200 ? choice % 20 - 1 : choice < 220 ? machine.input.pick(lengths) : machine.input.pick(edges);
}
void read(Machine& machine, uint32_t& value) {
  value = machine.input.byte() < 128 ? machine.input.byte() : std::numeric_limits<uint32_t>::max();
}
void read(Machine& machine, double& value) { value = machine.input.pick(numbers); }
void read(Machine& machine, bool& value) { value = machine.input.byte() % 2 == 1; }
void read(Machine& machine, DType& value) { value = static_cast<DType>(machine.input.byte() % 6); }
void read(Machine& machine, Shape& value) {
  for (int n = machine.input.byte() % (Shape::max_rank + 1); n > 0; --n) read(machine, value.dims[value.rank++]);
}
void read(Machine& machine, std::vector<double>& value) {
  for (int n = machine.input.byte() % 6; n > 0; --n) read(machine, value.emplace_back());
}

void keep(Machine& machine, Tensor& value) { machine.keep(std::move(value)); }
void keep(Machine&, double) {}

/** How a parameter type is stored between reading and calling, as in the addon. */
template <class P>
struct Stored {
  using type = std::remove_cvref_t<P>;
  static type& pass(type& value) { return value; }
};
template <>
struct Stored<const Tensor*> {
  using type = std::optional<Tensor>;
  static const Tensor* pass(type& value) { return value ? &*value : nullptr; }
};
template <class P>
constexpr bool is_output = std::is_lvalue_reference_v<P> && !std::is_const_v<std::remove_reference_t<P>>;

template <class... P>
void call(Machine& machine, Status (*op)(P...)) {
  std::tuple<typename Stored<P>::type...> values;
  const auto read_one = [&]<class Q>(auto& value) {
    if constexpr (!is_output<Q>) read(machine, value);
  };
  const auto keep_one = [&]<class Q>(auto& value) {
    if constexpr (is_output<Q>) keep(machine, value);
  };
  const auto run_all = [&]<size_t... I>(std::index_sequence<I...>) {
    (read_one.template operator()<P>(std::get<I>(values)), ...);
    if (!op(Stored<P>::pass(std::get<I>(values))...).ok()) return;
    ++machine.accepted;
    (keep_one.template operator()<P>(std::get<I>(values)), ...);
  };
  run_all(std::index_sequence_for<P...>{});
}

template <auto Op>
void run(Machine& machine) {
  call(machine, Op);
}

struct Entry {
  void (*run)(Machine&);
  const char* name;
};

/**
 * All ops, as src/addon/exports.cc has them. A byte of the corpus names an op by its place here: a new one goes to the
 * end, and what the corpus says stays. A parameter added to an op changes what follows it in an input.
 */
constexpr Entry entries[] = {
    {run<ops::full>, "full"}, {run<ops::view>, "view"}, {run<ops::copy>, "copy"}, {run<ops::add>, "add"},
    {run<ops::sub>, "sub"}, {run<ops::mul>, "mul"}, {run<ops::div>, "div"}, {run<ops::add_scalar>, "add_scalar"},
    {run<ops::mul_scalar>, "mul_scalar"}, {run<ops::axpy>, "axpy"}, {run<ops::scale_in_place>, "scale_in_place"},
    {run<ops::neg>, "neg"}, {run<ops::exp>, "exp"}, {run<ops::log>, "log"}, {run<ops::tanh>, "tanh"},
    {run<ops::sigmoid>, "sigmoid"}, {run<ops::silu>, "silu"}, {run<ops::relu>, "relu"}, {run<ops::relu2>, "relu2"},
    {run<ops::sqrt>, "sqrt"}, {run<ops::abs>, "abs"}, {run<ops::sign>, "sign"},
    {run<ops::silu_backward>, "silu_backward"}, {run<ops::sigmoid_backward>, "sigmoid_backward"},
    {run<ops::tanh_backward>, "tanh_backward"}, {run<ops::relu_backward>, "relu_backward"},
    {run<ops::relu2_backward>, "relu2_backward"}, {run<ops::sum>, "sum"}, {run<ops::mean>, "mean"},
    {run<ops::max>, "max"}, {run<ops::argmax>, "argmax"}, {run<ops::sum_squares>, "sum_squares"},
    {run<ops::sum_to_shape>, "sum_to_shape"}, {run<ops::is_finite>, "is_finite"}, {run<ops::dot>, "dot"},
    {run<ops::slice>, "slice"}, {run<ops::concat>, "concat"}, {run<ops::permute>, "permute"},
    {run<ops::gather_rows>, "gather_rows"}, {run<ops::scatter_add_rows>, "scatter_add_rows"},
    {run<ops::embedding>, "embedding"}, {run<ops::embedding_backward>, "embedding_backward"},
    {run<ops::rms_norm>, "rms_norm"}, {run<ops::rms_norm_backward>, "rms_norm_backward"}, {run<ops::rope>, "rope"},
    {run<ops::attention>, "attention"}, {run<ops::attention_backward>, "attention_backward"},
    {run<ops::swiglu>, "swiglu"}, {run<ops::swiglu_backward>, "swiglu_backward"}, {run<ops::softmax>, "softmax"},
    {run<ops::softmax_backward>, "softmax_backward"}, {run<ops::cross_entropy>, "cross_entropy"},
    {run<ops::adamw>, "adamw"}, {run<ops::philox_uniform>, "philox_uniform"},
    {run<ops::philox_normal>, "philox_normal"}, {run<ops::bias_activation>, "bias_activation"},
    {run<ops::kl_divergence>, "kl_divergence"}, {run<ops::kl_divergence_backward>, "kl_divergence_backward"},
    {run<ops::dropout>, "dropout"}, {run<ops::top_k>, "top_k"}, {run<ops::categorical>, "categorical"},
    {run<ops::linear_scan>, "linear_scan"}, {run<ops::linear_scan_backward>, "linear_scan_backward"},
    {run<ops::ranged_attention>, "ranged_attention"},
    {run<ops::ranged_attention_backward>, "ranged_attention_backward"},
    {run<ops::adamw_grokfast>, "adamw_grokfast"}, {run<ops::svd>, "svd"},
    {run<ops::newton_schulz>, "newton_schulz"}, {run<ops::muon>, "muon"}, {run<ops::merge_linear>, "merge_linear"},
    {run<ops::merge_slerp>, "merge_slerp"}, {run<ops::merge_nuslerp>, "merge_nuslerp"},
    {run<ops::merge_multislerp>, "merge_multislerp"}, {run<ops::merge_karcher>, "merge_karcher"},
    {run<ops::merge_model_stock>, "merge_model_stock"}, {run<ops::merge_task_vectors>, "merge_task_vectors"},
    {run<ops::merge_sce>, "merge_sce"}, {run<ops::merge_ram>, "merge_ram"},
    {run<ops::merge_nearswap>, "merge_nearswap"}, {run<ops::merge_arcee_fusion>, "merge_arcee_fusion"},
    {run<ops::absmean_quantize>, "absmean_quantize"}, {run<ops::absmean_fake_quantize>, "absmean_fake_quantize"},
    {run<ops::absmax_quantize>, "absmax_quantize"}, {run<ops::absmax_fake_quantize>, "absmax_fake_quantize"},
    {run<ops::encode_blocks>, "encode_blocks"}, {run<ops::decode_blocks>, "decode_blocks"},
    {run<ops::ternary_pack>, "ternary_pack"}, {run<ops::ternary_unpack>, "ternary_unpack"},
    {run<ops::ternary_accumulate>, "ternary_accumulate"}, {run<ops::ternary_matmul>, "ternary_matmul"},
    {run<ops::seedlm_encode>, "seedlm_encode"}, {run<ops::seedlm_decode>, "seedlm_decode"},
    {run<ops::nearest_centroid>, "nearest_centroid"}, {run<ops::kmeans>, "kmeans"},
    {run<ops::hyper_encode>, "hyper_encode"}, {run<ops::hyper_decode>, "hyper_decode"},
    {run<ops::pack_bits>, "pack_bits"}, {run<ops::unpack_bits>, "unpack_bits"}, {run<ops::copy_rows>, "copy_rows"},
    {run<ops::matmul>, "matmul"}, {run<ops::matmul_bf16>, "matmul_bf16"},
    {run<ops::cross_entropy_backward>, "cross_entropy_backward"},
    {run<ops::clip_scale>, "clip_scale"}, {run<ops::scale_by>, "scale_by"}, {run<ops::expand_scalar>, "expand_scalar"},
    {run<ops::target_weight>, "target_weight"}, {run<ops::adamw_prepared>, "adamw_prepared"},
};
static_assert(std::size(entries) <= 256, "a byte names an op");

}  // namespace

int run_ops(const uint8_t* bytes, size_t count, std::set<std::string>* accepted) {
  Allocator& allocator = Allocator::instance();
  const int64_t limit_before = allocator.stats().max_bytes;
  allocator.set_limit(allocator.stats().live_bytes + memory_limit);
  int total = 0;
  {
    Machine machine{{bytes, count}, {}};
    while (!machine.input.done()) {
      const uint8_t op = machine.input.byte();
      if (op >= std::size(entries)) continue;  // a byte that names none
      const int before = machine.accepted;
      entries[op].run(machine);
      if (accepted != nullptr && machine.accepted > before) accepted->insert(entries[op].name);
    }
    total = machine.accepted;
  }
  allocator.set_limit(limit_before);
  return total;
}

std::set<std::string> op_names() {
  std::set<std::string> names;
  for (const Entry& entry : entries) names.insert(entry.name);
  return names;
}

}  // namespace forge::fuzz
