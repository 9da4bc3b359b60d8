#include "core/backend_library.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cctype>
#include <cstdlib>
#include <map>
#include <mutex>

namespace forge {
namespace {

/** The folder of the program or addon that this function is linked into. */
std::string own_folder() {
  Dl_info info;
  if (dladdr(reinterpret_cast<const void*>(&load_backend), &info) == 0 || info.dli_fname == nullptr) return ".";
  const std::string path = info.dli_fname;
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

template <class F>
F symbol(void* library, const char* name) {
  return reinterpret_cast<F>(dlsym(library, name));
}

/** The backend in one file, or null and the cause. A library stays loaded: its threads' variables live in it. */
const Backend* open_backend(const std::string& path, std::string& cause) {
  if (access(path.c_str(), F_OK) != 0) {
    cause = "no such file; native/ builds it where nvcc is found (CUDA toolkit 13; on PATH, in CUDACXX or /usr/local/cuda)";
    return nullptr;
  }
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    cause = dlerror();
    return nullptr;
  }
  const auto version = symbol<decltype(&forge_backend_version)>(library, "forge_backend_version");
  const auto score = symbol<decltype(&forge_backend_score)>(library, "forge_backend_score");
  const auto create = symbol<decltype(&forge_backend_create)>(library, "forge_backend_create");
  if (version == nullptr || score == nullptr || create == nullptr) {
    cause = "not a backend library: it lacks forge_backend_version, _score or _create";
    return nullptr;
  }
  if (version() != backend_version) {
    cause = "made by another build of native/; build both again with node native/scripts/build.mjs";
    return nullptr;
  }
  char reason[768] = "";
  const Backend* made = score(reason, sizeof reason) > 0 ? create(reason, sizeof reason) : nullptr;
  if (made == nullptr) cause = reason;
  return made;
}

}  // namespace

const Backend* load_backend(const char* device, std::vector<BackendAttempt>& attempts) {
  static std::mutex mutex;
  static auto* loaded = new std::map<std::string, const Backend*>();  // never destroyed: threads may outlive it
  const std::lock_guard lock(mutex);
  const Backend*& backend = (*loaded)[device];
  if (backend != nullptr) return backend;
  const std::string file = std::string("libforge_") + device + ".so";
  const char* wanted = std::getenv(("FORGE_" + upper(device) + "_LIBRARY").c_str());
  const std::string path = wanted != nullptr && *wanted != '\0' ? wanted : own_folder() + "/" + file;
  std::string cause;
  backend = open_backend(path, cause);
  if (backend == nullptr) attempts.push_back({path, cause});
  return backend;
}

Status backend_missing(const char* device, const std::vector<BackendAttempt>& attempts) {
  std::string text = std::string("device ") + device + " cannot be used. Tried:";
  for (const BackendAttempt& attempt : attempts) text += "\n  " + attempt.path + ": " + attempt.cause;
  return Status(Code::device, text);
}

}  // namespace forge
