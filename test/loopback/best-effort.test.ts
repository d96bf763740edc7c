import { execFileSync } from 'node:child_process'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import {
  type Capabilities,
  capabilities,
  type Profile,
  profiles,
  type TuneResult,
  tune,
} from '../../src/index.js'
import { nativeCore } from '../../src/kernel/binding.js'
import { canSet, type OptionName, optionNames } from '../../src/kernel/socket-options.js'
import { type Compiled, compile, merge, without } from '../../src/profile/compile.js'
import { connectPair } from '../support/connections.js'

interface Refused {
  readonly code: string
  readonly field?: string
  readonly errno?: number
  readonly syscall?: string
}

interface Outcome {
  readonly options: Capabilities['options']
  readonly strict: readonly (Refused | null)[]
  readonly unchanged: boolean
  readonly bestEffort: readonly (Refused | null)[]
  readonly tuned: Profile
  readonly batch: readonly TuneResult[]
}

const USER_TIMEOUT = '6:18'
const SYN_COUNT = '6:7'

describe.each([
  { errno: 'EPERM', forbidden: USER_TIMEOUT, lacking: ['userTimeout'] },
  { errno: 'EACCES', forbidden: USER_TIMEOUT, lacking: ['userTimeout'] },
  { errno: 'ENOSYS', forbidden: `${USER_TIMEOUT},${SYN_COUNT}`, lacking: ['userTimeout', 'synCount'] },
  {
    errno: 'EPERM',
    forbidden: '6:*',
    lacking: ['initialDelay', 'interval', 'count', 'userTimeout', 'synCount'],
  },
] as const)('a sandbox that refuses setsockopt for $lacking with $errno', ({ errno, forbidden, lacking }) => {
  const outcome = runSandboxed(constants.errno[errno], forbidden)

  it('makes capabilities() report that these options cannot be set', () => {
    for (const name of ['enable', 'initialDelay', 'interval', 'count', 'userTimeout', 'synCount'] as const) {
      expect(outcome.options[name], name).toBe(!(lacking as readonly OptionName[]).includes(name))
    }
  })

  it('makes bestEffort leave out only these options, for a connection, a server and an agent', () => {
    expect(outcome.bestEffort).toEqual([null, null, null, null])
    const wanted: Profile = { ...profiles.cloud, synCount: 3 }
    const possible = Object.entries(wanted).filter(([name]) => outcome.options[name as OptionName])
    expect(outcome.tuned).toMatchObject(Object.fromEntries(possible))
    for (const { error, skipped } of outcome.batch) {
      expect(error).toBeUndefined()
      expect([...skipped!].sort()).toEqual([...lacking].sort())
    }
  })

  it('causes an error with the errno without bestEffort, and no option is changed', () => {
    for (const refusal of outcome.strict) {
      expect(refusal).toMatchObject({ code: errno, errno: -constants.errno[errno], syscall: 'setsockopt' })
      expect(lacking).toContain(refusal!.field)
    }
    expect(outcome.unchanged).toBe(true)
  })
})

describe('two tunes of one server or agent', () => {
  const lenient = compile({ initialDelay: 20_000, interval: 5_000 }, true)!
  const strict = compile({ synCount: 4, userTimeout: 30_000 }, false)!
  const lenientAgain = compile({ userTimeout: 40_000 }, true)!
  const strictAgain = compile({ interval: 6_000 }, false)!

  it.each([
    {
      title: 'lenient, then strict',
      tunes: [lenient, strict],
      optional: ['enable', 'initialDelay', 'interval'],
    },
    {
      title: 'strict, then lenient',
      tunes: [strict, lenient],
      optional: ['enable', 'initialDelay', 'interval'],
    },
    { title: 'lenient over strict, one field', tunes: [strict, lenientAgain], optional: ['userTimeout'] },
    { title: 'strict over lenient, one field', tunes: [lenient, strictAgain], optional: ['initialDelay'] },
  ])('keep each field as optional as in the tune that set it: $title', ({ tunes, optional }) => {
    const [first, second] = tunes as [Compiled, Compiled]
    expect([...merge(first, second).optional].sort()).toEqual(optional)
  })

  it('remember the options that were left out until a later tune sets them', () => {
    const skipped = without(lenient, 'interval')
    expect(merge(skipped, strict)).toMatchObject({ skipped: ['interval'] })
    expect(merge(strict, skipped)).toMatchObject({ skipped: ['interval'] })
    expect(merge(skipped, strictAgain)).toMatchObject({ skipped: [], profile: { interval: 6_000 } })
  })
})

describe('a connection that refuses an option which this process can set on others', () => {
  it('causes an error with bestEffort too, because capabilities() says that the option can be set', async () => {
    const { socket } = await connectPair()
    const core = nativeCore()!
    const own = core.tune
    const refusal = { errno: -constants.errno.EPERM, option: 'userTimeout', written: [] }
    core.tune = () => ({ held: false, refusal })
    try {
      const tuneIt = () => tune(socket, { userTimeout: 20_000 }, { bestEffort: true })
      expect(tuneIt).toThrow(expect.objectContaining({ code: 'EPERM', field: 'userTimeout' }))
    } finally {
      core.tune = own
    }
    expect(capabilities().options.userTimeout).toBe(true)
  })
})

describe('an errno of a shortage', () => {
  it.each(['ENOBUFS', 'ENOMEM', 'EINTR', 'EMFILE'] as const)(
    'does not make capabilities() report an option as refused: %s',
    (errno) => {
      const core = nativeCore()!
      const { rehearse } = core
      for (const name of optionNames) {
        core.rehearse = () => ({ errno: -constants.errno[errno], option: name, written: [] })
        try {
          expect(canSet(name)).toBe(true)
        } finally {
          core.rehearse = rehearse
        }
      }
    },
  )
})

function runSandboxed(errno: number, options: string): Outcome {
  const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))
  const sandbox = [fixture('without-setsockopt.py'), String(errno), options]
  const program = [process.execPath, '--no-warnings', fixture('forbidden.mjs')]
  return JSON.parse(execFileSync('python3', [...sandbox, ...program], { encoding: 'utf8' }))
}
