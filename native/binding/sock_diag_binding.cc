#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>

#include "binding/binding.h"
#include "core/network_namespace.h"
#include "core/sock_destroy.h"
#include "core/sock_diag.h"

namespace deadpeer {

namespace {

using Cancelled = std::shared_ptr<std::atomic<bool>>;

// Copies the records to memory that JavaScript can read. They can be hundreds of megabytes, too
// many to copy on the event loop.
class Handover : public Napi::AsyncWorker {
 public:
  Handover(const Napi::Function& callback, Napi::Buffer<uint8_t> target, ByteBuffer records,
           const DumpOutcome& outcome)
      : AsyncWorker(callback, "deadpeer.listSockets"),
        target_(Napi::Persistent(target)),
        bytes_(target.Data()),
        records_(std::move(records)),
        outcome_(outcome) {}

 private:
  void Execute() override {
    // The records are freed here too, off the event loop.
    const ByteBuffer records = std::move(records_);
    std::copy_n(records.data(), records.size(), bytes_);
  }

  void OnOK() override {
    Callback().Call({target_.Value().ArrayBuffer(),
                     Napi::Number::New(Env(), static_cast<double>(outcome_.records)),
                     Napi::Boolean::New(Env(), outcome_.interrupted)});
  }

  Napi::Reference<Napi::Buffer<uint8_t>> target_;
  uint8_t* bytes_;
  ByteBuffer records_;
  const DumpOutcome outcome_;
};

class Dump : public Napi::AsyncWorker {
 public:
  Dump(const Napi::Function& callback, pid_t pid, const SocketQuery& query, Cancelled cancelled)
      : AsyncWorker(callback, "deadpeer.listSockets"),
        pid_(pid),
        query_(query),
        cancelled_(std::move(cancelled)) {}

 private:
  void Execute() override {
    const Failure entry = in_network_namespace_of(
        pid_, [this] { outcome_ = dump_sockets(query_, *cancelled_, &records_); });
    if (entry.error != 0) outcome_.failure = entry;
  }

  void OnOK() override {
    if (outcome_.failure.error != 0) {
      Callback().Call({failure(Env(), outcome_.failure)});
      return;
    }
    // A Buffer is not zero-filled, unlike an ArrayBuffer.
    const auto target = Napi::Buffer<uint8_t>::New(Env(), records_.size());
    // Empty while the environment is torn down (worker.terminate()).
    if (target.IsEmpty()) return;
    auto* handover = new Handover(Callback().Value(), target, std::move(records_), outcome_);
    handover->Queue();
  }

  const pid_t pid_;
  const SocketQuery query_;
  const Cancelled cancelled_;
  ByteBuffer records_;
  DumpOutcome outcome_;
};

// Reads an address of 4, 16 or 0 bytes, and sets `family` by its length: AF_INET, AF_INET6 or
// AF_UNSPEC.
bool read_address(const Napi::Object& end, uint8_t* family, std::array<uint8_t, 16>* address) {
  Array<uint8_t> bytes;
  if (!read_field(end, "address", &bytes)) return false;
  if (bytes.length != 0 && bytes.length != 4 && bytes.length != 16) return false;
  *family = bytes.length == 0 ? AF_UNSPEC : bytes.length == 4 ? AF_INET : AF_INET6;
  std::copy_n(bytes.data, bytes.length, address->begin());
  return true;
}

// { port, address, prefixLength }. A port of -1, and an address of 0 bytes, match any.
bool read_condition(const Napi::Object& query, const char* name, EndpointCondition* condition) {
  Napi::Object end;
  uint32_t prefix_length;
  if (!read_field(query, name, &end) || !read_field(end, "port", &condition->port) ||
      !read_address(end, &condition->family, &condition->address) ||
      !read_field(end, "prefixLength", &prefix_length) ||
      condition->port < EndpointCondition::kAnyPort || condition->port > 65535 ||
      prefix_length > 8 * address_size(condition->family)) {
    return false;
  }
  condition->prefix_length = static_cast<uint8_t>(prefix_length);
  return true;
}

// dumpSockets({ pid, ipv4, ipv6, states, withInfo, local, remote }, callback): an external that
// cancelDump() takes.
//
// Runs in the network namespace of process `pid`; 0 is the caller's. The callback gets a failure,
// or the records, their number, and whether the dump was interrupted.
Napi::Value dump_sockets_for(Napi::Env env, Napi::Object request, Napi::Function callback) {
  int pid;
  SocketQuery query;
  if (!read_field(request, "pid", &pid) || !read_field(request, "ipv4", &query.ipv4) ||
      !read_field(request, "ipv6", &query.ipv6) || !read_field(request, "states", &query.states) ||
      !read_field(request, "withInfo", &query.with_info) ||
      !read_condition(request, "local", &query.local) ||
      !read_condition(request, "remote", &query.remote)) {
    return bad_call(env);
  }
  const auto cancelled = std::make_shared<std::atomic<bool>>(false);
  const Napi::Value external = hold(env, std::make_unique<Cancelled>(cancelled));
  if (external.IsEmpty()) return external;
  auto* dump = new Dump(callback, pid, query, cancelled);
  dump->Queue();
  return external;
}

// cancelDump(external)
Napi::Value cancel_dump(Napi::Env env, Cancelled* cancelled) {
  (*cancelled)->store(true, std::memory_order_relaxed);
  return env.Undefined();
}

// { port, address }
bool read_end(const Napi::Object& request, const char* name, uint8_t* family, uint16_t* port,
              std::array<uint8_t, 16>* address) {
  Napi::Object end;
  uint32_t number;
  if (!read_field(request, name, &end) || !read_field(end, "port", &number) || number > 65535 ||
      !read_address(end, family, address)) {
    return false;
  }
  *port = static_cast<uint16_t>(number);
  return *family != AF_UNSPEC;
}

// destroySocket({ pid, local, remote, interface, cookie })
//
// Runs in the network namespace of process `pid`; 0 is the caller's.
Napi::Value destroy(Napi::Env env, Napi::Object request) {
  int pid;
  SocketId id;
  uint8_t remote_family;
  if (!read_field(request, "pid", &pid) ||
      !read_end(request, "local", &id.family, &id.local_port, &id.local) ||
      !read_end(request, "remote", &remote_family, &id.remote_port, &id.remote) ||
      !read_field(request, "interface", &id.interface) ||
      !read_field(request, "cookie", &id.cookie) || remote_family != id.family) {
    return bad_call(env);
  }
  int error = 0;
  const Failure entry = in_network_namespace_of(pid, [&id, &error] { error = destroy_socket(id); });
  if (entry.error != 0) return failure(env, entry);
  return error != 0 ? failure(env, error, "sendto") : env.Undefined();
}

}  // namespace

void bind_sock_diag(Napi::Env env, Napi::Object exports) {
  bind<dump_sockets_for>(env, exports, "dumpSockets");
  bind<cancel_dump>(env, exports, "cancelDump");
  bind<destroy>(env, exports, "destroySocket");
}

}  // namespace deadpeer
