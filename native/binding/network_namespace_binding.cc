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

// A file of one value, as in /proc/sys. `error` is 0 or -errno.
struct SmallFile {
  std::string path;
  std::array<char, 64> text;
  size_t length = 0;
  int error = 0;
  const char* syscall = nullptr;
};

void read_file(SmallFile* file) {
  const Descriptor descriptor(open(file->path.c_str(), O_RDONLY | O_CLOEXEC));
  file->syscall = "open";
  if (descriptor.get() < 0) {
    file->error = -errno;
    return;
  }
  file->syscall = "read";
  const ssize_t length = ::read(descriptor.get(), file->text.data(), file->text.size());
  if (length < 0) {
    file->error = -errno;
  } else {
    file->length = static_cast<size_t>(length);
  }
}

bool read_paths(const Napi::Value& value, std::vector<SmallFile>* files) {
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

Napi::Value to_texts(Napi::Env env, const std::vector<SmallFile>& files) {
  auto texts = Napi::Array::New(env, files.size());
  for (uint32_t i = 0; i < files.size(); i++) {
    const SmallFile& file = files[i];
    if (file.error != 0) {
      texts[i] = failure(env, file.error, file.syscall);
    } else {
      texts[i] = Napi::String::New(env, file.text.data(), file.length);
    }
  }
  return texts;
}

// readFilesFor(pid, paths: string[]): what a process in the network namespace of `pid` reads there,
// a string each, or a failure where one cannot be had, as ENOENT; or one failure in place of the
// array, where the namespace cannot be entered
Napi::Value read_files_for(const Napi::CallbackInfo& info) {
  int pid;
  std::vector<SmallFile> files;
  if (!read_descriptor(info, 0, &pid) || !read_paths(info[1], &files)) return bad_call(info.Env());
  const EntryRefusal refusal = in_network_namespace_of(pid, [&files] {
    for (SmallFile& file : files) read_file(&file);
  });
  if (refusal.error != 0) return failure(info.Env(), refusal.error, refusal.syscall);
  return to_texts(info.Env(), files);
}

// readFilesForSocket(fd, paths: string[]): the same in the network namespace that a socket is in
Napi::Value read_files_for_socket(const Napi::CallbackInfo& info) {
  int fd;
  std::vector<SmallFile> files;
  if (!read_descriptor(info, 0, &fd) || !read_paths(info[1], &files)) return bad_call(info.Env());
  const EntryRefusal refusal = in_network_namespace_of_socket(fd, [&files] {
    for (SmallFile& file : files) read_file(&file);
  });
  if (refusal.error != 0) return failure(info.Env(), refusal.error, refusal.syscall);
  return to_texts(info.Env(), files);
}

Napi::Value cookie_or_error(Napi::Env env, int error, uint64_t cookie) {
  if (error != 0) return Napi::Number::New(env, error);
  return Napi::BigInt::New(env, cookie);
}

// readNetworkCookie(fd): bigint, or -errno
Napi::Value read_cookie_of_network(const Napi::CallbackInfo& info) {
  int fd;
  if (!read_descriptor(info, 0, &fd)) return bad_call(info.Env());
  uint64_t cookie = 0;
  const int error = read_network_cookie(fd, &cookie);
  return cookie_or_error(info.Env(), error, cookie);
}

// readOwnNetworkCookie(): bigint, or -errno
Napi::Value read_cookie_of_own_network(const Napi::CallbackInfo& info) {
  uint64_t cookie = 0;
  const int error = read_own_network_cookie(&cookie);
  return cookie_or_error(info.Env(), error, cookie);
}

}  // namespace

void bind_network_namespace(Napi::Env env, Napi::Object exports) {
  bind<read_files_for>(env, exports, "readFilesFor");
  bind<read_files_for_socket>(env, exports, "readFilesForSocket");
  bind<read_cookie_of_network>(env, exports, "readNetworkCookie");
  bind<read_cookie_of_own_network>(env, exports, "readOwnNetworkCookie");
}

}  // namespace deadpeer
