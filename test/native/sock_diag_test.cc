#include "core/sock_diag.h"

#include <errno.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include "check.h"
#include "core/sock_diag_reply.h"
#include "core/socket.h"
#include "loopback.h"
#include "netlink_message.h"
#include "process.h"
#include "waiting.h"

namespace deadpeer {

namespace {

constexpr uint32_t kStates = 0xf7e;

// Answers each request with its next script, a list of datagrams and errors.
class FakeSource : public DumpSource {
 public:
  using Script = std::vector<std::function<ssize_t(FakeSource*, uint8_t*, size_t)>>;

  explicit FakeSource(std::vector<Script> scripts) : scripts_(std::move(scripts)) {}

  int open(uint32_t* port) override {
    opened++;
    *port = kPort;
    return open_error;
  }

  int send(const DiagRequest& request) override {
    nlmsghdr header;
    memcpy(&header, request.bytes.data(), sizeof(header));
    CHECK_EQ(header.nlmsg_len, request.length);
    inet_diag_req body;
    memcpy(&body, request.bytes.data() + NLMSG_HDRLEN, sizeof(body));
    states = body.idiag_states;
    with_info = body.idiag_ext != 0;
    sequence = header.nlmsg_seq;
    script_ = std::min<size_t>(opened, scripts_.size()) - 1;
    step_ = 0;
    return send_error;
  }

  ssize_t receive(uint8_t* bytes, size_t capacity) override {
    const Script& script = scripts_.at(script_);
    // The last script repeats without end.
    const auto& step = script.at(std::min(step_++, script.size() - 1));
    return step(this, bytes, capacity);
  }

  int still_there(const inet_diag_msg* sockets, size_t count) override {
    CHECK(count > 0 && count <= RecentSockets::kMost);
    for (size_t i = 0; i < count; i++) CHECK(sockets[i].idiag_state != kListen);
    looked_back++;
    return there;
  }

  size_t opened = 0;
  size_t looked_back = 0;
  int there = 1;
  uint32_t sequence = 0;
  // As in the last request.
  uint32_t states = 0;
  bool with_info = false;
  int open_error = 0;
  int send_error = 0;

 private:
  std::vector<Script> scripts_;
  size_t script_ = 0;
  size_t step_ = 0;
};

auto fails_with(int error) {
  return [=](FakeSource*, uint8_t*, size_t) -> ssize_t { return error; };
}

// A datagram for the current request, which `fill` makes.
auto answers(void (*fill)(Datagram*)) {
  return [=](FakeSource* source, uint8_t* bytes, size_t capacity) -> ssize_t {
    Datagram datagram;
    datagram.sequence = source->sequence;
    fill(&datagram);
    const size_t fits = std::min(capacity, datagram.bytes.size());
    std::copy_n(datagram.bytes.begin(), fits, bytes);
    return static_cast<ssize_t>(datagram.bytes.size());
  };
}

const auto one_socket = answers([](Datagram* d) { d->socket(kEstablished); });
const auto end = answers([](Datagram* d) { d->done(); });
const auto interrupted_end = answers([](Datagram* d) { d->done(NLM_F_DUMP_INTR); });

SocketQuery everything() {
  SocketQuery query;
  query.states = kStates;
  return query;
}

// Listeners are requested separately.
constexpr uint32_t kConnections = kStates & ~kListening;

DumpOutcome dump(FakeSource* source, uint32_t states = kConnections, bool cancel = false) {
  ByteBuffer records;
  const std::atomic<bool> cancelled = cancel;
  SocketQuery query = everything();
  query.states = states;
  query.with_info = true;
  const DumpOutcome outcome = dump_sockets(query, cancelled, &records, source);
  if (outcome.failure.error == 0) {
    CHECK_EQ(records.size(), outcome.records * (sizeof(inet_diag_msg) + sizeof(uint32_t)));
  }
  return outcome;
}

void check_complete(FakeSource* source, size_t attempts, size_t records) {
  const DumpOutcome outcome = dump(source);
  CHECK_EQ(outcome.failure.error, 0);
  CHECK(!outcome.interrupted);
  CHECK_EQ(outcome.records, records);
  CHECK_EQ(source->opened, attempts);
}

TEST(interrupted_dump_is_tried_again_from_the_beginning) {
  FakeSource source({{one_socket, one_socket, interrupted_end},
                     {one_socket, interrupted_end},
                     {one_socket, end}});
  check_complete(&source, 3, 1);
}

TEST(dump_that_is_always_interrupted_is_flagged) {
  FakeSource source({{one_socket, one_socket, interrupted_end}});
  const DumpOutcome outcome = dump(&source);
  CHECK_EQ(outcome.failure.error, 0);
  CHECK(outcome.interrupted);
  CHECK_EQ(outcome.records, 2);
  CHECK_EQ(source.opened, 4);
}

TEST(lost_datagrams_are_an_interruption) {
  FakeSource source({{one_socket, fails_with(-ENOBUFS)}, {one_socket, end}});
  check_complete(&source, 2, 1);
}

TEST(losing_datagrams_every_time_is_flagged) {
  FakeSource source({{one_socket, fails_with(-ENOBUFS)}});
  const DumpOutcome outcome = dump(&source);
  CHECK_EQ(outcome.failure.error, 0);
  CHECK(outcome.interrupted);
  CHECK_EQ(outcome.records, 1);
}

TEST(datagram_that_does_not_fit_is_asked_for_again_with_more_room) {
  const auto large = answers([](Datagram* d) {
    for (int i = 0; i < 1000; i++) d->socket(kEstablished);
  });
  FakeSource source({{large, end}});
  check_complete(&source, 2, 1000);
}

TEST(datagram_that_never_fits_is_flagged) {
  const auto endless = [](FakeSource* source, uint8_t* bytes, size_t capacity) -> ssize_t {
    one_socket(source, bytes, capacity);
    return static_cast<ssize_t>(capacity) + 1;
  };
  FakeSource source({{endless, end}});
  const DumpOutcome outcome = dump(&source);
  CHECK_EQ(outcome.failure.error, 0);
  CHECK(outcome.interrupted);
  CHECK_EQ(source.opened, 4);
}

TEST(socket_that_has_gone_where_the_kernel_paused_is_an_interruption) {
  FakeSource source({{one_socket, one_socket, one_socket, end}});
  source.there = 0;
  const DumpOutcome outcome = dump(&source);
  CHECK_EQ(outcome.failure.error, 0);
  CHECK(outcome.interrupted);
  // The last attempt continues to the end all the same.
  CHECK_EQ(outcome.records, 3);
  CHECK_EQ(source.opened, 4);
  CHECK_EQ(source.looked_back, 4);
}

TEST(what_is_complete_in_one_datagram_is_not_looked_back_at) {
  const auto all = answers([](Datagram* d) { d->socket(kEstablished).done(); });
  FakeSource source({{all}});
  check_complete(&source, 1, 1);
  CHECK_EQ(source.looked_back, 0);
}

// So many that a datagram may have been full, with the same cookies each time.
template <uint8_t state, int first, int count>
void fill(Datagram* datagram) {
  const uint32_t next_cookie = Datagram::next_cookie;
  Datagram::next_cookie = first;
  for (int i = 0; i < count; i++) datagram->socket(state);
  Datagram::next_cookie = next_cookie;
}

const auto full = answers(fill<kListen, 1000, 30>);
const auto next_full = answers(fill<kListen, 1030, 30>);
const auto one_less = answers(fill<kListen, 1031, 29>);
const auto one_more = answers(fill<kListen, 1030, 31>);
const auto others = answers(fill<kListen, 1100, 30>);
const auto few = answers(fill<kListen, 1000, 5>);

TEST(listeners_that_filled_a_datagram_are_listed_twice_and_compared) {
  FakeSource source({{full, next_full, end}});
  const DumpOutcome outcome = dump(&source, kListening);
  CHECK_EQ(outcome.failure.error, 0);
  CHECK(!outcome.interrupted);
  CHECK_EQ(outcome.records, 60);
  CHECK_EQ(source.opened, 2);
  CHECK_EQ(source.looked_back, 0);
  CHECK(!source.with_info);
}

TEST(listener_passed_over_where_nothing_comes_after_is_found) {
  FakeSource source({{full, end}, {full, few, end}, {full, few, end}, {full, few, end}});
  const DumpOutcome outcome = dump(&source, kListening);
  CHECK(!outcome.interrupted);
  CHECK_EQ(outcome.records, 35);
  CHECK_EQ(source.opened, 4);
}

TEST(listeners_that_come_and_go_are_listed_again) {
  for (const auto& changed : {one_less, one_more, others}) {
    FakeSource source(
        {{full, next_full, end}, {full, changed, end}, {full, changed, end}, {full, changed, end}});
    const DumpOutcome outcome = dump(&source, kListening);
    CHECK_EQ(outcome.failure.error, 0);
    CHECK(!outcome.interrupted);
    CHECK_EQ(source.opened, 4);
  }
}

TEST(listeners_that_never_stay_are_flagged) {
  std::vector<FakeSource::Script> scripts;
  for (int attempt = 0; attempt < 4; attempt++) {
    scripts.push_back({full, next_full, end});
    scripts.push_back({full, one_less, end});
  }
  FakeSource source(scripts);
  const DumpOutcome outcome = dump(&source, kListening);
  CHECK_EQ(outcome.failure.error, 0);
  CHECK(outcome.interrupted);
  CHECK_EQ(outcome.records, 60);
  CHECK_EQ(source.opened, 8);
}

TEST(second_list_of_listeners_may_fail_too) {
  FakeSource interrupted({{full, end}, {full, interrupted_end}});
  CHECK(dump(&interrupted, kListening).interrupted);
  FakeSource broken({{full, end}, {fails_with(-ENOTCONN)}});
  CHECK_EQ(dump(&broken, kListening).failure.error, -ENOTCONN);
}

TEST(listeners_that_fill_no_datagram_are_listed_once) {
  FakeSource source({{few, end}});
  CHECK_EQ(dump(&source, kListening).records, 5);
  CHECK_EQ(source.opened, 1);
}

const auto most = answers(fill<kEstablished, 2000, 30>);
const auto rest = answers(fill<kEstablished, 2031, 20>);
const auto rest_without_gap = answers(fill<kEstablished, 2030, 21>);

TEST(what_was_passed_over_in_a_list_with_a_filter_is_added_from_another) {
  FakeSource source({{most, rest, end}, {most, rest_without_gap, end}});
  const DumpOutcome outcome = dump(&source, 1 << kEstablished);
  CHECK_EQ(outcome.failure.error, 0);
  CHECK(!outcome.interrupted);
  CHECK_EQ(outcome.records, 51);
  CHECK_EQ(source.opened, 2);
  CHECK(source.with_info);
}

TEST(list_with_a_filter_that_fills_no_datagram_is_made_once) {
  FakeSource source({{one_socket, end}});
  CHECK_EQ(dump(&source, 1 << kEstablished).records, 1);
  CHECK_EQ(source.opened, 1);
}

TEST(second_list_with_a_filter_may_fail_too) {
  FakeSource interrupted({{most, end}, {most, interrupted_end}});
  CHECK(dump(&interrupted, 1 << kEstablished).interrupted);
  FakeSource broken({{most, end}, {fails_with(-ENOTCONN)}});
  CHECK_EQ(dump(&broken, 1 << kEstablished).failure.error, -ENOTCONN);
}

TEST(list_without_a_filter_is_made_once) {
  FakeSource source({{most, rest, end}});
  check_complete(&source, 1, 50);
}

TEST(listeners_come_first_and_are_none_of_the_attempts_at_the_others) {
  FakeSource source({{few, end}, {one_socket, interrupted_end}, {one_socket, one_socket, end}});
  const DumpOutcome outcome = dump(&source, kStates);
  CHECK(!outcome.interrupted);
  CHECK_EQ(outcome.records, 7);
  CHECK_EQ(source.opened, 3);
  CHECK_EQ(source.states, kConnections);
}

TEST(look_back_that_is_refused_is_a_refusal) {
  FakeSource source({{one_socket, end}});
  source.there = -ENOTCONN;
  const DumpOutcome outcome = dump(&source);
  CHECK_EQ(outcome.failure.error, -ENOTCONN);
}

TEST(signals_and_pauses_do_not_matter) {
  FakeSource source(
      {{fails_with(-EINTR), one_socket, fails_with(-EAGAIN), fails_with(-EINTR), end}});
  check_complete(&source, 1, 1);
}

TEST(what_is_left_of_an_earlier_dump_does_not_matter) {
  const auto other = answers([](Datagram* d) {
    d->sequence--;
    d->socket(kEstablished, {}, NLM_F_DUMP_INTR).message(NLMSG_ERROR, bytes_of(-EPERM)).done();
  });
  FakeSource source({{other, one_socket, other, end}});
  check_complete(&source, 1, 1);
}

void check_syscall(const DumpOutcome& outcome, const char* syscall) {
  if (syscall == nullptr) {
    CHECK(outcome.failure.syscall == nullptr);
  } else {
    CHECK_EQ(strcmp(outcome.failure.syscall, syscall), 0);
  }
}

void check_refused(FakeSource* source, int error, const char* syscall) {
  const DumpOutcome outcome = dump(source);
  CHECK_EQ(outcome.failure.error, error);
  check_syscall(outcome, syscall);
  CHECK_EQ(source->opened, 1);
}

TEST(refusals_say_where) {
  FakeSource no_socket({{end}});
  no_socket.open_error = -EPROTONOSUPPORT;
  check_refused(&no_socket, -EPROTONOSUPPORT, "socket");
  FakeSource not_sent({{end}});
  not_sent.send_error = -EPERM;
  check_refused(&not_sent, -EPERM, "sendto");
  FakeSource broken({{one_socket, fails_with(-ENOTCONN)}});
  check_refused(&broken, -ENOTCONN, "recvfrom");
  FakeSource answered({{answers([](Datagram* d) { d->message(NLMSG_ERROR, bytes_of(-ENOENT)); })}});
  check_refused(&answered, -ENOENT, nullptr);
}

TEST(cancelled_dump_ends) {
  FakeSource source({{one_socket}});
  CHECK_EQ(dump(&source, kConnections, true).failure.error, -ECANCELED);
}

ssize_t nothing_for_a_while(FakeSource*, uint8_t*, size_t) {
  usleep(100'000);
  return -EAGAIN;
}

ssize_t somebody_else(FakeSource* source, uint8_t* bytes, size_t capacity) {
  usleep(100'000);
  return answers([](Datagram* d) {
    d->sequence++;
    d->socket(kEstablished);
  })(source, bytes, capacity);
}

TEST(kernel_that_does_not_answer_is_given_up) {
  FakeSource silent({{one_socket, nothing_for_a_while}});
  check_refused(&silent, -ETIMEDOUT, "recvfrom");
}

TEST(kernel_that_answers_somebody_else_is_given_up) {
  FakeSource elsewhere({{one_socket, somebody_else}});
  check_refused(&elsewhere, -ETIMEDOUT, "recvfrom");
}

size_t list(const SocketQuery& query) {
  ByteBuffer records;
  const std::atomic<bool> cancelled = false;
  const DumpOutcome outcome = dump_sockets(query, cancelled, &records);
  CHECK_EQ(outcome.failure.error, 0);
  CHECK(!outcome.interrupted);
  return outcome.records;
}

int local_port(const Descriptor& socket) {
  sockaddr_in6 address;
  socklen_t length = sizeof(address);
  CHECK_EQ(getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
  return ntohs(address.sin6_port);  // sin_port is at the same place
}

// Another connection may have the same port on another address.
TEST(both_ends_of_a_connection_and_its_listener_are_listed) {
  enter_own_loopback();
  for (const Path path : kPaths) {
    const Connection connection(path);
    SocketQuery query = everything();
    query.local.port = local_port(connection.listener);
    CHECK_EQ(list(query), 2);
    query.states = 1 << kEstablished;
    CHECK_EQ(list(query), 1);
    query = everything();
    query.remote.port = local_port(connection.listener);
    CHECK_EQ(list(query), 1);
    query.local.port = local_port(connection.client);
    CHECK_EQ(list(query), 1);
    (path == Path::kIpv4 ? query.ipv4 : query.ipv6) = false;
    CHECK_EQ(list(query), 0);
  }
}

TEST(prefix_of_ipv4_finds_what_talks_ipv4) {
  enter_own_loopback();
  for (const Path path : kPaths) {
    const Connection connection(path);
    SocketQuery query = everything();
    query.remote.port = local_port(connection.listener);
    query.remote.family = AF_INET;
    query.remote.prefix_length = 8;
    query.remote.address = {127, 255, 255, 255};
    CHECK_EQ(list(query), path == Path::kIpv6 ? 0 : 1);
    query.remote.address = {126, 255, 255, 255};
    CHECK_EQ(list(query), 0);
  }
}

TEST(listing_without_descriptors_is_refused) {
  allow_more_descriptors(false);
  ByteBuffer records;
  const std::atomic<bool> cancelled = false;
  const DumpOutcome outcome = dump_sockets(everything(), cancelled, &records);
  allow_more_descriptors(true);
  CHECK_EQ(outcome.failure.error, -EMFILE);
  check_syscall(outcome, "socket");
}

}  // namespace

}  // namespace deadpeer
