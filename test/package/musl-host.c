// Loads the addon on musl without Node. Every symbol must be found, and the initialization must run
// to its end. Node-API is stubs.c, where every call succeeds and does nothing, and this file, which
// prints the names that the addon offers.
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>

static char exports;

int napi_set_named_property(void* env, void* object, const char* name, void* value) {
  (void)env, (void)value;
  if (object == &exports) puts(name);
  return 0;
}

int main(int count, char** arguments) {
  if (count != 2) return 2;
  void* addon = dlopen(arguments[1], RTLD_NOW);
  if (!addon) return fprintf(stderr, "%s\n", dlerror()), 1;
  int32_t (*version)(void) = (int32_t(*)(void))dlsym(addon, "node_api_module_get_api_version_v1");
  void* (*initialize)(void*, void*) =
      (void* (*)(void*, void*))dlsym(addon, "napi_register_module_v1");
  if (!version || !initialize) return fprintf(stderr, "%s\n", dlerror()), 1;
  if (version() != 8) return fprintf(stderr, "Node-API %d\n", version()), 1;
  char env;
  initialize(&env, &exports);
  return 0;
}
