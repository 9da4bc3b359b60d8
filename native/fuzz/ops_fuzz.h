#pragma once
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>

namespace forge::fuzz {

/**
 * Reads bytes as a sequence of ops on tensors of any dtype and shape, with any numbers, and runs it. Every op has to
 * return a status, ok or not; what it must not do is seen by the sanitizers this is built with. Leaves no tensor.
 * @param accepted  gets the names of the ops that were not refused; may be null
 * @returns         how many of the ops were not refused
 */
int run_ops(const uint8_t* bytes, size_t count, std::set<std::string>* accepted = nullptr);

/** Names of the ops that can be run. */
std::set<std::string> op_names();


}  // namespace forge::fuzz
