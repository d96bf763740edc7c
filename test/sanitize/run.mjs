// Tests the addon under sanitizers, in a stock Node:
//   npm run sanitize [-- address | thread] [-- part of a test file's name …]
//
// address  AddressSanitizer and UndefinedBehaviorSanitizer with the loopback suite. No leak check, because it would report memory that Node
//          itself leaves at its end; test/native has that check.
// thread   ThreadSanitizer with the native tests and with plain Node programs. The test runner and workers crash under it.
//
// Tests do not check times here (DEADPEER_TEST_UNTIMED).
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { withNetAdmin } from '../privileges.mjs'
import { runVitest } from '../vitest.mjs'

process.chdir(fileURLToPath(new URL('../..', import.meta.url)))
withNetAdmin()

const compiler = process.env.CXX || 'c++'

const flags = {
  address: '-fsanitize=address,undefined -fno-sanitize-recover=undefined',
  thread: '-fsanitize=thread',
}

const libraries = { address: ['libasan.so', 'libubsan.so'], thread: ['libtsan.so'] }

/** Builds the addon in a separate folder, and returns the environment to run Node with. */
function build(sanitizer) {
  const folder = resolve('build/sanitize', sanitizer)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const part of ['binding.gyp', 'native', 'package.json'])
    cpSync(part, `${folder}/${part}`, { recursive: true })
  symlinkSync(resolve('node_modules'), `${folder}/node_modules`)
  const sanitize = `${flags[sanitizer]} -fno-omit-frame-pointer -g -O1`
  // Through npm, which knows where Node's headers are.
  run(
    'npm',
    ['exec', '--', 'node-gyp', 'rebuild', '--loglevel=error', '--jobs=max', '-C', folder],
    {
      CXXFLAGS: sanitize,
      LDFLAGS: sanitize,
    },
    ['inherit', 'ignore', 'inherit'],
  )
  const paths = libraries[sanitizer].map((name) =>
    execFileSync(compiler, [`-print-file-name=${name}`], { encoding: 'utf8' }).trim(),
  )
  return {
    DEADPEER_NATIVE: `${folder}/build/Release/deadpeer.node`,
    LD_PRELOAD: paths.join(':'),
    DEADPEER_TEST_UNTIMED: '1',
  }
}

function run(command, args, env = {}, stdio = 'inherit') {
  const { status, signal, error } = spawnSync(command, args, { stdio, env: { ...process.env, ...env } })
  if (status === 0) return
  console.error(`${command} ${args.join(' ')}: ended with ${error?.message ?? signal ?? status}`)
  process.exit(1)
}

const ways = {
  address(tests) {
    const env = { ...build('address'), ASAN_OPTIONS: 'detect_leaks=0', UBSAN_OPTIONS: 'print_stacktrace=1' }
    const { passed, failed } = runVitest(tests.length > 0 ? tests : ['test/loopback/'], env)
    console.log(`# address: ${passed} passed, ${failed} failed`)
    if (failed > 0 || passed === 0) process.exit(1)
  },

  thread() {
    run(process.execPath, ['test/native/run.mjs', '--sanitizer', 'thread'])
    const env = build('thread')
    // Node is not instrumented. ThreadSanitizer would see only its threads' calls to the C library, and not how Node orders them.
    const options = { ...env, TSAN_OPTIONS: 'halt_on_error=1 ignore_noninstrumented_modules=1' }
    const fixtures = 'test/loopback/fixtures'
    const churn = JSON.stringify({ connections: 200, each: 50, peers: 1 })
    const blocked = JSON.stringify({ connections: 200, each: 50, peers: 1, blocked: true })
    run(process.execPath, [`${fixtures}/churning.mjs`, churn], options)
    run(process.execPath, [`${fixtures}/churning.mjs`, blocked], options)
    run(process.execPath, ['--expose-gc', `${fixtures}/watching-for-long.mjs`], options)
  },
}

const [way, ...tests] = process.argv.slice(2)
if (way !== undefined && !(way in ways))
  throw new Error(`The sanitizer must be address or thread; got '${way}'`)
for (const each of way === undefined ? Object.keys(ways) : [way]) ways[each](tests)
