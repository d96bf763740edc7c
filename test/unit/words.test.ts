import { describe, expect, it } from 'vitest'
import { findings, rules } from '../words.mjs'

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
  ])('flags: %s', (text) => {
    expect(findings(textOf(text))).not.toEqual([])
  })

  it.each([
    'The next one may succeed.',
    'No program reads the socket.',
    'Unknown profile field `interval_`. Did you mean `interval`?',
  ])('does not flag: %s', (text) => {
    expect(findings(textOf(text))).toEqual([])
  })

  it('flags a sentence of a document that is too long, and not of a comment', () => {
    const long = `It ${'goes '.repeat(50)}on.`
    expect(findings(textOf(long, 'document'))).toHaveLength(1)
    expect(findings(textOf(long))).toEqual([])
  })

  it('has advice in each rule', () => {
    for (const { advice } of rules) expect(advice).not.toBe('')
  })
})

describe('README, docs, comments, messages and test titles', () => {
  it('have none of the constructions that are hard to read', () => {
    expect(
      findings().map(({ file, line, found, advice }) => `${file}:${line}: ${found} (${advice})`),
    ).toEqual([])
  })
})
