// Fuzzes the code that decodes the kernel's bytes, with libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer, one target after the other, for
// so many seconds in all:
//   npm run fuzz [-- seconds]
// Each run starts from corpus/. Inputs that reach new code are kept in build/fuzz; with --merge, as many of them as needed are added to corpus/.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const { values: options, positionals } = parseArgs({
  options: { merge: { type: 'boolean', default: false } },
  allowPositionals: true,
})
const seconds = Number(positionals[0] ?? 60)

process.chdir(fileURLToPath(new URL('../..', import.meta.url)))

const compiler = process.env.CLANG_CXX || 'clang++'
const flags = '-std=c++17 -O1 -g -fno-exceptions -fno-rtti -Wall -Wextra -Werror -Inative'.split(' ')
const sanitizers = ['-fsanitize=fuzzer,address,undefined', '-fno-sanitize-recover=all']
const core = readdirSync('native/core')
  .filter((file) => file.endsWith('.cc'))
  .map((file) => `native/core/${file}`)

/** The seeds of each target, in addition to its corpus: bytes by name. */
const targets = { sock_diag: recordedDatagrams, sock_destroy: acknowledgements, tcp_info: recordedTcpInfo }

function run(command, args) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' })
  if (error) {
    const hint = error.code === 'ENOENT' ? ' (Debian: apt-get install clang)' : ''
    console.error(`${command}: ${error.message}${hint}`)
    process.exit(1)
  }
  if (status !== 0) process.exit(1)
}

/** The fuzzer's own choices come first: sequence, port, and no cut. */
function* recordedDatagrams() {
  const folder = 'test/fixtures/sock-diag'
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.dump'))) {
    let rest = readFileSync(`${folder}/${name}`)
    for (let i = 0; rest.length > 0; i++) {
      const length = rest.readUInt32LE()
      const datagram = rest.subarray(4, 4 + length)
      const identity = datagram.subarray(8, 16)
      yield [`${name}-${i}`, Buffer.concat([identity, Buffer.alloc(4), datagram])]
      rest = rest.subarray(4 + length)
    }
  }
}

const NLMSG_ERROR = 2

/** After the sequence and no cut come a reply to another request, and ours. */
function* acknowledgements() {
  const acknowledge = (sequence, error) => {
    const message = Buffer.alloc(36)
    message.writeUInt32LE(message.length)
    message.writeUInt16LE(NLMSG_ERROR, 4)
    message.writeUInt32LE(sequence, 8)
    message.writeInt32LE(error, 16)
    return message
  }
  for (const error of [0, -2]) {
    const choice = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0])
    yield [`ack${error}`, Buffer.concat([choice, acknowledge(2, -1), acknowledge(1, error)])]
  }
}

/** Four fields come first: offset, width, shift, bits and least length of each. */
function* recordedTcpInfo() {
  const recorded = JSON.parse(readFileSync('test/unit/fixtures/tcp-info-linux-6.18.json', 'utf8'))
  const fields = [
    [6, 1, 4, 4, 104],
    [242, 2, 0, 0, 248],
    [56, 4, 0, 0, 104],
    [120, 8, 0, 0, 280],
  ]
  const places = Buffer.from(Uint32Array.from(fields.flat()).buffer)
  for (const [i, { bytes }] of Object.values(recorded).entries()) {
    yield [`recorded-${i}`, Buffer.concat([places, Buffer.from(bytes, 'hex')])]
  }
}

function build(target) {
  const program = `build/fuzz/${target}`
  run(compiler, [...flags, ...sanitizers, `test/fuzz/${target}_fuzz.cc`, ...core, '-o', program])
  return program
}

function fuzz(target, seeds, secondsOfIt) {
  const corpus = `test/fuzz/corpus/${target}`
  const found = `build/fuzz/corpus/${target}`
  mkdirSync(corpus, { recursive: true })
  mkdirSync(found, { recursive: true })
  for (const [name, bytes] of seeds()) writeFileSync(`${found}/${name}`, bytes)
  const program = build(target)
  console.log(`# ${target}`)
  if (options.merge) run(program, ['-merge=1', corpus, found])
  else {
    run(program, [
      `-max_total_time=${secondsOfIt}`,
      '-max_len=8192',
      '-timeout=5',
      '-verbosity=0',
      '-print_final_stats=1',
      `-artifact_prefix=build/fuzz/${target}-`,
      found,
      corpus,
    ])
  }
}

// The dump decoder is the largest: it gets the time that the others leave. They take at least a second each.
const each = Math.max(1, Math.floor(seconds / 6))
const names = Object.keys(targets)
for (const [target, seeds] of Object.entries(targets)) {
  fuzz(target, seeds, target === 'sock_diag' ? Math.max(1, seconds - each * (names.length - 1)) : each)
}
