{
  "targets": [
    {
      "target_name": "deadpeer",
      "conditions": [
        ["OS=='linux'", {
          "sources": [
            "native/core/addresses.cc",
            "native/core/borrow.cc",
            "native/core/deathwatch.cc",
            "native/core/exec.cc",
            "native/core/filter.cc",
            "native/core/keepalive_timer.cc",
            "native/core/liveness.cc",
            "native/core/network_namespace.cc",
            "native/core/options.cc",
            "native/core/probe_filter.cc",
            "native/core/sock_diag.cc",
            "native/core/sock_diag_reply.cc",
            "native/core/sock_diag_request.cc",
            "native/core/sock_destroy.cc",
            "native/core/socket.cc",
            "native/core/tcp_info.cc",
            "native/core/thread.cc",
            "native/core/tune.cc",
            "native/binding/addon.cc",
            "native/binding/deathwatch_binding.cc",
            "native/binding/liveness_binding.cc",
            "native/binding/network_namespace_binding.cc",
            "native/binding/options_binding.cc",
            "native/binding/process_binding.cc",
            "native/binding/sock_diag_binding.cc",
            "native/binding/socket_binding.cc"
          ],
          "include_dirs": ["native"],
          "defines": [
            "DEADPEER_SOURCES=\"<!(node -e \"import('./native/sources.mjs').then(({ sourcesHash }) => console.log(sourcesHash()))\")\"",
            "NAPI_VERSION=8",
            "NAPI_DISABLE_CPP_EXCEPTIONS",
            "NODE_ADDON_API_DISABLE_DEPRECATED",
            "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS",
            "NODE_API_NO_EXTERNAL_BUFFERS_ALLOWED"
          ],
          "cflags_cc!": ["-std=gnu++14", "-std=gnu++17", "-std=gnu++20", "-fexceptions"],
          "cflags_cc": [
            "-isystem",
            "<!(node -p \"require('node-addon-api').include.slice(1, -1)\")",
            "-std=c++17",
            "-fno-exceptions",
            "-fno-rtti",
            "-fvisibility=hidden",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Wshadow",
            "-Wconversion",
            "-Werror"
          ]
        }, {
          "type": "none"
        }]
      ]
    }
  ]
}
