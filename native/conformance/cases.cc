#include "cases.h"

/** One line per op and size: regular, odd, empty, and what the op's kernel treats apart. */
namespace forge::conformance {

std::vector<Case> cases() {
  List list;
  elementwise_cases(list);
  reduction_cases(list);
  layout_cases(list);
  product_cases(list);
  rounded_product_cases(list);
  row_cases(list);
  attention_cases(list);
  sequence_cases(list);
  quantize_cases(list);
  merge_cases(list);
  return std::move(list.all);
}

}  // namespace forge::conformance
