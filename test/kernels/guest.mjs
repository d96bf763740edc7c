// Runs inside the machine that test/kernels/run.mjs starts:
//   guest.mjs before-modules                      checks the error on a kernel without sock_diag
//   guest.mjs --untimed|--timed [part of a test file's name …]
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import net from 'node:net'
import { release } from 'node:os'
import { fileURLToPath } from 'node:url'
import { listSockets } from '../../dist/host/index.js'
import { capabilities, inspect } from '../../dist/index.js'
import { runVitest } from '../vitest.mjs'

// In an emulated machine everything takes ten times as long or more. So tests of timing (probes, heartbeats, deaths to a tenth of a second), and
// tests of Node rather than the kernel (agents, undici, register, the demo), run only on a real processor: run.mjs --kvm.
const whenEmulated = [
  'borrowed', // another process's descriptors
  'connecting', // options before and after the handshake
  'deaths', // when the kernel ends a connection: here only that it does, and why
  'descriptor-reuse', // cookies
  'descriptors-exhausted',
  'destroy', // SOCK_DESTROY
  'host', // the kernel's counters
  'impairments', // filters
  'list-sockets', // dumps
  'mptcp', // options that it does not have
  'options', // options
  'probe-arguments',
  'server', // inheritance
  'targets',
  'tcp-info', // its length
  'tune-all',
  'tuning-never-kills', // the kernel's timers when options are written
  'watch', // epoll
]
const leftOut = [
  'costs no system call per connection', // strace: six minutes
  '4,000 healthy connections', // must be written in less time than the connections have been idle
]

// Tests side by side would delay each other.
const patience = [
  ...['--testTimeout=600000', '--hookTimeout=600000', '--maxConcurrency=8', '--maxWorkers=1'],
  `--testNamePattern=^(?!.*(${leftOut.join('|')}))`,
]

const [how, ...tests] = process.argv.slice(2)
const root = fileURLToPath(new URL('../..', import.meta.url))
process.chdir(root)

if (how === 'before-modules') await withoutSockDiag()
else await everything()

async function withoutSockDiag() {
  const refusal = await listSockets().catch((error) => error)
  console.log(`# without sock_diag: ${refusal.code}: ${refusal.message}`)
}

async function everything() {
  await sayWhatIsThere()
  const native = tests.length > 0 ? { passed: 0, failed: 0, skipped: 0 } : await runNative()
  if (tests.length === 0) {
    console.log(`# native: ${native.passed} passed, ${native.failed} failed, ${native.skipped} skipped`)
  }
  const isTimed = how === '--timed'
  const files = tests.length > 0 ? tests : isTimed ? ['test/loopback/'] : whenEmulated.map(fileOf)
  // The console is a terminal, but no user sits at it.
  const env = { CI: '1', ...(!isTimed && { DEADPEER_TEST_UNTIMED: '1' }) }
  const loopback = runVitest([...(isTimed ? [] : patience), ...files], env)
  const sum = (key) => native[key] + loopback[key]
  console.log(`${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`)
}

function fileOf(name) {
  return `test/loopback/${name}.test.ts`
}

/** What this kernel lacks. run.mjs compares it with the known facts about the kernel. */
async function sayWhatIsThere() {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = net.connect(server.address().port, '127.0.0.1')
  await once(socket, 'connect')
  const core = createRequire(import.meta.url)(`${root}/build/Release/deadpeer.node`)
  const length = core.readTcpInfo(socket._handle.fd, new Uint8Array(1024))
  const { info } = inspect(socket)
  const absent = Object.keys(info).filter((name) => info[name] === undefined)
  const options = Object.entries(capabilities().options).filter(([, is]) => !is)
  console.log(`# Linux ${release()}, Node ${process.version}: tcp_info has ${length} bytes`)
  console.log(`# fields that it does not have: ${absent.join(', ') || 'none'}`)
  console.log(`# options that it does not have: ${options.map(([name]) => name).join(', ') || 'none'}`)
  socket.destroy()
  server.close()
}

/** The tests that test/native/run.mjs has built, each in a separate process. */
async function runNative() {
  const count = { passed: 0, failed: 0, skipped: 0 }
  const names = spawnSync('./native-tests', { encoding: 'utf8' }).stdout.trim().split('\n')
  const run = async (name) => {
    const child = spawn('./native-tests', [name], { stdio: ['ignore', 'pipe', 'inherit'], timeout: 300_000 })
    let why = ''
    child.stdout.setEncoding('utf8').on('data', (text) => {
      why += text
    })
    const [code, signal] = await once(child, 'close')
    // The exit codes of check.h.
    const outcome = code === 0 ? 'passed' : code === 77 ? 'skipped' : 'failed'
    count[outcome]++
    if (outcome !== 'passed')
      console.log(`${outcome.toUpperCase()} native ${name}: ${why.trim() || signal || code}`)
  }
  // Most tests wait for the kernel and use little CPU time.
  for (let at = 0; at < names.length; at += 8) await Promise.all(names.slice(at, at + 8).map(run))
  return count
}
