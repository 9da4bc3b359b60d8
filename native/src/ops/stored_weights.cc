#include "ops/stored_weights.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "core/backend.h"
#include "core/kernels.h"
#include "core/parallel.h"

/**
 * Each thread reads a piece that stays in its caches until it is f32. Reads, not mapped memory: a file that gets shorter
 * is an error then, and no signal that ends the process.
 */
namespace forge::ops {
namespace {

/** Elements per piece: 128 KiB of f32, a share of L2 with room for what is computed. */
constexpr int64_t piece = 1 << 15;

Status type_of(const char* op, int64_t code, StoredWeights& type) {
  if (code < 0 || code > static_cast<int64_t>(StoredWeights::bf16)) {
    return failure(Code::argument, "%s: there is no type %lld", op, static_cast<long long>(code));
  }
  type = static_cast<StoredWeights>(code);
  return {};
}

int64_t size_of(StoredWeights type) { return type == StoredWeights::f32 ? 4 : 2; }

/** 0, or why bytes at `position` could not be read; −1 at the end of the file. */
int read_all(int file, void* to, int64_t bytes, int64_t position) {
  for (int64_t done = 0; done < bytes;) {
    const ssize_t got = pread(file, static_cast<char*>(to) + done, static_cast<size_t>(bytes - done),
                              static_cast<off_t>(position + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got == 0 ? -1 : errno;
    done += got;
  }
  return 0;
}

Status read_on_host(int file, int64_t position, StoredWeights type, float* y, int64_t count) {
  const auto widen = kernels().widen_weights;
  std::atomic<int> problem{0};
  parallel_for((count + piece - 1) / piece, [&](int64_t i, int) {
    const int64_t begin = i * piece, n = std::min(piece, count - begin), at = position + begin * size_of(type);
    int found;
    if (type == StoredWeights::f32) {
      found = read_all(file, y + begin, 4 * n, at);
    } else {
      alignas(64) uint16_t stored[piece];
      found = read_all(file, stored, 2 * n, at);
      if (found == 0) widen(type, stored, y + begin, n);
    }
    if (found != 0) problem = found;
  });
  if (problem == 0) return {};
  const int found = problem;
  // What the caller gave is no file that can be read at a position; anything else is the machine's fault.
  const bool is_argument = found < 0 || found == EBADF || found == EISDIR || found == ESPIPE || found == EINVAL;
  return failure(is_argument ? Code::argument : Code::internal, "readWeights: %lld elements from byte %lld: %s",
                 static_cast<long long>(count), static_cast<long long>(position),
                 found < 0 ? "the file ends before" : std::strerror(found));
}

void encode_on_host(const float* x, StoredWeights type, void* to, int64_t count) {
  const auto narrow = kernels().narrow_weights;
  parallel_for((count + piece - 1) / piece, [&](int64_t i, int) {
    const int64_t begin = i * piece;
    narrow(type, x + begin, static_cast<char*>(to) + begin * size_of(type), std::min(piece, count - begin));
  });
}

}  // namespace

Status read_weights(int64_t file, int64_t position, int64_t code, const Shape& shape, Tensor& x) {
  constexpr const char* op = "readWeights";
  StoredWeights type;
  FORGE_TRY(type_of(op, code, type));
  if (file < 0 || file > INT32_MAX || position < 0) {
    return failure(Code::argument, "%s: file %lld, byte %lld", op, static_cast<long long>(file),
                   static_cast<long long>(position));
  }
  Tensor result;
  FORGE_TRY(empty(op, DType::f32, shape, result));
  if (on_host()) {
    FORGE_TRY(read_on_host(static_cast<int>(file), position, type, result.f32(), result.count()));
  } else {
    Tensor host;
    {
      const OnProcessor scope;
      FORGE_TRY(empty(op, DType::f32, shape, host));
      FORGE_TRY(read_on_host(static_cast<int>(file), position, type, host.f32(), host.count()));
    }
    copy_in(result.data(), host.data(), host.bytes());
  }
  x = std::move(result);
  return {};
}

Status prefetch_file(int64_t file, int64_t position, int64_t bytes) {
  if (file < 0 || file > INT32_MAX || position < 0 || bytes < 0) {
    return failure(Code::argument, "prefetchFile: file %lld, %lld bytes from %lld", static_cast<long long>(file),
                   static_cast<long long>(bytes), static_cast<long long>(position));
  }
#if defined(POSIX_FADV_WILLNEED)
  // A hint: when it is refused, reading says why.
  posix_fadvise(static_cast<int>(file), static_cast<off_t>(position), static_cast<off_t>(bytes), POSIX_FADV_WILLNEED);
#endif
  return {};
}

Status encode_weights(const Tensor& x, int64_t code, int64_t begin, void* to, int64_t bytes) {
  constexpr const char* op = "encodeWeights";
  StoredWeights type;
  FORGE_TRY(type_of(op, code, type));
  FORGE_TRY(expect_f32(op, {&x}));
  const int64_t count = bytes / size_of(type);
  if (bytes % size_of(type) != 0 || begin < 0 || begin > x.count() || count > x.count() - begin) {
    return failure(Code::shape, "%s: %lld bytes from element %lld of x %s", op, static_cast<long long>(bytes),
                   static_cast<long long>(begin), x.shape().text().c_str());
  }
  if (on_host()) {
    encode_on_host(x.f32() + begin, type, to, count);
    return {};
  }
  Tensor host;
  const auto* from = static_cast<const char*>(x.data()) + begin * 4;
  {
    const OnProcessor scope;
    FORGE_TRY(empty(op, DType::f32, {count}, host));
  }
  copy_out(host.data(), from, host.bytes());
  const OnProcessor scope;
  encode_on_host(host.f32(), type, to, count);
  return {};
}

}  // namespace forge::ops
