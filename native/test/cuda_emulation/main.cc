#include <cstdio>

#include "../../conformance/captured_step.h"
#include "../../conformance/trial.h"
#include "cuda_emulation/backend.h"

/** The kernels of src/cuda on the processor, against the processor's own: README.md here. */
int main() {
  using namespace forge::conformance;
  std::vector<Result> results = compare(emulation::backend(), [](int run) { emulation::set_descending(run == 1); });
  results.push_back(check_captured_step(emulation::backend()));
  return print(results) == 0 ? 0 : 1;
}
