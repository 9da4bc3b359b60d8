#pragma once
#include "trial.h"

namespace forge::conformance {

/**
 * A training step of a small model that is captured and replayed, against the same step run op by op: the same bytes after every
 * step, whatever else computes in between; what cannot be captured is refused by name, and a bad index changes nothing.
 */
Result check_captured_step(const Backend& device);

}  // namespace forge::conformance
