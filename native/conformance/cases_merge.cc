#include "cases.h"
#include "core/backend.h"
#include "ops/ops.h"

/** Merges of models. */
namespace forge::conformance {

void merge_cases(List& list) {
  using Merge = Status (*)(const Tensor& base, const TensorList& xs, Tensor& y);
  // Written out, because each takes other arguments.
  const Merge linear = [](const Tensor&, const TensorList& xs, Tensor& y) {
    return ops::merge_linear(xs, {0.2, 0.5, 0.4}, true, y);
  };
  const Merge nothing = [](const Tensor&, const TensorList& xs, Tensor& y) {
    return ops::merge_linear(xs, {0, 0, 0}, false, y);
  };
  const Merge slerp = [](const Tensor&, const TensorList& xs, Tensor& y) {
    return ops::merge_slerp(xs[0], xs[1], 0.3, y);
  };
  const Merge nuslerp = [](const Tensor&, const TensorList& xs, Tensor& y) {
    return ops::merge_nuslerp(xs[0], xs[1], nullptr, 0.3, y);
  };
  const Merge nuslerp_on_base = [](const Tensor& base, const TensorList& xs, Tensor& y) {
    return ops::merge_nuslerp(xs[0], xs[1], &base, 0.3, y);
  };
  const Merge multislerp = [](const Tensor&, const TensorList& xs, Tensor& y) {
    return ops::merge_multislerp(xs, {0.2, 0.5, 0.3}, nullptr, true, y);
  };
  const Merge multislerp_on_base = [](const Tensor& base, const TensorList& xs, Tensor& y) {
    return ops::merge_multislerp(xs, {0.2, 0.5, 0.3}, &base, true, y);
  };
  const Merge karcher = [](const Tensor&, const TensorList& xs, Tensor& y) {
    return ops::merge_karcher(xs, {0.2, 0.5, 0.3}, 10, 1e-5, y);
  };
  const Merge nearswap = [](const Tensor&, const TensorList& xs, Tensor& y) {
    return ops::merge_nearswap(xs[0], xs[1], 0.2, y);
  };
  const std::tuple<const char*, const char*, Merge> all[] = {
      {"mergeLinear", "", linear},
      {"mergeLinear", "weights of 0, ", nothing},
      {"mergeSlerp", "", slerp},
      {"mergeNuslerp", "", nuslerp},
      {"mergeNuslerp", "on a base, ", nuslerp_on_base},
      {"mergeMultislerp", "", multislerp},
      {"mergeMultislerp", "on a base, ", multislerp_on_base},
      {"mergeKarcher", "", karcher},
      {"mergeModelStock", "", ops::merge_model_stock},
      {"mergeNearswap", "", nearswap},
  };
  for (const auto& [name, what, merge] : all) {
    for (const int64_t n : {64, 1237, 70'001}) {
      list.add(name, merged, what + std::to_string(n) + " entries of 3 models", [n, merge = merge](Trial& t) {
        const Tensor base = t.normal({n});
        const TensorList xs{t.normal({n}), t.normal({n}), t.normal({n})};
        Tensor y;
        t.check(merge(base, xs, y));
        t.out(y);
      });
    }
  }
  // The kernel by itself: what no op sends to a device yet.
  for (const bool consensus : {false, true}) {
    for (const bool normalize : {false, true}) {
      list.add("mergeNuslerp", moved, "the kernel with masks and bands", [=](Trial& t) {
        constexpr int64_t n = 1237;
        const Tensor base = t.normal({n}), a = t.normal({n}), b = t.normal({n}), y = t.normal({n});
        const Tensor bits = t.bytes(DType::u8, {(n + 63) / 64 * 8});
        const float* xs[] = {a.f32(), b.f32()};
        const double weights[] = {0.7, -0.2};
        const MergeMix mix{weights, consensus, normalize, 0.9};
        const MergeCut half{0x3f800000, -1}, third{0x3fc00000, -1};
        const MergeKeep band{MergeKeep::Rule::band, half, third, nullptr, 1.5};
        const MergeKeep mask{MergeKeep::Rule::bits, cut_all, cut_none, static_cast<const uint64_t*>(bits.data()), 2.0};
        for (const MergeKeep& keep : {band, mask}) {
          const MergeKeep both[] = {keep, keep};
          kernels().merge_task_vectors({base.f32(), xs, 2, n}, both, mix, y.f32());
          t.out(y);
        }
      });
    }
  }
}

}  // namespace forge::conformance
