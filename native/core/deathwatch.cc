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

// epoll always reports errors and hang-ups. Data does not wake the thread.
constexpr uint32_t kWanted = EPOLLRDHUP | EPOLLET;

// This is not the id of a connection: those count from 1.
constexpr uint64_t kNone = 0;
constexpr uint64_t kStop = kNone;

constexpr int kEventsAtOnce = 64;

// Linux itself never fails these calls for lack of resources, but a sandbox may. An edge is
// reported only once, so the read is tried again.
constexpr int kTries = 10;
constexpr timespec kBetweenTries = {0, 10'000'000};

bool may_pass(int error) {
  return error == -EINTR || error == -ENOMEM || error == -ENOBUFS || error == -EMFILE ||
         error == -ENFILE;
}

// Fills a KernelEvent. Returns 0 or -errno; -ESTALE: the number now belongs to another socket.
int read_event(int fd, uint64_t cookie, KernelEvent* event) {
  if (int error = check_cookie(fd, cookie)) return error;
  event->length = read_tcp_info(fd, event->info.data(), event->info.size());
  if (event->length < 0) return event->length;
  // It stays zero if the kernel does not report it.
  event->unread = 0;
  ioctl(fd, SIOCINQ, &event->unread);
  return check_cookie(fd, cookie);
}

// Whether the event reports only that the peer has closed its side. Such an event is kept: after
// the connection has ended, no other value shows that the peer had closed.
bool is_mere_close(const KernelEvent& event) {
  return event.events == EPOLLRDHUP;
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
  waiting_.clear();
  newest_.clear();
}

int Deathwatch::add(int fd, uint64_t* id) {
  // Only TCP has this option, so one call checks the kind of socket instead of three.
  int no_delay;
  if (int error = get_int(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay)) return error;
  uint64_t cookie;
  if (int error = read_cookie(fd, &cookie)) return error;
  if (int error = start()) return error;
  const uint64_t fresh = ++last_id_;
  {
    // Done before epoll_ctl(), so that the thread finds the entry even if an event comes at once.
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
  // Registers it as new, so that this caller also gets what the kernel has already reported.
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
  // A closed descriptor has left the set by itself. Another descriptor may have the same number,
  // and be in the set under a newer id.
  if (newest_of(entry.fd) == id) {
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, entry.fd, nullptr);
  }
  if (entries_.empty()) stop();
}

std::vector<KernelEvent> Deathwatch::take() {
  std::vector<KernelEvent> taken;
  const std::lock_guard lock(mutex_);
  taken.swap(waiting_);
  const auto is_dropped = [this](const KernelEvent& event) {
    return entries_.count(event.id) == 0;
  };
  taken.erase(std::remove_if(taken.begin(), taken.end(), is_dropped), taken.end());
  for (const KernelEvent& event : taken) entries_.find(event.id)->second.waiting = 0;
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
      // The program has closed a descriptor that is not its own. The thread stops, to avoid an
      // endless loop.
      if (!may_pass(-errno)) return nullptr;
      if (errno != EINTR) nanosleep(&kBetweenTries, nullptr);
    }
    for (int i = 0; i < count; i++) {
      if (events[i].data.u64 == kStop) return nullptr;
      watch->observe(events[i].data.u64, events[i].events);
    }
  }
}

void Deathwatch::observe(uint64_t id, uint32_t events) {
  Entry entry;
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(id);
    if (found == entries_.end()) return;
    entry = found->second;
  }
  KernelEvent event;
  event.id = id;
  event.events = events;
  int error = read_event(entry.fd, entry.cookie, &event);
  for (int tries = 1; may_pass(error) && tries < kTries; tries++) {
    nanosleep(&kBetweenTries, nullptr);
    error = read_event(entry.fd, entry.cookie, &event);
  }
  if (error == 0) keep(event);
}

void Deathwatch::keep(const KernelEvent& event) {
  bool first;
  {
    const std::lock_guard lock(mutex_);
    // It may have been removed meanwhile.
    const auto found = entries_.find(event.id);
    if (found == entries_.end()) return;
    Entry& entry = found->second;
    first = waiting_.empty();
    KernelEvent* last = entry.waiting > 0 ? &waiting_[entry.waiting - 1] : nullptr;
    if (last != nullptr && (!is_mere_close(*last) || is_mere_close(event))) {
      *last = event;
    } else {
      waiting_.push_back(event);
      entry.waiting = static_cast<uint32_t>(waiting_.size());
    }
  }
  if (first) wake_(context_);
}

}  // namespace deadpeer
