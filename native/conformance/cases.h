#pragma once
#include "trial.h"

/** What the files of cases share: the list that they fill, and tolerances. */
namespace forge::conformance {

// One f32 rounding is 6e-8; measured against the processor's result, which has roundings of its own.
constexpr Tolerance moved{0, "moves elements, computes nothing"};
constexpr Tolerance rounded{1.2e-7, "one rounding each, a multiply-add may be fused on one side"};
constexpr Tolerance elementary{1e-6, "an exponential, logarithm or tangent of 2 units in the last place on either side"};
constexpr Tolerance summed{5e-6, "sums in another order"};
constexpr Tolerance normalised{5e-6, "sums of a row in another order, one root or exponential"};
constexpr Tolerance product{1e-5, "sums over K in another order"};
constexpr Tolerance attended{1e-5, "two products with an exponential between them, sums in another order"};
constexpr Tolerance gradient{5e-5, "four products and an exponential, sums in another order"};
constexpr Tolerance attended_in_bf16{4e-3, "weights rounded to bf16, by up to 2^-9 each"};
constexpr Tolerance gradient_in_bf16{8e-3, "weights and their gradients rounded to bf16, by up to 2^-9 each"};
constexpr Tolerance gaussian{2e-5, "logarithm, sine and cosine of another library; up to 6 standard deviations"};
constexpr Tolerance merged{1.2e-7, "weights from inner products in another order, in f64; rounded once"};
constexpr Tolerance scanned{2e-6, "a multiply-add may be fused on one side, at every step"};
constexpr Tolerance chosen{0, "the same draw; another index only where it lies within rounding of a boundary, not in these cases"};
constexpr Tolerance exact{0, "every product is rounded by itself, sums are of integers: the same codes and bytes"};
constexpr Tolerance stepped{5e-6, "a root and a quotient, close to eps"};

class List {
 public:
  std::vector<Case> all;
  void add(const char* op, Tolerance tolerance, std::string size, std::function<void(Trial&)> run) {
    all.push_back({op, tolerance, std::move(size), std::move(run)});
  }
};

// cases_elementwise.cc
void elementwise_cases(List& list);
void reduction_cases(List& list);
// cases_layout.cc
void layout_cases(List& list);
// cases_products.cc
void product_cases(List& list);
void rounded_product_cases(List& list);
// cases_rows.cc: norms, softmax, losses, positions, random numbers
void row_cases(List& list);
// cases_attention.cc
void attention_cases(List& list);
// cases_merge.cc
void merge_cases(List& list);
// cases_sequence.cc: epilogues, divergences, choices, recurrences, masks
void sequence_cases(List& list);
// cases_quantize.cc
void quantize_cases(List& list);

}  // namespace forge::conformance
