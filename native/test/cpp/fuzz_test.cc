#include <fstream>
#include <sstream>

#include "check.h"
#include "core/allocator.h"
#include "ops_fuzz.h"

namespace forge::test {
namespace {

std::string contents(const char* path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/** The inputs of the corpus: one per line, hexadecimal. */
std::vector<std::vector<uint8_t>> corpus() {
  std::vector<std::vector<uint8_t>> inputs;
  std::istringstream lines(contents(FORGE_SOURCE_DIR "/fuzz/corpus.hex"));
  for (std::string line; std::getline(lines, line);) {
    std::vector<uint8_t>& input = inputs.emplace_back();
    for (size_t i = 0; i + 1 < line.size(); i += 2) {
      input.push_back(static_cast<uint8_t>(std::stoi(line.substr(i, 2), nullptr, 16)));
    }
  }
  return inputs;
}

}  // namespace

TEST(fuzz_ops_are_those_of_the_addon) {
  const std::string text = contents(FORGE_SOURCE_DIR "/src/addon/exports.cc");
  const std::string before = "bind<ops::";
  const std::set<std::string> ops_here = fuzz::op_names();
  int ops = 0;
  for (size_t at = text.find(before); at != std::string::npos; at = text.find(before, at + 1)) {
    const size_t begin = at + before.size();
    const std::string op = text.substr(begin, text.find('>', begin) - begin);
    if (!ops_here.contains(op)) report(__FILE__, __LINE__, op + " is not in fuzz/ops_fuzz.cc");
    ++ops;
  }
  CHECK(ops > 90);
}

TEST(fuzz_corpus_has_a_call_of_every_op_that_is_not_refused) {
  std::set<std::string> accepted;
  for (const std::vector<uint8_t>& input : corpus()) fuzz::run_ops(input.data(), input.size(), &accepted);
  for (const std::string& op : fuzz::op_names()) {
    if (!accepted.contains(op)) report(__FILE__, __LINE__, op + " is always refused");
  }
}

TEST(fuzz_corpus_runs_on_every_instruction_set) {
  const int64_t live = Allocator::instance().stats().live_bytes;
  const std::vector<std::vector<uint8_t>> inputs = corpus();
  CHECK(inputs.size() > 1000);
  for_each_isa([&] {
    size_t accepted = 0;
    for (const std::vector<uint8_t>& input : inputs) accepted += static_cast<size_t>(fuzz::run_ops(input.data(), input.size()));
    CHECK(accepted > inputs.size());
  });
  CHECK(Allocator::instance().stats().live_bytes == live);
}

}  // namespace forge::test
