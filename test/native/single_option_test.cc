#include <errno.h>

#include "check.h"
#include "core/options.h"
#include "loopback.h"

namespace deadpeer {

namespace {

TEST(one_option_in_the_kernels_units) {
  const Connection connection(Path::kIpv4);
  const int fd = connection.client.get();
  int value = 0;
  CHECK_EQ(set_in_kernel_unit(fd, kInterval, 7), 0);
  CHECK_EQ(get_in_kernel_unit(fd, kInterval, &value), 0);
  CHECK_EQ(value, 7);
  CHECK_EQ(set_in_kernel_unit(fd, kUserTimeout, 1234), 0);
  CHECK_EQ(get_in_kernel_unit(fd, kUserTimeout, &value), 0);
  CHECK_EQ(value, 1234);
}

TEST(one_option_is_judged_by_the_kernel) {
  const Connection connection(Path::kIpv4);
  const int fd = connection.client.get();
  int value = 0;
  CHECK_EQ(set_in_kernel_unit(fd, kInterval, 7), 0);
  CHECK_EQ(set_in_kernel_unit(fd, kInterval, 0), -EINVAL);
  CHECK_EQ(set_in_kernel_unit(fd, kInterval, 32768), -EINVAL);
  CHECK_EQ(get_in_kernel_unit(fd, kInterval, &value), 0);
  CHECK_EQ(value, 7);
  CHECK_EQ(set_in_kernel_unit(-1, kInterval, 7), -EBADF);
  CHECK_EQ(get_in_kernel_unit(-1, kInterval, &value), -EBADF);
}

}  // namespace

}  // namespace deadpeer
