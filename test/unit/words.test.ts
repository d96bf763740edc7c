import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { allowed, findings, partsOf, rules, unusedExceptions } from '../words.mjs'

const textOf = (text: string, kind = 'comment') => [{ file: 'a.ts', line: 1, kind, text }]

describe('the check of words', () => {
  it.each([
    'Nobody reads the socket.',
    'Told once. Who listens later hears nothing.',
    'one may call it twice, or so. And, one may not.',
    '`interval_` is no field of a profile',
    'Waits for ever.',
    'How many go unanswered before the peer is called dead.',
    'The connection gets a loan.',
    'Probes, who asks for them, and why.',
    'Settings that are lifted stay.',
    'Ends when isWary is false.',
    'Whoever calls this waits.',
    'It is thus closed.',
  ])('flags: %s', (text) => {
    expect(findings(textOf(text))).not.toEqual([])
  })

  it.each([
    'The next one may succeed.',
    'No program reads the socket.',
    'Unknown profile field `interval_`. Did you mean `interval`?',
    'The caller who listens gets it; doctor shows who is at fault.',
    'A shift of the mean.',
  ])('does not flag: %s', (text) => {
    expect(findings(textOf(text))).toEqual([])
  })

  it('flags a sentence that is too long in a document, but not in a comment', () => {
    const long = `It ${'goes '.repeat(50)}on.`
    expect(findings(textOf(long, 'document'))).toHaveLength(1)
    expect(findings(textOf(long))).toEqual([])
  })

  it.each([
    'All but for those that wait.',
    'It is not read at all.',
    'Somebody writes.',
    'Since the last look.',
  ])('flags with --strict only: %s', (text) => {
    expect(findings(textOf(text), { strict: true })).toHaveLength(1)
    expect(findings(textOf(text))).toEqual([])
  })

  it('flags a long sentence of a comment or a message with --strict only', () => {
    const long = `It ${'goes '.repeat(36)}on.`
    for (const kind of ['tsdoc', 'comment', 'help', 'error'])
      expect(findings(textOf(long, kind), { strict: true })).toHaveLength(1)
    expect(findings(textOf(long, 'title'), { strict: true })).toEqual([])
  })

  it('reads comments and strings of several lines, and strings inside templates', () => {
    const source = [
      '// it is one',
      '// comment',
      "const a = 'one ' +",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: source text that has a template
      "  `string ${c ? 'in ner' : `deep ${{ d: 1 }.d} er`} end` // tail",
      '/**',
      ' * A sentence',
      ' * goes on.',
      ' *',
      ' * @returns nothing',
      ' */',
      "const quote = /'[^']*'/.test(\"it's\")",
      "constexpr int kWait = 10'000; // ns",
    ].join('\n')
    expect(partsOf(source).map(({ kind, line, text }) => [kind, line, text.trim()])).toEqual([
      ['comment', 1, 'it is one comment'],
      ['string', 3, 'one string … end'],
      ['string', 4, 'in ner'],
      ['string', 4, 'deep … er'],
      ['comment', 4, 'tail'],
      ['tsdoc', 6, 'A sentence goes on.'],
      ['tsdoc', 9, '@returns nothing'],
      ['string', 11, "it's"],
      ['comment', 12, 'ns'],
    ])
  })

  it('allows what an exception names, and returns exceptions that allow nothing', () => {
    const text = textOf('Nobody reads the socket.')
    const exception = { file: 'a.ts', text: 'Nobody', reason: 'for this test' }
    const other = { ...exception, file: 'b.ts' }
    expect(findings(text, { exceptions: [exception] })).toEqual([])
    expect(findings(text, { exceptions: [other] })).toHaveLength(1)
    expect(unusedExceptions(text, [exception, other])).toEqual([other])
  })

  it('has a reason for each exception, and no unused exception', () => {
    for (const { reason } of allowed) expect(reason).not.toBe('')
    expect(unusedExceptions()).toEqual([])
  })

  it('has advice in each rule', () => {
    for (const { advice } of rules) expect(advice).not.toBe('')
  })
})

describe('the sampler', () => {
  const script = fileURLToPath(new URL('../words.mjs', import.meta.url))
  const sample = (...args: string[]) => spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' })

  it('draws ten sentences of each kind of text, the same ones for the same seed', () => {
    const { stdout } = sample('--sample', '7')
    const groups = stdout.trim().split('\n\n')
    const names = groups.map((group) => group.split('\n')[0])
    expect(names).toEqual(expect.arrayContaining(['README.md', 'TSDoc', 'CLI help', 'error messages']))
    expect(names.filter((name) => name!.startsWith('docs/'))).toHaveLength(3)
    for (const group of groups) expect(group.split('\n')).toHaveLength(11)
    expect(sample('--sample', '7').stdout).toBe(stdout)
    expect(sample('--sample', '8').stdout).not.toBe(stdout)
  })

  it('refuses other arguments', () => {
    expect(sample('--sample').status).toBe(2)
    expect(sample('--frobnicate').status).toBe(2)
  })
})

describe('README, docs, comments, messages and test titles', () => {
  it('have none of the constructions that are hard to read', () => {
    expect(
      findings().map(({ file, line, found, advice }) => `${file}:${line}: ${found} (${advice})`),
    ).toEqual([])
  })
})
