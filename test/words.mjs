import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

// node test/words.mjs                 lists constructions that are hard to read, as file:line: words (advice)
// node test/words.mjs --sample SEED   draws ten sentences at random from each kind of text, for a reader to judge
//
// Covers README, docs, comments and strings of src and native, and test titles.

const root = fileURLToPath(new URL('..', import.meta.url))

/** What is flagged, and what to write instead. */
export const rules = [
  { words: /\b(nobody|no one)\b/i, advice: 'name what there is none of: no program, no waiter, no listener' },
  {
    words: /(^|[.;:] )(Who|Whoever)\b/,
    advice: 'make the actor the subject: a peer that …',
  },
  { words: /\bthat which\b|\blest\b/i, advice: 'say which thing' },
  { words: /(^|[.,;:] )one (may|can|must|should|has to)\b/i, advice: 'write you, or name the actor' },
  {
    words: /\bis no (field|option|rule|part|preset|hop|port)\b/,
    advice: 'write: Unknown …; or: … does not take …',
  },
  { words: /\bin silence\b/, advice: 'write silently, or without an error' },
  { words: /\bfor ever\b/, advice: 'write forever' },
  { words: /\bin vain\b/, advice: 'say what went unacknowledged' },
  { words: /\bcalled dead\b/, advice: 'write: declared dead' },
  { words: /\bd(ie|ies|ied) of being\b/, advice: 'write: ends because' },
  {
    words: /\b(a|the|of|on) (loan|pulse|lookout|glance)\b|\bhold-back\b|\bown-clock\b/i,
    advice: "use the field's word",
  },
  { words: /\bsettled? (the )?options\b/i, advice: 'write: apply deferred values' },
]

/** The most words that a sentence of a document may have. */
const LONGEST = 45

/** Findings that stay, by file and what was found, each with its reason. */
const allowed = [{ file: 'test/unit/words.test.ts', text: '', reason: 'its titles name what is flagged' }]

/** All texts: file, line, kind, text. */
export function texts() {
  return [...documents(), ...sources(), ...titles()]
}

/** @returns {{ file: string, line: number, found: string, advice: string }[]} */
export function findings(all = texts()) {
  const found = []
  for (const { file, line, kind, text } of all) {
    for (const { words, advice } of rules) {
      const match = words.exec(text)
      if (match) found.push({ file, line, found: match[0].trim(), advice })
    }
    if (kind !== 'document') continue
    for (const sentence of sentencesOf(text)) {
      const count = sentence.split(/\s+/).length
      if (count > LONGEST)
        found.push({ file, line, found: `${sentence.slice(0, 60)}…`, advice: `${count} words: split it` })
    }
  }
  return found.filter(
    (each) => !allowed.some(({ file, text }) => each.file === file && each.found.includes(text)),
  )
}

function sentencesOf(text) {
  return text
    .split(/(?<=[.!?:;])\s+(?=["'`(*[]*[A-Z0-9`])/)
    .filter((sentence) => /[a-z]{2} .*[a-z]{2}/.test(sentence))
}

/** Paragraphs and list items, without code blocks; each row of a table by its cells. */
function documents() {
  const pages = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', ...list('docs', /\.md$/)]
  return pages
    .filter((file) => !file.startsWith('docs/api/'))
    .flatMap((file) => {
      const found = []
      let isCode = false
      let paragraph
      readLines(file).forEach((text, i) => {
        if (/^\s*```/.test(text)) isCode = !isCode
        if (isCode || /^\s*(```|#|!\[|\|? ?-{3})/.test(text) || text.trim() === '') {
          paragraph = undefined
          return
        }
        if (/^\s*\|/.test(text)) {
          paragraph = undefined
          for (const cell of text.split('|'))
            found.push({ file, line: i + 1, kind: 'table', text: cell.trim() })
          return
        }
        if (paragraph && !/^\s*([-*]|\d+\.) /.test(text)) paragraph.text += ` ${text.trim()}`
        else {
          paragraph = { file, line: i + 1, kind: 'document', text: text.trim() }
          found.push(paragraph)
        }
      })
      return found
    })
}

/** Comments and strings. */
function sources() {
  const files = [...list('src', /\.ts$/), ...list('native', /\.(cc|h|mjs)$/)]
  return files.flatMap((file) =>
    readLines(file).flatMap((line, i) => {
      const comment = /^\s*(?:\/\/|\/?\*+)\s?(.*?)(?:\*\/)?$|\s\/\/ (.*)$/.exec(line)
      const parts = comment
        ? [{ kind: 'comment', text: comment[1] ?? comment[2] }]
        : [...line.matchAll(/'([^'\n]{12,})'|`([^`\n]{12,})`|"([^"\n]{12,})"/g)].map((match) => ({
            kind: 'string',
            text: match[1] ?? match[2] ?? match[3],
          }))
      return parts.map((part) => ({ file, line: i + 1, ...part }))
    }),
  )
}

function titles() {
  return list('test', /\.test\.ts$/).flatMap((file) =>
    readLines(file).flatMap((line, i) => {
      const [, , text] = /\b(?:describe|it|test)\b[\w.]*(?:\([^'"`]*\))?\((['"`])(.*)\1/.exec(line) ?? []
      return text ? [{ file, line: i + 1, kind: 'title', text }] : []
    }),
  )
}

function readLines(file) {
  return readFileSync(join(root, file), 'utf8').split('\n')
}

function list(folder, name) {
  return readdirSync(join(root, folder), { recursive: true })
    .map((path) => `${folder}/${path}`)
    .filter((path) => name.test(path) && !path.includes('node_modules'))
    .sort()
}

function draw(seed) {
  let state = seed >>> 0
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
  const all = texts()
  const pages = [...new Set(all.filter(({ file }) => file.startsWith('docs/')).map(({ file }) => file))]
  const three = Array.from({ length: 3 }, () => pages.splice(Math.floor(random() * pages.length), 1)[0])
  const groups = {
    'README.md': all.filter(({ file, kind }) => file === 'README.md' && kind === 'document'),
    ...Object.fromEntries(
      three.map((page) => [page, all.filter(({ file, kind }) => file === page && kind === 'document')]),
    ),
    'comments and TSDoc': all.filter(({ kind }) => kind === 'comment'),
    'CLI strings': all.filter(({ file, kind }) => kind === 'string' && file.startsWith('src/cli/')),
    'other strings': all.filter(({ file, kind }) => kind === 'string' && !file.startsWith('src/cli/')),
    'test titles': all.filter(({ kind }) => kind === 'title'),
  }
  for (const [name, group] of Object.entries(groups)) {
    const sentences = group.flatMap(({ file, line, text }) =>
      sentencesOf(text).map((sentence) => `${file}:${line}: ${sentence}`),
    )
    console.log(`\n${name}`)
    for (let i = 0; i < 10 && sentences.length > 0; i++) {
      console.log(`  ${sentences.splice(Math.floor(random() * sentences.length), 1)[0]}`)
    }
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [, , option, seed] = process.argv
  if (option === '--sample') draw(Number(seed))
  else {
    const found = findings()
    for (const { file, line, found: words, advice } of found)
      console.log(`${file}:${line}: ${words} (${advice})`)
    process.exitCode = found.length > 0 ? 1 : 0
  }
}
