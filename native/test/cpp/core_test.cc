#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>

#include "check.h"
#include "core/allocator.h"
#include "core/parallel.h"
#include "core/tensor_table.h"
#include "ops/ops.h"
#include "ops/support.h"

/** Allocator, handles, thread pool: everything below the ops. */
namespace forge::test {

TEST(size_classes_waste_at_most_an_eighth) {
  for (int64_t bytes = 0; bytes < 100'000'000; bytes = bytes * 9 / 8 + 1) {
    const int64_t capacity = Allocator::size_class(bytes);
    CHECK(capacity >= bytes && capacity >= 64 && capacity % 64 == 0);
    CHECK(bytes < 512 || capacity - bytes <= bytes / 8);
    CHECK(Allocator::size_class(capacity) == capacity);
  }
}

TEST(freed_blocks_are_used_again) {
  Allocator& allocator = Allocator::instance();
  allocator.empty_cache();
  const MemoryStats before = allocator.stats();
  void* first = nullptr;
  {
    Tensor x;
    CHECK_OK(empty("test", DType::f32, {1000}, x));
    first = x.data();
    CHECK(reinterpret_cast<uintptr_t>(first) % 64 == 0);
    CHECK(allocator.stats().live_bytes == before.live_bytes + Allocator::size_class(4000));
    const Tensor view = x.view(10, {5});
    x = Tensor();
    CHECK(allocator.stats().live_bytes > before.live_bytes);  // the view keeps the buffer
    CHECK(view.count() == 5);
  }
  CHECK(allocator.stats().live_bytes == before.live_bytes);
  CHECK(allocator.stats().cached_bytes == Allocator::size_class(4000));
  Tensor y;
  CHECK_OK(empty("test", DType::f32, {1000}, y));
  CHECK(y.data() == first);
  CHECK(allocator.stats().cached_bytes == 0);
}

TEST(the_limit_is_an_error_with_sizes) {
  Allocator& allocator = Allocator::instance();
  const MemoryStats before = allocator.stats();
  allocator.empty_cache();
  allocator.set_limit(before.live_bytes + 10'000'000);
  Tensor x, y;
  CHECK_OK(empty("alloc", DType::f32, {1'000'000}, x));
  CHECK_FAILS(empty("alloc", DType::f32, {2'000'000}, y), Code::oom, "alloc", "8000000 bytes asked for", "limit");
  CHECK(!y.defined());
  x = Tensor();
  CHECK_OK(empty("alloc", DType::f32, {1'500'000}, y));  // empties the cache to stay below the limit
  CHECK(allocator.stats().live_bytes + allocator.stats().cached_bytes <= before.live_bytes + 10'000'000);
  allocator.set_limit(before.max_bytes);
}

TEST(peak_follows_live_bytes) {
  Allocator& allocator = Allocator::instance();
  allocator.reset_peak();
  const int64_t start = allocator.stats().peak_bytes;
  { const Tensor x = random_tensor({100'000}, 1); }
  CHECK(allocator.stats().peak_bytes == start + Allocator::size_class(400'000));
  allocator.reset_peak();
  CHECK(allocator.stats().peak_bytes == start);
}

TEST(blocks_of_a_pool_come_back_to_it_until_it_is_closed) {
  Allocator& allocator = Allocator::instance();
  allocator.empty_cache();
  const int64_t live = allocator.stats().live_bytes;
  void *first = nullptr, *second = nullptr, *other = nullptr;
  int64_t capacity = 0;
  const int64_t pool = allocator.open_pool();
  CHECK_OK(allocator.allocate("test", 5000, first, capacity));
  allocator.release(first, capacity);
  CHECK_OK(allocator.allocate("test", 5000, second, capacity));
  CHECK(second == first);  // within the pool memory is used again
  allocator.seal_pool();
  CHECK(allocator.is_pooled(second));
  allocator.release(second, capacity);
  CHECK(allocator.stats().live_bytes == live + capacity && allocator.stats().cached_bytes == 0);
  CHECK_OK(allocator.allocate("test", 5000, other, capacity));
  CHECK(other != first);  // nobody else gets it
  allocator.release(other, capacity);
  allocator.empty_cache();  // nor does the system
  CHECK(allocator.is_pooled(first));
  allocator.close_pool(pool);
  CHECK(!allocator.is_pooled(first));
  CHECK(allocator.stats().live_bytes == live && allocator.stats().cached_bytes == capacity);
}

TEST(an_op_is_supported_when_all_its_kernels_are_there) {
  Kernels table{};
  CHECK(ops::supports(table, "view"));
  CHECK(!ops::supports(table, "gatherRows"));
  table.gather_rows = kernels().gather_rows;
  CHECK(!ops::supports(table, "gatherRows"));
  table.first_outside = kernels().first_outside;
  CHECK(!ops::supports(table, "gatherRows"));
  table.check_index = [](const char*, const int32_t*, int64_t, int64_t, int64_t, int32_t*) {};
  CHECK(ops::supports(table, "gatherRows"));
  CHECK(!ops::supports(kernels(), "noSuchOp"));
  CHECK(ops::is_supported("anything"));  // on the processor, which is complete
}

TEST(shapes_that_do_not_fit_are_refused) {
  Tensor x;
  CHECK_FAILS(empty("alloc", DType::f32, {-1}, x), Code::shape, "negative", "[-1]");
  CHECK_FAILS(empty("alloc", DType::f32, {int64_t{1} << 40, int64_t{1} << 40}, x), Code::shape, "2^46");
  CHECK_FAILS(empty("alloc", DType::f32, {0, int64_t{1} << 40, int64_t{1} << 40}, x), Code::shape, "2^46");
  CHECK_FAILS(empty("alloc", DType::u8, {INT64_MAX, 2}, x), Code::shape, "2^46");
  CHECK_OK(empty("alloc", DType::f32, {3, 0, 2}, x));
  CHECK(x.count() == 0);
}

TEST(handles_are_refused_after_free_and_elsewhere) {
  TensorTable table, other;
  Handle handle = 0;
  const int64_t before = TensorTable::live_tensors();
  CHECK_OK(table.insert(random_tensor({3}, 1), handle));
  const double number = static_cast<double>(handle);
  CHECK(number < 9007199254740992.0);
  CHECK(table.find(number) != nullptr && table.find(number)->count() == 3);
  CHECK(other.find(number) == nullptr);
  CHECK(TensorTable::live_tensors() == before + 1);
  CHECK(table.erase(number));
  CHECK(!table.erase(number));
  CHECK(table.find(number) == nullptr);
  Handle again = 0;
  CHECK_OK(table.insert(random_tensor({4}, 1), again));
  CHECK(again != handle && table.find(number) == nullptr);
  for (const double bad : {0.0, -1.0, 0.5, 1e300, static_cast<double>(NAN), static_cast<double>(INFINITY), 9007199254740993.0}) {
    CHECK(table.find(bad) == nullptr);
  }
}

TEST(a_destroyed_table_returns_its_memory) {
  const int64_t live = Allocator::instance().stats().live_bytes, tensors = TensorTable::live_tensors();
  {
    TensorTable table;
    Handle handle = 0;
    for (int i = 0; i < 10; ++i) CHECK_OK(table.insert(random_tensor({100}, 1), handle));
    CHECK(table.erase(static_cast<double>(handle)));
  }
  CHECK(Allocator::instance().stats().live_bytes == live);
  CHECK(TensorTable::live_tensors() == tensors);
}

TEST(every_piece_of_a_job_runs_once) {
  for (const int64_t count : {0, 1, 2, 7, 1000}) {
    std::vector<std::atomic<int>> runs(static_cast<size_t>(count));
    parallel_for(count, [&](int64_t i, int worker) {
      CHECK(worker >= 0 && worker < worker_count());
      runs[static_cast<size_t>(i)].fetch_add(1);
    });
    for (const auto& run : runs) CHECK(run.load() == 1);
  }
}

TEST(jobs_of_several_threads_and_nested_jobs_finish) {
  std::atomic<int64_t> total{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int job = 0; job < 500; ++job) {
        parallel_for(8, [&](int64_t i, int) {
          parallel_for(2, [&](int64_t j, int) { total.fetch_add(i + j); });
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(total.load() == 4 * 500 * (2 * 28 + 8));
}

TEST(threads_with_their_own_tensors_get_the_same_bytes) {
  const auto compute = [] {
    const Tensor a = random_tensor({200, 150}, 1), b = random_tensor({150, 170}, 2);
    Tensor y;
    for (int i = 0; i < 20; ++i) CHECK_OK(ops::matmul(a, b, false, false, nullptr, 0, y));
    return values(y);
  };
  const std::vector<double> expected = compute();
  std::vector<double> results[3];
  std::vector<std::thread> threads;
  for (auto& result : results) threads.emplace_back([&] { result = compute(); });
  for (std::thread& thread : threads) thread.join();
  for (const auto& result : results) CHECK(result == expected);
}

}  // namespace forge::test
