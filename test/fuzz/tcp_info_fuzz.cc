#include <cmath>
#include <cstring>
#include <iterator>

#include "core/tcp_info.h"

using deadpeer::Field;

// The first bytes are fields, sound or not. The rest is what the kernel filled in.
struct Choice {
  Field fields[4];
};

void check(const Field& field, double value, size_t length) {
  if (field.length > length) {
    if (!std::isnan(value)) __builtin_trap();
    return;
  }
  const double limit =
      std::ldexp(1, static_cast<int>(field.bits == 0 ? 8 * field.width : field.bits));
  // The largest 64-bit values are rounded to the limit.
  if (!(value >= 0 && (field.width == 8 ? value <= limit : value < limit))) __builtin_trap();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Choice choice;
  if (size < sizeof(choice)) return 0;
  memcpy(&choice, data, sizeof(choice));
  data += sizeof(choice);
  size -= sizeof(choice);

  Field sound[std::size(choice.fields)];
  size_t count = 0;
  for (const Field& field : choice.fields) {
    if (deadpeer::is_sound(field)) sound[count++] = field;
  }
  double values[std::size(choice.fields)];
  deadpeer::pick_fields(data, static_cast<int>(size), sound, count, values);
  for (size_t i = 0; i < count; i++) check(sound[i], values[i], size);
  // A socket that could not be read.
  deadpeer::pick_fields(nullptr, -9, sound, count, values);
  for (size_t i = 0; i < count; i++) check(sound[i], values[i], 0);
  return 0;
}
