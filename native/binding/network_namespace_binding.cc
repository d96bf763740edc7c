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

// readFilesFor(pid, paths: string[]): what a process in the network namespace of `pid` reads there,
// a string each, or a refusal where one cannot be had, as ENOENT; or one refusal in place of the
// array, where the namespace cannot be entered
Napi::Value read_files_for(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  int pid;
  if (!read_descriptor(info, 0, &pid) || !info[1].IsArray()) return bad_call(env);
  const auto paths = info[1].As<Napi::Array>();
  std::vector<SmallFile> files(paths.Length());
  for (uint32_t i = 0; i < paths.Length(); i++) {
    const Napi::Value path = paths[i];
    if (!path.IsString()) return bad_call(env);
    files[i].path = path.As<Napi::String>();
  }
  const EntryRefusal refusal = in_network_namespace_of(pid, [&files] {
    for (SmallFile& file : files) read_file(&file);
  });
  if (refusal.error != 0) return refused_call(env, refusal.error, refusal.syscall);
  auto texts = Napi::Array::New(env, files.size());
  for (uint32_t i = 0; i < paths.Length(); i++) {
    const SmallFile& file = files[i];
    if (file.error != 0) {
      texts[i] = refused_call(env, file.error, file.syscall);
    } else {
      texts[i] = Napi::String::New(env, file.text.data(), file.length);
    }
  }
  return texts;
}

}  // namespace

void bind_network_namespace(Napi::Env env, Napi::Object exports) {
  bind<read_files_for>(env, exports, "readFilesFor");
}

}  // namespace deadpeer
