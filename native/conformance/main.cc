#include <cstdio>
#include <cstring>
#include <ctime>
#include <string>

#include "captured_step.h"
#include "core/allocator.h"
#include "core/backend_library.h"
#include "trial.h"

/**
 * Every op on a device against the processor, without Node.
 *
 *   forge_cuda_conformance [device]            a table; 0: all agree, 1: something does not, 3: no such device here
 *   forge_cuda_conformance [device] --json     … and then the record for test/conformance/results/
 */
namespace forge::conformance {
namespace {

constexpr int disagrees = 1, misused = 2, no_device = 3;

/** The first line that a command prints, or "unknown". */
std::string line_of(const char* command) {
  std::string line;
  if (std::FILE* pipe = popen(command, "r")) {
    char text[256];
    if (std::fgets(text, sizeof text, pipe) != nullptr) line.assign(text, std::strcspn(text, "\n"));
    pclose(pipe);
  }
  return line.empty() ? "unknown" : line;
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    char escaped[8];
    if (c == '"' || c == '\\') result += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      std::snprintf(escaped, sizeof escaped, "\\u%04x", c);
      result += escaped;
    } else {
      result += c;
    }
  }
  return result + "\"";
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return std::strpbrk(text, "in") == nullptr ? text : quoted(text);  // infinities and NaN are no JSON numbers
}

std::string record(const Backend& device, const std::vector<Result>& results, double seconds, int64_t failed) {
  DeviceDescription description{};
  device.describe(&description);
  char time[32];
  const std::time_t now = std::time(nullptr);
  std::strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&now));
  std::string json = "{\n";
  const auto field = [&](const char* name, const std::string& value) { json += std::string("  \"") + name + "\": " + value + ",\n"; };
  field("commit", quoted(line_of("git rev-parse HEAD 2>/dev/null")));
  field("changedFiles", quoted(line_of("git status --porcelain 2>/dev/null | wc -l")));
  field("time", quoted(time));
  field("device", quoted(device.device));
  field("name", quoted(description.name));
  field("driver", quoted(description.driver));
  field("computeCapability", quoted(description.compute_capability));
  field("blas", quoted(description.blas));
  field("seconds", number(seconds));
  field("result", quoted(failed == 0 ? "passed" : "failed"));
  json += "  \"ops\": [";
  for (const Result& result : results) {
    json += (&result == results.data() ? "\n    {" : ",\n    {");
    json += "\"op\": " + quoted(result.op) + ", \"cases\": " + std::to_string(result.cases) +
            ", \"tolerance\": " + number(result.tolerance.value) + ", \"worst\": " + number(result.worst) +
            ", \"seconds\": " + number(result.seconds) + ", \"failures\": [";
    for (const std::string& failure : result.failures) json += (&failure == result.failures.data() ? "" : ", ") + quoted(failure);
    json += "]}";
  }
  return json + "\n  ]\n}\n";
}

/** Transfers longer than a staging buffer come back as they went; more than the limit is refused with sizes. */
Result check_memory(const Backend& device) {
  Result result{"(memory)", {0, "moves elements"}, 2, 0, 0, {}};
  select_backend(device);
  std::vector<float> out(5'000'003), in(out.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(i % 1'000'003);
  Tensor x, y;
  const Status made = empty("conformance", DType::f32, {static_cast<int64_t>(out.size())}, x);
  if (made.ok()) {
    copy_in(x.data(), out.data(), x.bytes());
    copy_out(in.data(), x.data(), x.bytes());
    if (std::memcmp(in.data(), out.data(), static_cast<size_t>(x.bytes())) != 0) result.failures.push_back("a copy differs");
  } else {
    result.failures.push_back(made.message());
  }
  const MemoryStats stats = Allocator::instance().stats();
  if (empty("conformance", DType::u8, {stats.max_bytes + 1}, y).code() != Code::oom) result.failures.push_back("no OOM");
  if (const Status status = backend_status(); !status.ok()) result.failures.push_back(status.message());
  x = Tensor();
  select_backend(cpu_backend());
  return result;
}

int run(const char* name, bool json) {
  std::vector<BackendAttempt> attempts;
  const Backend* device = load_backend(name, attempts);
  if (device == nullptr) {
    std::fprintf(stderr, "%s\n", backend_missing(name, attempts).message().c_str());
    return no_device;
  }
  timespec start, end;
  clock_gettime(CLOCK_MONOTONIC, &start);
  std::vector<Result> results = compare(*device, [](int) {});
  results.push_back(check_memory(*device));
  results.push_back(check_captured_step(*device));
  clock_gettime(CLOCK_MONOTONIC, &end);
  const double seconds = static_cast<double>(end.tv_sec - start.tv_sec) + 1e-9 * static_cast<double>(end.tv_nsec - start.tv_nsec);
  const int64_t failed = print(results);
  if (json) std::printf("%s", record(*device, results, seconds, failed).c_str());
  return failed == 0 ? 0 : disagrees;
}

}  // namespace
}  // namespace forge::conformance

int main(int count, char** arguments) {
  const char* device = "cuda";
  bool json = false;
  for (int i = 1; i < count; ++i) {
    if (std::strcmp(arguments[i], "--json") == 0) {
      json = true;
    } else if (arguments[i][0] != '-' && i == 1) {
      device = arguments[i];
    } else {
      std::fprintf(stderr, "usage: forge_cuda_conformance [device] [--json]\n");
      return forge::conformance::misused;
    }
  }
  return forge::conformance::run(device, json);
}
