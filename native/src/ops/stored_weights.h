#pragma once
#include "core/tensor.h"

/** Weights of files: see readWeights and encodeWeights of addon.ts. */
namespace forge::ops {

/** x of `shape`, f32, from byte `position` of an open file. ARGUMENT: no such type, or the file ends before. */
Status read_weights(int64_t file, int64_t position, int64_t type, const Shape& shape, Tensor& x);

/** Asks for bytes of an open file to be brought into memory, and does not wait; nothing where a system cannot. */
Status prefetch_file(int64_t file, int64_t position, int64_t bytes);

/** Elements begin.. of x as a file keeps them: as many as fill `bytes`. SHAPE: x has fewer. */
Status encode_weights(const Tensor& x, int64_t type, int64_t begin, void* to, int64_t bytes);

}  // namespace forge::ops
