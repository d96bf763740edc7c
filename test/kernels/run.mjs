// Runs the native tests and the loopback suite on other kernels, each in a virtual machine with only Node, this project and a shell:
//   npm run test:kernels [-- [--kernel 6.1 …] [--kvm] [part of a test file's name …]]
//
// Needs qemu-system-x86_64, busybox (static), cpio, and apt's sources for the kernels; no privileges. The processor is emulated, and tests do not
// check times. With --kvm it is real, and they do. Even if /dev/kvm exists it may not work inside a virtual machine.
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, stripVTControlCharacters } from 'node:util'
import { makeImage } from './image.mjs'
import { fetchKernel, kernels } from './packages.mjs'

process.chdir(fileURLToPath(new URL('../..', import.meta.url)))

const { values: options, positionals: tests } = parseArgs({
  options: { kernel: { type: 'string', multiple: true }, kvm: { type: 'boolean', default: false } },
  allowPositionals: true,
})
const chosen = kernels.filter(({ name }) => !options.kernel || options.kernel.includes(name))
if (chosen.length === 0)
  throw new Error(`--kernel must be one of these: ${kernels.map(({ name }) => name).join(', ')}.`)

const emulated = !options.kvm
// From power-on to power-off.
const patience = emulated ? 3_600_000 : 900_000

/** Starts the machine and shows its output. Returns the output once the machine has switched itself off. */
async function boot(kernel, image) {
  const words = ['console=ttyS0', 'quiet', 'panic=-1', `deadpeer.times=${emulated ? 'untimed' : 'timed'}`]
  if (tests.length > 0) words.push(`deadpeer.tests=${tests.join(',')}`)
  const machine = spawn(
    'qemu-system-x86_64',
    [
      ...[
        '-accel',
        emulated ? 'tcg,thread=multi' : 'kvm',
        '-cpu',
        emulated ? 'max' : 'host',
        '-smp',
        '2',
        '-m',
        '3072',
      ],
      ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-serial', 'stdio'],
      ...['-kernel', kernel.image, '-initrd', image, '-append', words.join(' ')],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'], timeout: patience, killSignal: 'SIGKILL' },
  )
  let said = ''
  machine.stdout.setEncoding('utf8').on('data', (text) => {
    said += text
    process.stdout.write(text)
  })
  await new Promise((resolve, reject) => machine.on('close', resolve).on('error', reject))
  return stripVTControlCharacters(said)
}

execFileSync(process.execPath, ['test/native/run.mjs', '--sanitizer', 'none', '--build-only'], {
  stdio: 'inherit',
})
const results = []
for (const each of chosen) {
  const kernel = fetchKernel(each)
  const folder = mkdtempSync(join(tmpdir(), 'deadpeer-kernel-'))
  try {
    console.log(`### ${kernel.release}, ${emulated ? 'emulated' : 'on KVM'}`)
    const started = Date.now()
    const said = await boot(kernel, makeImage(folder, kernel))
    const facts = [`tcp_info has ${kernel.tcpInfo} bytes`, `options that it does not have: ${kernel.lacks}`]
    const unlike = facts.filter((fact) => !said.includes(fact))
    for (const fact of unlike) console.log(`FAILED the output must contain: ${fact}`)
    const [line, passed, failed] = /^(\d+) passed, (\d+) failed.*$/m.exec(said) ?? [
      'did not come to its end',
      '0',
      '1',
    ]
    const seconds = Math.round((Date.now() - started) / 1000)
    results.push({
      passed: Number(passed),
      failed: Number(failed) + unlike.length,
      line: `${kernel.release}: ${line.trim()} in ${seconds} s`,
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
for (const { line } of results) console.log(line)
if (results.some(({ passed, failed }) => failed > 0 || passed === 0)) process.exitCode = 1
