#include <cstdio>
#include <cstring>

#include "check.h"

// Without an argument it prints the names of all tests. With a name it runs that test.
int main(int count, char** arguments) {
  for (const Test* test = Test::first; test != nullptr; test = test->next) {
    if (count < 2) {
      puts(test->name);
    } else if (strcmp(arguments[1], test->name) == 0) {
      test->run();
      return 0;
    }
  }
  return count < 2 ? 0 : kFailed;
}
