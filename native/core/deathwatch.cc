#include "core/deathwatch.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>

#include <algorithm>

#include "core/socket.h"
#include "core/tcp_info.h"
#include "core/thread.h"

namespace deadpeer {

namespace {

// Errors and hang-ups come unasked. Data does not wake the thread.
constexpr uint32_t kWanted = EPOLLRDHUP | EPOLLET;

// No connection's id: those count from 1.
constexpr uint64_t kNone = 0;
constexpr uint64_t kStop = kNone;

constexpr int kEventsAtOnce = 64;

// The kernel is short of something just now, or somebody in between says so. Linux itself never
// does, to these calls; but what is sighted once is not sighted again, so it is worth another try.
constexpr int kTries = 10;
constexpr timespec kBetweenTries = {0, 10'000'000};

// Most orderly closes are over by then: Node has closed the descriptor, and there is nothing to
// read or report. To wake up for each close would cost more than all the rest of watching.
constexpr timespec kBeforeOrderly = {0, 500'000};

bool may_pass(int error) {
  return error == -EINTR || error == -ENOMEM || error == -ENOBUFS || error == -EMFILE ||
         error == -ENFILE;
}

// As Sighting has them. Returns 0 or -errno; -ESTALE: the number is another socket's by now.
int read_sighting(int fd, uint64_t cookie, Sighting* sighting) {
  if (int error = check_cookie(fd, cookie)) return error;
  sighting->length = read_tcp_info(fd, sighting->info.data(), sighting->info.size());
  if (sighting->length < 0) return sighting->length;
  // Zero where the kernel does not say.
  sighting->unread = 0;
  ioctl(fd, SIOCINQ, &sighting->unread);
  return check_cookie(fd, cookie);
}

// The peer has closed its side, and nothing is over yet: known by nothing else once it is.
bool is_mere_close(const Sighting& sighting) {
  return sighting.events == EPOLLRDHUP;
}

// The peer has closed its side, or both sides have closed: no error, and not the stop signal.
bool is_orderly(const epoll_event& event) {
  return (event.events & (EPOLLERR | EPOLLIN)) == 0;
}

int control(int epoll, int operation, int fd, uint32_t events, uint64_t id) {
  epoll_event event = {};
  event.events = events;
  event.data.u64 = id;
  return epoll_ctl(epoll, operation, fd, &event) == 0 ? 0 : -errno;
}

}  // namespace

Deathwatch::~Deathwatch() {
  close();
}

void Deathwatch::close() {
  stop();
  entries_.clear();
  sightings_.clear();
  newest_.clear();
}

int Deathwatch::add(int fd, uint64_t* id) {
  // An option that only TCP has, instead of three that say what kind of socket it is.
  int no_delay;
  if (int error = get_int(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay)) return error;
  uint64_t cookie;
  if (int error = read_cookie(fd, &cookie)) return error;
  if (int error = start()) return error;
  const uint64_t fresh = ++last_id_;
  {
    // Before epoll has it, so that the thread finds it however soon it looks.
    const std::lock_guard lock(mutex_);
    entries_.emplace(fresh, Entry{cookie, fd, 1, 0});
  }
  *id = fresh;
  const int error = control(epoll_.get(), EPOLL_CTL_ADD, fd, kWanted, fresh);
  if (error == 0) {
    newest_of(fd) = fresh;
    return 0;
  }
  {
    const std::lock_guard lock(mutex_);
    entries_.erase(fresh);
  }
  // As it was added, so that what has been sighted already is sighted for the newcomer as well.
  if (error == -EEXIST && add_reference(fd, cookie, id)) {
    control(epoll_.get(), EPOLL_CTL_MOD, fd, kWanted, *id);
    return 0;
  }
  if (entries_.empty()) stop();
  return error;
}

bool Deathwatch::add_reference(int fd, uint64_t cookie, uint64_t* id) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(newest_of(fd));
  if (found == entries_.end() || found->second.cookie != cookie) return false;
  found->second.references++;
  *id = found->first;
  return true;
}

uint64_t& Deathwatch::newest_of(int fd) {
  const auto index = static_cast<size_t>(fd);
  if (newest_.size() <= index) newest_.resize(std::max(index + 1, 2 * newest_.size()), kNone);
  return newest_[index];
}

void Deathwatch::remove(uint64_t id) {
  Entry entry;
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(id);
    if (found == entries_.end() || --found->second.references > 0) return;
    entry = found->second;
    entries_.erase(found);
  }
  // A descriptor that was closed has left the set by itself. Its number may be in it again, for
  // whoever was added with it since.
  if (newest_of(entry.fd) == id) {
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, entry.fd, nullptr);
  }
  if (entries_.empty()) stop();
}

std::vector<Sighting> Deathwatch::take() {
  std::vector<Sighting> taken;
  const std::lock_guard lock(mutex_);
  taken.swap(sightings_);
  const auto is_dropped = [this](const Sighting& sighting) {
    return entries_.count(sighting.id) == 0;
  };
  taken.erase(std::remove_if(taken.begin(), taken.end(), is_dropped), taken.end());
  for (const Sighting& sighting : taken) entries_.find(sighting.id)->second.sighted = 0;
  return taken;
}

int Deathwatch::start() {
  if (running_) return 0;
  epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  if (epoll_.get() < 0) return -errno;
  stop_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  int error =
      stop_.get() < 0 ? -errno : control(epoll_.get(), EPOLL_CTL_ADD, stop_.get(), EPOLLIN, kStop);
  if (error == 0) error = start_thread(&thread_, run, this);
  running_ = error == 0;
  if (running_) return 0;
  stop_.reset();
  epoll_.reset();
  return error;
}

void Deathwatch::stop() {
  if (!running_) return;
  // Cannot fail: the counter is far from full.
  eventfd_write(stop_.get(), 1);
  pthread_join(thread_, nullptr);
  running_ = false;
  stop_.reset();
  epoll_.reset();
}

void* Deathwatch::run(void* self) {
  auto* watch = static_cast<Deathwatch*>(self);
  const int epoll = watch->epoll_.get();
  epoll_event events[kEventsAtOnce];
  for (;;) {
    const int count = epoll_wait(epoll, events, kEventsAtOnce, -1);
    if (count < 0) {
      // Somebody has closed a descriptor that is not theirs: better blind than spinning.
      if (!may_pass(-errno)) return nullptr;
      if (errno != EINTR) nanosleep(&kBetweenTries, nullptr);
    }
    if (count > 0 && std::all_of(events, events + count, is_orderly)) {
      nanosleep(&kBeforeOrderly, nullptr);
    }
    for (int i = 0; i < count; i++) {
      if (events[i].data.u64 == kStop) return nullptr;
      watch->sight(events[i].data.u64, events[i].events);
    }
  }
}

void Deathwatch::sight(uint64_t id, uint32_t events) {
  Entry entry;
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(id);
    if (found == entries_.end()) return;
    entry = found->second;
  }
  Sighting sighting;
  sighting.id = id;
  sighting.events = events;
  int error = read_sighting(entry.fd, entry.cookie, &sighting);
  for (int tries = 1; may_pass(error) && tries < kTries; tries++) {
    nanosleep(&kBetweenTries, nullptr);
    error = read_sighting(entry.fd, entry.cookie, &sighting);
  }
  if (error != 0) return;
  // The peer's FIN alone woke the thread, so this is the state that the connection was in. A reset
  // since is an event of its own.
  if (is_mere_close(sighting) && sighting.info[0] == TCP_CLOSE) sighting.info[0] = TCP_CLOSE_WAIT;
  keep(sighting);
}

void Deathwatch::keep(const Sighting& sighting) {
  bool first;
  {
    const std::lock_guard lock(mutex_);
    // Not if it was removed meanwhile.
    const auto found = entries_.find(sighting.id);
    if (found == entries_.end()) return;
    Entry& entry = found->second;
    first = sightings_.empty();
    Sighting* last = entry.sighted > 0 ? &sightings_[entry.sighted - 1] : nullptr;
    if (last != nullptr && (!is_mere_close(*last) || is_mere_close(sighting))) {
      *last = sighting;
    } else {
      sightings_.push_back(sighting);
      entry.sighted = static_cast<uint32_t>(sightings_.size());
    }
  }
  if (first) wake_(context_);
}

}  // namespace deadpeer
