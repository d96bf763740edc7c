#include "core/probe_filter.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/descriptor.h"
#include "core/socket.h"

namespace deadpeer {

namespace {

enum Register : uint8_t { R0, R1, R2, R3, R4, R6 = 6, R7, R8, R9, FP };

constexpr bpf_insn instruction(int code, uint8_t to, uint8_t from, int offset, int32_t value) {
  return {static_cast<uint8_t>(code), static_cast<uint8_t>(to & 15),
          static_cast<uint8_t>(from & 15), static_cast<int16_t>(offset), value};
}
constexpr bpf_insn set(Register to, int32_t value) {
  return instruction(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value);
}
constexpr bpf_insn copy(Register to, Register from) {
  return instruction(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0);
}
constexpr bpf_insn compute(int operation, Register to, int32_t value) {
  return instruction(BPF_ALU64 | operation | BPF_K, to, 0, 0, value);
}
constexpr bpf_insn compute(int operation, Register to, Register from) {
  return instruction(BPF_ALU64 | operation | BPF_X, to, from, 0, 0);
}
constexpr bpf_insn load(int size, Register to, Register from, int offset) {
  return instruction(BPF_LDX | size | BPF_MEM, to, from, offset, 0);
}
constexpr bpf_insn store(int size, Register to, int offset, Register from) {
  return instruction(BPF_STX | size | BPF_MEM, to, from, offset, 0);
}
// Jumps over `skipped` instructions.
constexpr bpf_insn jump_if(Register left, int comparison, int32_t right, int skipped) {
  return instruction(BPF_JMP | comparison | BPF_K, left, 0, skipped, right);
}
constexpr bpf_insn call(int32_t function) {
  return instruction(BPF_JMP | BPF_CALL, 0, 0, 0, function);
}
constexpr bpf_insn kExit = instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);

int bpf(bpf_cmd command, bpf_attr& attributes) {
  const long result = syscall(SYS_bpf, command, &attributes, sizeof(attributes));
  return result < 0 ? -errno : static_cast<int>(result);
}

// An array of one number: the highest sequence number seen.
int create_map(uint32_t highest) {
  bpf_attr attributes = {};
  attributes.map_type = BPF_MAP_TYPE_ARRAY;
  attributes.key_size = sizeof(uint32_t);
  attributes.value_size = sizeof(uint32_t);
  attributes.max_entries = 1;
  Descriptor map(bpf(BPF_MAP_CREATE, attributes));
  if (map.get() < 0) return map.get();
  const uint32_t key = 0;
  attributes = {};
  attributes.map_fd = static_cast<uint32_t>(map.get());
  attributes.key = reinterpret_cast<uintptr_t>(&key);
  attributes.value = reinterpret_cast<uintptr_t>(&highest);
  if (const int error = bpf(BPF_MAP_UPDATE_ELEM, attributes)) return error;
  return map.release();
}

int load_program(int map) {
  // The filter sees the segment from its TCP header on (RFC 9293 3.1): sequence number at 4, header
  // length at 12, flags at 13. They are loaded to the stack, from FP-16 on.
  constexpr int kSequence = 4, kLoaded = 10, kStack = -16, kKey = -20;
  constexpr int32_t kFinSynRst = 7;
  const bpf_insn program[] = {
      copy(R6, R1),
      set(R2, kSequence),
      copy(R3, FP),
      compute(BPF_ADD, R3, kStack),
      set(R4, kLoaded),
      call(BPF_FUNC_skb_load_bytes),
      jump_if(R0, BPF_JNE, 0, 29),  // keep
      load(BPF_W, R7, FP, kStack),
      instruction(BPF_ALU | BPF_END | BPF_TO_BE, R7, 0, 0, 32),
      load(BPF_B, R8, FP, kStack + 8),
      load(BPF_B, R1, FP, kStack + 9),
      compute(BPF_AND, R1, kFinSynRst),
      jump_if(R1, BPF_JNE, 0, 23),  // keep
      // R9: the length of the payload.
      compute(BPF_RSH, R8, 2),
      compute(BPF_AND, R8, 0x3c),
      load(BPF_W, R9, R6, offsetof(__sk_buff, len)),
      compute(BPF_SUB, R9, R8),
      instruction(BPF_ST | BPF_W | BPF_MEM, FP, 0, kKey, 0),
      instruction(BPF_LD | BPF_DW | BPF_IMM, R1, BPF_PSEUDO_MAP_FD, 0, map),
      instruction(0, 0, 0, 0, 0),
      copy(R2, FP),
      compute(BPF_ADD, R2, kKey),
      call(BPF_FUNC_map_lookup_elem),
      jump_if(R0, BPF_JEQ, 0, 12),  // keep
      // R3: how far the end of this segment is above the highest seen, as a signed 32-bit number.
      load(BPF_W, R1, R0, 0),
      copy(R2, R7),
      compute(BPF_ADD, R2, R9),
      copy(R3, R2),
      compute(BPF_SUB, R3, R1),
      compute(BPF_LSH, R3, 32),
      compute(BPF_ARSH, R3, 32),
      jump_if(R9, BPF_JEQ, 0, 3),   // no payload
      jump_if(R3, BPF_JSLE, 0, 3),  // keep
      store(BPF_W, R0, 0, R2),
      instruction(BPF_JMP | BPF_JA, 0, 0, 1, 0),  // keep
      jump_if(R3, BPF_JSLT, 0, 2),                // drop
      // Keep.
      instruction(BPF_ALU | BPF_MOV | BPF_K, R0, 0, 0, -1),
      kExit,
      // Drop.
      set(R0, 0),
      kExit,
  };
  constexpr char kLicense[] = "MIT";
  bpf_attr attributes = {};
  attributes.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
  attributes.insns = reinterpret_cast<uintptr_t>(program);
  attributes.insn_cnt = sizeof(program) / sizeof(program[0]);
  attributes.license = reinterpret_cast<uintptr_t>(kLicense);
  return bpf(BPF_PROG_LOAD, attributes);
}

// The sequence number that the socket expects next. It can be read in repair mode only, which also
// changes SO_REUSEADDR.
int read_next_sequence(int fd, uint32_t* next) {
  int reuse;
  if (int error = get_int(fd, SOL_SOCKET, SO_REUSEADDR, &reuse)) return error;
  if (int error = set_int(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON)) return error;
  int value = 0;
  int error = set_int(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE);
  if (error == 0) error = get_int(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &value);
  const int ended = set_int(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP);
  set_int(fd, SOL_SOCKET, SO_REUSEADDR, reuse);
  *next = static_cast<uint32_t>(value);
  return error != 0 ? error : ended;
}

}  // namespace

Failure ignore_probes(int fd) {
  uint32_t next;
  if (int error = read_next_sequence(fd, &next)) return {error, "setsockopt"};
  const Descriptor map(create_map(next));
  if (map.get() < 0) return {map.get(), "bpf"};
  const Descriptor program(load_program(map.get()));
  if (program.get() < 0) return {program.get(), "bpf"};
  // From here on the socket holds references to the program and the map.
  return {set_int(fd, SOL_SOCKET, SO_ATTACH_BPF, program.get()), "setsockopt"};
}

}  // namespace deadpeer
