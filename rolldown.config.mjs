import { fileURLToPath } from 'node:url'

const src = fileURLToPath(new URL('src/', import.meta.url))

// One file for all modules but these, since Node takes over half a millisecond for each file that an import loads. These are apart from it:
// `import 'deadpeer'` does not use them, and reading them takes time too.
const apart = [
  'cli/',
  'host/',
  'http/',
  'kernel/counter-rates.ts',
  'kernel/counters.ts',
  'kernel/liveness-counters.ts',
  'kernel/proc-net.ts',
  'kernel/sock-destroy.ts',
  'kernel/sock-diag.ts',
  'metrics/',
  'net-keepalive.ts',
  'path/drawing.ts',
  'path/index.ts',
  'path/judge.ts',
  'path/live.ts',
  'path/measure/',
  'path/timeline.ts',
  'profile/time-left.ts',
  'profile/timings.ts',
  'register.ts',
  'register/',
  'testing/',
  'undici/',
].map((part) => src + part)

export default {
  input: {
    index: 'src/index.ts',
    'host/index': 'src/host/index.ts',
    'http/index': 'src/http/index.ts',
    'metrics/index': 'src/metrics/index.ts',
    'net-keepalive': 'src/net-keepalive.ts',
    'path/index': 'src/path/index.ts',
    register: 'src/register.ts',
    'undici/index': 'src/undici/index.ts',
    'testing/index': 'src/testing/index.ts',
    'cli/main': 'src/cli/main.ts',
  },
  platform: 'node',
  external: ['node-gyp-build', 'commander', 'prom-client', 'undici'],
  output: {
    dir: 'dist',
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name].js',
    // What they say is in the declarations. Here it would be read at each start.
    comments: { jsdoc: false },
    codeSplitting: {
      groups: [{ name: 'core', test: isCore }],
    },
  },
}

function isCore(file) {
  return file.startsWith(src) && !apart.some((part) => file.startsWith(part))
}
