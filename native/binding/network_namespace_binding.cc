#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

#include "binding/binding.h"
#include "core/descriptor.h"
#include "core/network_namespace.h"

namespace deadpeer {

namespace {

// A file with one value, as in /proc/sys.
struct SmallFile {
  std::string path;
  std::array<char, 64> text;
  size_t length = 0;
  Failure failure;
};

void read_file(SmallFile* file) {
  const Descriptor descriptor(open(file->path.c_str(), O_RDONLY | O_CLOEXEC));
  if (descriptor.get() < 0) {
    file->failure = {-errno, "open"};
    return;
  }
  const ssize_t length = ::read(descriptor.get(), file->text.data(), file->text.size());
  if (length < 0) {
    file->failure = {-errno, "read"};
  } else {
    file->length = static_cast<size_t>(length);
  }
}

bool read_paths(const Napi::Object& value, std::vector<SmallFile>* files) {
  if (!value.IsArray()) return false;
  const auto paths = value.As<Napi::Array>();
  files->resize(paths.Length());
  for (uint32_t i = 0; i < paths.Length(); i++) {
    const Napi::Value path = paths[i];
    if (!path.IsString()) return false;
    (*files)[i].path = path.As<Napi::String>();
  }
  return true;
}

// `enter` runs the work that it gets in a network namespace.
template <typename Enter>
Napi::Value read_files(Napi::Env env, const Napi::Object& paths, Enter enter) {
  std::vector<SmallFile> files;
  if (!read_paths(paths, &files)) return bad_call(env);
  const Failure entry = enter([&files] {
    for (SmallFile& file : files) read_file(&file);
  });
  if (entry.error != 0) return failure(env, entry);
  auto texts = Napi::Array::New(env, files.size());
  for (uint32_t i = 0; i < files.size(); i++) {
    const SmallFile& file = files[i];
    if (file.failure.error != 0) {
      texts[i] = failure(env, file.failure);
    } else {
      texts[i] = Napi::String::New(env, file.text.data(), file.length);
    }
  }
  return texts;
}

// readFilesFor(pid, paths): the contents of files as a process in the network namespace of `pid`
// sees them: one string or failure for each path. Returns a single failure if the namespace cannot
// be entered.
Napi::Value read_files_for(Napi::Env env, int pid, Napi::Object paths) {
  return read_files(env, paths, [pid](auto work) { return in_network_namespace_of(pid, work); });
}

// readFilesForSocket(fd, paths): the same in the network namespace of a socket
Napi::Value read_files_for_socket(Napi::Env env, int fd, Napi::Object paths) {
  return read_files(env, paths,
                    [fd](auto work) { return in_network_namespace_of_socket(fd, work); });
}

// readNetworkCookie(fd): bigint
Napi::Value read_cookie_of_network(Napi::Env env, int fd) {
  uint64_t cookie;
  if (int error = read_network_cookie(fd, &cookie)) return failure(env, error);
  return Napi::BigInt::New(env, cookie);
}

// readOwnNetworkCookie(): bigint
Napi::Value read_cookie_of_own_network(Napi::Env env) {
  uint64_t cookie;
  if (int error = read_own_network_cookie(&cookie)) return failure(env, error);
  return Napi::BigInt::New(env, cookie);
}

}  // namespace

void bind_network_namespace(Napi::Env env, Napi::Object exports) {
  bind<read_files_for>(env, exports, "readFilesFor");
  bind<read_files_for_socket>(env, exports, "readFilesForSocket");
  bind<read_cookie_of_network>(env, exports, "readNetworkCookie");
  bind<read_cookie_of_own_network>(env, exports, "readOwnNetworkCookie");
}

}  // namespace deadpeer
