#pragma once
#include <vector>

#include "core/allocator.h"
#include "core/kernels.h"
#include "ops/ops.h"

/** What the merge ops share: the checked list of models. */
namespace forge::ops {

/** Models of equal shape with their pointers; valid while the tensors are. */
struct Models {
  std::vector<const float*> pointers;
  MergeSources sources{};

  /** SHAPE, DTYPE, or ARGUMENT when there are fewer than `least`. base may be null. */
  Status set(const char* op, const Tensor* base, const TensorList& xs, size_t least) {
    if (xs.size() < least) {
      return failure(Code::argument, "%s: %zu models, needs at least %zu", op, xs.size(), least);
    }
    for (const Tensor& x : xs) {
      FORGE_TRY(expect_f32(op, {&x, base}));
      FORGE_TRY(expect_same_shape(op, base == nullptr ? "the first model" : "the base",
                                  base == nullptr ? xs[0] : *base, "a model", x));
      pointers.push_back(x.f32());
    }
    sources = {base == nullptr ? nullptr : base->f32(), pointers.data(), static_cast<int64_t>(xs.size()),
               xs[0].count()};
    return {};
  }
};

inline Status expect_one_each(const char* op, const char* what, const TensorList& xs, const Numbers& numbers) {
  if (numbers.size() == xs.size()) return {};
  return failure(Code::argument, "%s: %zu models and %zu %s", op, xs.size(), numbers.size(), what);
}

}  // namespace forge::ops
