#pragma once
#include <cstddef>
#include <cstdint>

namespace forge::fuzz {

/**
 * Reads bytes as a sequence of ops on tensors of any dtype and shape, with any numbers, and runs it. Every op has to
 * return a status, ok or not; what it must not do is seen by the sanitizers this is built with. Leaves no tensor.
 * @returns  how many of the ops were not refused
 */
int run_ops(const uint8_t* bytes, size_t count);

/** Ops that can be run, and whether one has that name. */
bool is_fuzzed(const char* op);

}  // namespace forge::fuzz
