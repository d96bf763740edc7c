// Fuzzes what reads bytes of the kernel's, with libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer:
//   npm run fuzz [-- seconds]
// corpus/ is where each run starts; what this one finds that goes further is kept in build/fuzz. With --merge, as much of
// that as is needed is added to corpus/.
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
const corpus = 'test/fuzz/corpus/sock_diag'
const found = 'build/fuzz/corpus/sock_diag'
const program = 'build/fuzz/sock_diag'

function run(command, args) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' })
  if (error) {
    const hint = error.code === 'ENOENT' ? ' (Debian: apt-get install clang)' : ''
    console.error(`${command}: ${error.message}${hint}`)
    process.exit(1)
  }
  if (status !== 0) process.exit(1)
}

/** Recorded datagrams, each behind what the fuzzer chooses: sequence, port, and no cut. */
function seed() {
  const folder = 'test/fixtures/sock-diag'
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.dump'))) {
    let rest = readFileSync(`${folder}/${name}`)
    for (let i = 0; rest.length > 0; i++) {
      const length = rest.readUInt32LE()
      const datagram = rest.subarray(4, 4 + length)
      const identity = datagram.subarray(8, 16)
      writeFileSync(`${found}/${name}-${i}`, Buffer.concat([identity, Buffer.alloc(4), datagram]))
      rest = rest.subarray(4 + length)
    }
  }
}

mkdirSync(corpus, { recursive: true })
mkdirSync(found, { recursive: true })
seed()
run(compiler, [
  ...flags,
  ...sanitizers,
  'test/fuzz/sock_diag_fuzz.cc',
  'native/core/sock_diag_reply.cc',
  '-o',
  program,
])
if (options.merge) run(program, ['-merge=1', corpus, found])
else {
  run(program, [
    `-max_total_time=${seconds}`,
    '-max_len=8192',
    '-timeout=5',
    '-print_final_stats=1',
    '-artifact_prefix=build/fuzz/',
    found,
    corpus,
  ])
}
