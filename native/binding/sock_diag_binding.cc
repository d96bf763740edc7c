#include <algorithm>
#include <memory>
#include <utility>

#include "binding/binding.h"
#include "core/network_namespace.h"
#include "core/sock_diag.h"

namespace deadpeer {

namespace {

using Cancelled = std::shared_ptr<std::atomic<bool>>;

// Copies the records to where JavaScript can see them: there may be hundreds of megabytes of them,
// for which the event loop is not to wait either.
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
    // Freed here as well.
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

const char* syscall_of(DumpStep step) {
  switch (step) {
    case DumpStep::kOpen:
      return "socket";
    case DumpStep::kSend:
      return "sendto";
    case DumpStep::kReceive:
      return "recvfrom";
    case DumpStep::kReply:
      break;
  }
  return nullptr;
}

class Dump : public Napi::AsyncWorker {
 public:
  Dump(const Napi::Function& callback, pid_t pid, const SocketQuery& query, Cancelled cancelled)
      : AsyncWorker(callback, "deadpeer.listSockets"),
        pid_(pid),
        query_(query),
        cancelled_(std::move(cancelled)) {}

 private:
  void Execute() override {
    entry_ = in_network_namespace_of(
        pid_, [this] { outcome_ = dump_sockets(query_, *cancelled_, &records_); });
  }

  void OnOK() override {
    if (entry_.error != 0) {
      Callback().Call({failure(Env(), entry_.error, entry_.syscall)});
      return;
    }
    if (outcome_.error != 0) {
      Callback().Call({failure(Env(), outcome_.error, syscall_of(outcome_.step))});
      return;
    }
    // A Buffer is not filled with zeros first, as an ArrayBuffer would be.
    const auto target = Napi::Buffer<uint8_t>::New(Env(), records_.size());
    // Not made where the environment is being torn down (worker.terminate()).
    if (target.IsEmpty()) return;
    auto* handover = new Handover(Callback().Value(), target, std::move(records_), outcome_);
    handover->Queue();
  }

  const pid_t pid_;
  const SocketQuery query_;
  const Cancelled cancelled_;
  ByteBuffer records_;
  EntryRefusal entry_;
  DumpOutcome outcome_;
};

bool read_condition(const Napi::CallbackInfo& info, size_t index, EndpointCondition* condition) {
  int32_t port;
  uint32_t prefix_length;
  uint8_t* address;
  size_t length;
  if (napi_get_value_int32(info.Env(), info[index], &port) != napi_ok ||
      !read_array(info, index + 1, napi_uint8_array, &address, &length) ||
      napi_get_value_uint32(info.Env(), info[index + 2], &prefix_length) != napi_ok ||
      port < EndpointCondition::kAnyPort || port > 65535 ||
      (length != 0 && length != 4 && length != 16) || prefix_length > 8 * length) {
    return false;
  }
  condition->port = port;
  condition->family = length == 0 ? AF_UNSPEC : length == 4 ? AF_INET : AF_INET6;
  condition->prefix_length = static_cast<uint8_t>(prefix_length);
  std::copy_n(address, length, condition->address.begin());
  return true;
}

// dumpSockets(pid, ipv4, ipv6, states, withInfo, localPort, localAddress, localPrefixLength,
//   remotePort, remoteAddress, remotePrefixLength, callback): what cancels it, an external
//
// In the network namespace of process `pid`; 0 is the caller's. A port of -1 and an address of no
// bytes stand for any. The callback gets a failure, or the records, their number, and whether the
// dump was interrupted.
Napi::Value dump_sockets_for(const Napi::CallbackInfo& info) {
  int pid;
  SocketQuery query;
  if (!read_descriptor(info, 0, &pid) ||
      napi_get_value_bool(info.Env(), info[1], &query.ipv4) != napi_ok ||
      napi_get_value_bool(info.Env(), info[2], &query.ipv6) != napi_ok ||
      napi_get_value_uint32(info.Env(), info[3], &query.states) != napi_ok ||
      napi_get_value_bool(info.Env(), info[4], &query.with_info) != napi_ok ||
      !read_condition(info, 5, &query.local) || !read_condition(info, 8, &query.remote) ||
      !info[11].IsFunction()) {
    return bad_call(info.Env());
  }
  const auto cancelled = std::make_shared<std::atomic<bool>>(false);
  auto owned = std::make_unique<Cancelled>(cancelled);
  const auto external = Napi::External<Cancelled>::New(
      info.Env(), owned.get(), [](Napi::Env, Cancelled* data) { delete data; });
  if (external.IsEmpty()) return external;
  owned.release();
  auto* dump = new Dump(info[11].As<Napi::Function>(), pid, query, cancelled);
  dump->Queue();
  return external;
}

// cancelDump(external)
Napi::Value cancel_dump(const Napi::CallbackInfo& info) {
  void* data;
  if (napi_get_value_external(info.Env(), info[0], &data) != napi_ok) return bad_call(info.Env());
  (*static_cast<Cancelled*>(data))->store(true, std::memory_order_relaxed);
  return info.Env().Undefined();
}

}  // namespace

void bind_sock_diag(Napi::Env env, Napi::Object exports) {
  bind<dump_sockets_for>(env, exports, "dumpSockets");
  bind<cancel_dump>(env, exports, "cancelDump");
}

}  // namespace deadpeer
