import { fileURLToPath } from 'node:url'

const src = fileURLToPath(new URL('src/', import.meta.url))

// One file for all but these: Node takes over half a millisecond for each module that an import leads to. What only some entry points
// need is apart from it, since reading that takes as long, or takes other modules than the library does.
const apart = [
  'cli/',
  'http/',
  'metrics/',
  'net-keepalive.ts',
  'path/drawing.ts',
  'path/index.ts',
  'path/judge.ts',
  'path/live.ts',
  'path/timeline.ts',
  'register.ts',
  'register/',
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
