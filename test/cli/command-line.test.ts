import type { Command } from 'commander'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { stateWords } from '../../src/cli/lib/format-socket.js'
import { connectionStates } from '../../src/cli/lib/selection.js'
import { program } from '../../src/cli/program.js'
import type { SocketState } from '../../src/host/index.js'
import { type PresetName, profiles } from '../../src/index.js'

// A valid command line has one meaning, in every order and spelling. An invalid one is refused in one line before anything happens. The parser
// runs in this process, and each command's action only records its arguments.

/** A word of the command line and its parsed value. */
interface Said<T = unknown> {
  readonly text: string
  readonly means: T
}

type Meanings = Readonly<Record<string, fc.Arbitrary<Said>>>

const same = <T>(values: fc.Arbitrary<T>) => values.map((means) => ({ text: String(means), means }))
const whole = (min: number, max: number) => same(fc.integer({ min, max }))
const units = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 } as const
const time = fc
  .tuple(
    fc.constantFrom(...(Object.keys(units) as (keyof typeof units)[])),
    fc.integer({ min: 0, max: 500 }),
    fc.boolean(),
  )
  .map(([unit, n, isHalf]) => ({
    text: `${n}${isHalf ? '.5' : ''}${unit}`,
    means: (n + (isHalf ? 0.5 : 0)) * units[unit],
  }))
const timeWithin = (min: number, max: number) => time.filter(({ means }) => means >= min && means <= max)
const wholeSeconds = timeWithin(1_000, 32_767_000).filter(({ means }) => means % 1_000 === 0)
const preset = fc
  .constantFrom(...(Object.keys(profiles) as PresetName[]))
  .map((name) => ({ text: name, means: profiles[name] }))
/** In a profile such as 60/5/3, a time without a unit is in seconds. */
const timing = fc.oneof(
  time,
  fc.integer({ min: 0, max: 500 }).map((n) => ({ text: String(n), means: n * 1_000 })),
)
const slashed = fc.tuple(timing, timing, fc.integer({ min: 0, max: 200 })).map(([idle, interval, count]) => ({
  text: `${idle.text}/${interval.text}/${count}`,
  means: { initialDelay: idle.means, interval: interval.means, count },
}))
const state = fc
  .tuple(fc.constantFrom(...(Object.keys(stateWords) as SocketState[])), fc.boolean(), fc.boolean())
  .map(([means, isOfSs, isUpper]) => {
    const word = isOfSs ? stateWords[means] : means
    return { text: isUpper ? word.toUpperCase() : word.toLowerCase(), means: [means] }
  })
const hop = fc
  .tuple(
    fc.constantFrom('aws-nlb', 'nat', 'edge'),
    fc.option(time),
    fc.option(time),
    fc.constantFrom('', '4', '7'),
  )
  .map(([name, idle, upstream, layer]) => {
    if (!idle) return { text: name, means: [name] }
    const own = {
      name,
      idleTimeout: idle.means,
      ...(upstream && { upstreamTimeout: upstream.means }),
      ...(layer && { layer: Number(layer) }),
    }
    return {
      text: `${name}=${idle.text}${upstream ? `/${upstream.text}` : ''}${layer && `@${layer}`}`,
      means: [own],
    }
  })
/** Repeatable options. Their values form a list. */
const collected = new Set(['--state', '--hop'])
const flag = fc.constant({ text: '', means: true })

const selection: Meanings = { '--pid': whole(1, 2 ** 31 - 1), '--port': whole(1, 65_535) }
const commands: Readonly<Record<string, Meanings>> = {
  ls: {
    ...selection,
    '--state': fc.oneof(
      state,
      fc.constant({ text: 'all', means: Object.keys(stateWords) }),
      fc.constant({ text: 'connected', means: [...connectionStates] }),
    ),
    '--suspect': flag,
    '--options': flag,
    '--json': flag,
    '--jsonl': flag,
  },
  probe: {
    ...selection,
    '--attempts': whole(1, 100),
    '--timeout': timeWithin(1, 60_000).filter(({ means }) => Number.isInteger(means)),
    '--wait': timeWithin(0, 86_400_000),
    '--kill': flag,
    '--yes': flag,
    '--json': flag,
    '--jsonl': flag,
  },
  tune: {
    ...selection,
    '--profile': fc.oneof(preset, slashed),
    '--idle': wholeSeconds,
    '--interval': wholeSeconds,
    '--count': whole(1, 127),
    '--user-timeout': timeWithin(0, 2 ** 31 - 1).filter(({ means }) => Number.isInteger(means)),
    '--dry-run': flag,
    '--yes': flag,
    '--json': flag,
    '--jsonl': flag,
  },
  doctor: { ...selection, '--hop': hop, '--over': timeWithin(100, 86_400_000), '--json': flag },
  watch: { ...selection, '--every': timeWithin(100, 86_400_000), '--jsonl': flag },
}
const defaults: Readonly<Record<string, object>> = {
  doctor: { over: 2_000 },
  probe: { attempts: 3, timeout: 300, wait: 60_000 },
  watch: { every: 1_000 },
}

/** A flag and its value, as two arguments or as flag=value. */
interface Word {
  readonly flag: string
  readonly args: readonly string[]
  readonly means: unknown
}

const words = (meanings: Meanings, flags: readonly string[]): fc.Arbitrary<Word[]> =>
  fc.tuple(
    ...flags.map((name) =>
      fc.tuple(meanings[name]!, fc.boolean()).map(([{ text, means }, isOne]) => ({
        flag: name,
        args: text === '' ? [name] : isOne ? [`${name}=${text}`] : [name, text],
        means,
      })),
    ),
  )

interface Line {
  readonly command: string
  readonly prefix: string | undefined
  readonly words: readonly Word[]
}

/** Any flags in any order, with a prefix before, between or after them. */
const line: fc.Arbitrary<Line> = fc.constantFrom(...Object.keys(commands)).chain((command) => {
  const meanings = commands[command]!
  const names = Object.keys(meanings).flatMap((name) => (collected.has(name) ? [name, name, name] : [name]))
  return fc.subarray(names).chain((flags) => {
    const chosen = flags.filter((name) => name !== '--jsonl' || !flags.includes('--json'))
    return fc.record({
      command: fc.constant(command),
      prefix: fc.option(fc.constantFrom('10.0.0.0/8', '::1', '2001:db8::/32', '192.0.2.7'), {
        nil: undefined,
      }),
      words: words(meanings, chosen).chain((all) => fc.shuffledSubarray(all, { minLength: all.length })),
    })
  })
})

const argsOf = ({ command, prefix, words: said }: Line, at: number): string[] => {
  const groups = said.map(({ args }) => args)
  if (prefix !== undefined) groups.splice(at % (groups.length + 1), 0, [prefix])
  return [command, ...groups.flat()]
}

const camel = (name: string) => name.slice(2).replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())

function meaningOf({ command, words: said }: Line): object {
  const options: Record<string, unknown> = { ...defaults[command] }
  for (const { flag: name, means } of said) {
    const field = camel(name)
    options[field] = collected.has(name)
      ? [...((options[field] as unknown[]) ?? []), ...(means as unknown[])]
      : means
  }
  return comparable(options)
}

/** The order of states does not matter. */
function comparable(options: Record<string, unknown>): object {
  const { state: states } = options
  return Array.isArray(states) ? { ...options, state: [...new Set(states)].sort() } : options
}

interface Outcome {
  readonly called: readonly { command: string; prefix: unknown; options: object }[]
  readonly err: string
  readonly code: number | undefined
}

class Exit extends Error {
  constructor(readonly code: number) {
    super(`exit ${code}`)
  }
}

/** Runs the parser without the commands' actions. */
async function parse(args: readonly string[]): Promise<Outcome> {
  const called: Outcome['called'][number][] = []
  let err = ''
  let code: number | undefined
  const output = {
    writeErr(text: string) {
      err += text
    },
    writeOut() {},
  }
  for (const command of program.commands as Command[]) {
    command.action((...given: unknown[]) => {
      const [prefix, options] = given.length > 2 ? given : [undefined, ...given]
      called.push({ command: command.name(), prefix, options: comparable({ ...(options as object) }) })
    })
  }
  for (const command of [program, ...program.commands]) {
    command.configureOutput({ ...command.configureOutput(), ...output })
  }
  const exit = process.exit
  process.exit = ((exitCode: number) => {
    throw new Exit(exitCode)
  }) as never
  try {
    await program.parseAsync(args as string[], { from: 'user' })
  } catch (error) {
    if (!(error instanceof Exit)) throw error
    code = error.code
  } finally {
    process.exit = exit
  }
  return { called, err, code }
}

const position = fc.nat({ max: 20 })

describe('the command line', () => {
  it('parses a valid command line in any order and spelling', async () => {
    await fc.assert(
      fc.asyncProperty(line, position, async (said, at) => {
        const { called, err, code } = await parse(argsOf(said, at))
        expect({ err, code }).toEqual({ err: '', code: undefined })
        expect(called).toEqual([{ command: said.command, prefix: said.prefix, options: meaningOf(said) }])
      }),
      { numRuns: 2_000 },
    )
  })

  const word = fc.stringMatching(/^[a-z]{6,12}$/)
  const notWhole = fc.constantFrom(
    '-1',
    '1.5',
    '1e3',
    '0x10',
    '+5',
    '',
    ' 5',
    '5 ',
    '99999999999',
    'ten',
    '١',
  )
  const zero = fc.constant('0')
  const notTime = fc.oneof(
    fc.constantFrom('5', '-5s', '5 s', 's', '', '1h30m', 'soon', '5S', '.5s', '1e3s', 'Infinitys', '5s5'),
    fc.nat().map(String),
  )
  const tooLong = fc.constantFrom('86401s', '25h', '2d', '99999999999999999999d')
  const bad: Readonly<Record<string, fc.Arbitrary<string>>> = {
    '--pid': fc.oneof(notWhole, zero, fc.constant('2147483648')),
    '--port': fc.oneof(notWhole, zero, fc.integer({ min: 65_536, max: 999_999 }).map(String)),
    '--state': fc.oneof(word, fc.constantFrom('', 'all,listen')),
    '--attempts': fc.oneof(notWhole, zero, fc.constant('101')),
    '--timeout': fc.oneof(notTime, fc.constantFrom('0s', '61s', '0.5ms', '2m')),
    '--wait': fc.oneof(notTime, tooLong),
    '--every': fc.oneof(notTime, tooLong, fc.constantFrom('99ms', '0s')),
    '--profile': fc.oneof(
      word,
      fc.constantFrom('', '60s/5s', '60s/5s/x', '60/5/3s', '60s/5s/3/4', '//', 'Lan'),
    ),
    '--idle': fc.oneof(notTime, fc.constantFrom('0s', '1500ms', '32768s')),
    '--interval': fc.oneof(notTime, fc.constantFrom('0s', '0.5s', '10h')),
    '--user-timeout': fc.oneof(notTime, fc.constantFrom('0.5ms', '25d')),
    '--count': fc.oneof(notWhole, zero, fc.constant('128')),
    '--hop': fc.constantFrom('', 'nat=', 'nat=5', '=5s', 'nat=soon', 'nat=5s/6'),
  }

  /** A valid command line with one invalid part added. */
  const wrongLine = line.chain((said) => {
    const meanings = commands[said.command]!
    const names = Object.keys(meanings)
    const withValue = names.filter((name) => bad[name])
    const unsaid = withValue.filter(
      (name) => collected.has(name) || !said.words.some((each) => each.flag === name),
    )
    const twice = said.words.filter(({ flag: name, args }) => !collected.has(name) && args.join('') !== name)
    const kinds: fc.Arbitrary<string[]>[] = [
      word.map((unknown) => [`--${unknown}`]),
      fc.constant(['-q']),
      fc.constant(['127.0.0.1', '::1']),
    ]
    if (unsaid.length > 0) {
      kinds.push(
        fc.constantFrom(...unsaid).chain((name) => bad[name]!.map((value) => [`${name}=${value}`])),
        // The flag comes last, so that it takes no other word as its value.
        fc.constantFrom(...unsaid).map((name) => [name]),
      )
    }
    if (twice.length > 0) kinds.push(fc.constantFrom(...twice).map(({ args }) => [...args]))
    if (names.includes('--json') && names.includes('--jsonl')) kinds.push(fc.constant(['--json', '--jsonl']))
    return fc.oneof(...kinds).map((wrong) => [...argsOf(said, 0), ...wrong])
  })

  it('refuses an invalid command line in one line, and does nothing', async () => {
    await fc.assert(
      fc.asyncProperty(wrongLine, async (args) => {
        const { called, err, code } = await parse(args)
        expect({ called, code }).toEqual({ called: [], code: 2 })
        expect(err).toMatch(/^deadpeer: \P{Cc}+\n$/u)
      }),
      { numRuns: 2_000 },
    )
  })

  it('accepts a connection in three notations', async () => {
    const port = fc.integer({ min: 1, max: 65_535 })
    const address = fc.oneof(
      fc.ipV4().map((text) => ({ text, address: text })),
      fc.ipV6().map((text) => ({ text: `[${text}]`, address: text })),
    )
    const end = fc.tuple(address, port).map(([{ text, address: at }, number]) => ({
      text: `${text}:${number}`,
      means: { address: at, port: number },
    }))
    const name = fc.oneof(
      port.map((number) => ({ text: String(number), means: { port: number } })),
      fc
        .tuple(fc.nat(99_999), fc.nat(99_999))
        .map(([pid, fd]) => ({ text: `${pid}:${fd}`, means: { pid, fd } })),
      fc.tuple(end, end).map(([local, remote]) => ({
        text: `${local.text}-${remote.text}`,
        means: { local: local.means, remote: remote.means },
      })),
    )
    await fc.assert(
      fc.asyncProperty(name, fc.boolean(), async ({ text, means }, json) => {
        const { called, err } = await parse(['inspect', text, ...(json ? ['--json'] : [])])
        expect(err).toBe('')
        expect(called).toEqual([{ command: 'inspect', prefix: means, options: json ? { json: true } : {} }])
      }),
      { numRuns: 1_000 },
    )
  })
})
