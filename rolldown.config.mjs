import { fileURLToPath } from 'node:url'

const src = fileURLToPath(new URL('src/', import.meta.url))

// One file for all but the shell: Node takes over half a millisecond for each module that an import leads to. What only `deadpeer/plan`
// needs is apart from it, since reading that takes as long.
const apart = ['cli/', 'plan.ts', 'plan/', 'path/timeline.ts', 'path/drawing.ts', 'path/judge.ts'].map(
  (part) => src + part,
)

export default {
  input: {
    index: 'src/index.ts',
    host: 'src/host.ts',
    plan: 'src/plan.ts',
    'testing/index': 'src/testing/index.ts',
    'cli/main': 'src/cli/main.ts',
  },
  platform: 'node',
  external: ['node-gyp-build', 'commander'],
  output: {
    dir: 'dist',
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name].js',
    codeSplitting: {
      groups: [{ name: 'core', test: isCore }],
    },
  },
}

function isCore(file) {
  return file.startsWith(src) && !apart.some((part) => file.startsWith(part))
}
