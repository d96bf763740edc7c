#pragma once

#include <initializer_list>
#include <utility>

#include "core/descriptor.h"
#include "core/options.h"

namespace deadpeer {

using Field = std::pair<Option, int>;

Settings profile(std::initializer_list<Field> fields);

// Two profiles with every option that this kernel has. No value is the same in both, or equals a
// system's default.
Settings one_profile();
Settings another_profile();

Settings without(Settings settings, Option option);

// Skips the test if the kernel does not have the option.
void need(Option option);

Settings read_all(const Descriptor& socket);

// Fails with the name of the first option that reads back as another value.
void check_reads_back(const Descriptor& socket, const Settings& expected);

void check_applied(const Descriptor& socket, const Settings& settings);
void check_taken(const Refusal& refusal);
void check_refused(const Refusal& refusal, int error, Option option);

}  // namespace deadpeer
