{
  "targets": [
    {
      "target_name": "reference",
      "sources": ["reference.c"],
      "defines": ["NAPI_VERSION=8", "_GNU_SOURCE"],
      "cflags": ["-O3", "-Wall", "-Wextra", "-Werror"]
    }
  ]
}
