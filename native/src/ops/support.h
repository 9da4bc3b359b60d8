#pragma once
#include <vector>

#include "core/kernels.h"

namespace forge::ops {

/**
 * Whether an op (the name that JavaScript calls) works with a table of kernels: all the kernels it calls are there.
 * An op that support.cc does not name runs on the processor only, so that a new op is never sent to a device
 * whose memory it would read as its own.
 */
bool supports(const Kernels& table, const char* op);

/** The ops named in support.cc that call kernels. */
std::vector<const char*> ops_with_kernels();

/** Whether the device in use runs the op. */
bool is_supported(const char* op);

}  // namespace forge::ops
