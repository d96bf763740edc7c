import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

// node test/words.mjs                 lists constructions that are hard to read, as file:line: words (advice)
// node test/words.mjs --strict        lists more of them, and sentences of more than 35 words
// node test/words.mjs --sample SEED   draws ten sentences at random from each kind of text, for a reader to judge
//
// Covers README, docs, comments and strings of src and native, and test titles.

const root = fileURLToPath(new URL('..', import.meta.url))

/** What is flagged, and what to write instead. `strict` ones are listed with --strict only: some are left in the repository. */
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
  {
    words:
      /(^|[.;:,(] )(who|whoever) (is|are|was|were|has|have|asks?|calls?|listens?|needs?|wants?|reads?|takes?|sends?)\b/i,
    advice: 'make the actor the subject: a program that …, a peer that …',
  },
  { words: /\bwhat is (lent|lifted|chosen|asked)\b/i, advice: 'name the thing' },
  {
    words: /\b(lifted|lends?|lent|lookouts?|glances?|sightings?|the house)\b|\bpay(s|ing)? attention\b/i,
    advice: "use the field's word",
  },
  { words: /\b(isWary|isPatient|Concerned|with-node|last-look)\b/, advice: 'this name is no longer used' },
  {
    words: /\bby (its|their) nature\b|\bin the hands of\b|\b(loss|distance|silence) kills\b/i,
    advice: 'say what happens',
  },
  {
    words: /\b(whereof|thereof|therein|whereby|wherein|herewith|thus|hence|insofar)\b/i,
    advice: 'use a plain word',
  },
  { words: /\b(save|but) for (what|those|the|that|a|an)\b/i, advice: 'write except', strict: true },
  { words: /\bat all\b|\bas long as it is\b/i, advice: 'leave it out', strict: true },
  {
    words: /\b(anybody|somebody|everybody|anyone|someone|everyone)( else)?\b/i,
    advice: 'name the actor',
    strict: true,
  },
  {
    words: /\b(hears?|heard|told|tells?|knows?) of\b/i,
    advice: 'write is notified of, reports, or records',
    strict: true,
  },
  { words: /\bis known to be taken\b/, advice: 'write: is validated beforehand', strict: true },
  { words: /\b(died|dies|die) of\b/i, advice: 'write the cause of', strict: true },
  {
    words: /\b(a|the|each|every|one|next|last|last but one) looks?\b(?!-)|\blooked at the\b/i,
    advice: 'write sample',
    strict: true,
  },
]

/** The most words that a sentence may have: one of a document, and with --strict also one of a comment or message. */
const LONGEST = 45
const STRICT = 35

/**
 * Findings that stay, by file and part of what was found, each with its reason. None at present.
 * @type {{ file: string, text: string, reason: string }[]}
 */
export const allowed = []

/** All texts: file, line, kind, text. */
export function texts() {
  return [...documents(), ...sources(), ...titles()]
}

/** @returns {{ file: string, line: number, found: string, advice: string }[]} */
export function findings(all = texts(), { strict = false, exceptions = allowed } = {}) {
  return all
    .flatMap((text) => [...wordsIn(text, strict), ...longIn(text, strict)])
    .filter((each) => !exceptions.some((exception) => allows(exception, each)))
}

/** Exceptions that allow nothing. */
export function unusedExceptions(all = texts(), exceptions = allowed) {
  const found = findings(all, { strict: true, exceptions: [] })
  return exceptions.filter((exception) => !found.some((each) => allows(exception, each)))
}

const allows = ({ file, text }, finding) => finding.file === file && finding.found.includes(text)

function wordsIn({ file, line, text }, strict) {
  return rules
    .filter((rule) => strict || !rule.strict)
    .flatMap(({ words, advice }) => {
      const match = words.exec(text)
      return match ? [{ file, line, found: match[0].trim(), advice }] : []
    })
}

function longIn({ file, line, kind, text }, strict) {
  if (kind !== 'document' && !(strict && ['tsdoc', 'comment', 'help', 'error'].includes(kind))) return []
  return sentencesOf(text).flatMap((sentence) => {
    const count = sentence.split(/\s+/).length
    if (count <= (strict ? STRICT : LONGEST)) return []
    return [{ file, line, found: `${sentence.slice(0, 60)}…`, advice: `${count} words: split it` }]
  })
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

/** Comments and strings. What goes on over several lines is one text, at its first line. */
function sources() {
  const files = [...list('src', /\.ts$/), ...list('native', /\.(cc|h|mjs)$/)]
  return files.flatMap((file) =>
    partsOf(readFileSync(join(root, file), 'utf8')).flatMap((part) => {
      const kind = kindOf(part, file)
      return blocksOf(part.text).flatMap(({ line, text }) => {
        if (part.kind === 'string' && !/\p{L}.* .*\p{L}/u.test(text)) return []
        return [{ file, line: part.line + line, kind, text }]
      })
    }),
  )
}

/** The paragraphs of a text; each line that is indented is one of its own. */
function blocksOf(whole) {
  const found = []
  let isOpen = false
  for (const [line, raw] of whole.split('\n').entries()) {
    const text = raw.replace(/\s+/g, ' ').trim()
    const isIndented = /^ {2}/.test(raw)
    if (text !== '') {
      if (isOpen && !isIndented) found.at(-1).text += ` ${text}`
      else found.push({ line, text })
    }
    isOpen = text !== '' && !isIndented
  }
  return found
}

function kindOf({ kind, before }, file) {
  if (kind !== 'string') return kind
  if (/^src\/cli\/(?:program|.*\/(?:command|command-options))\.ts$/.test(file)) return 'help'
  return /(?:\bthrow\b|Error\(|Type\(|Range\(|mustBe\(|\berror\()[^;]*$/.test(before) ? 'error' : 'string'
}

/**
 * The comments and strings of TypeScript or C++. Joins lines of `//` comments, paragraphs of a comment, and strings that are added or follow
 * each other. What a template inserts is `…`, and strings in there are parts of their own.
 * @returns {{ kind: 'tsdoc' | 'comment' | 'string', line: number, text: string, before?: string }[]} `before`: the source before a string
 */
export function partsOf(source) {
  const parts = []
  /** Where the last part ends, to join it with the next; -1 if it cannot be joined. */
  let end = -1
  let from = 0
  /** The templates around, and the depth of braces at which each goes on. */
  const inserted = []
  let depth = 0
  const lineAt = (() => {
    const starts = [0, ...[...source.matchAll(/\n/g)].map(({ index }) => index + 1)]
    return (index) => {
      let low = 0
      let high = starts.length
      while (high - low > 1) {
        const middle = (low + high) >> 1
        if (starts[middle] <= index) low = middle
        else high = middle
      }
      return low + 1
    }
  })()

  const add = (kind, start, text, joins) => {
    const last = parts.at(-1)
    if (last?.kind === kind && end >= 0 && joins.test(source.slice(end, start))) last.text += text
    else
      parts.push({ kind, line: lineAt(start), text, before: source.slice(Math.max(0, start - 200), start) })
    end = from
  }

  /** Reads a template from after its backtick, or from after what is inserted, and adds its text to the part. */
  const template = (part) => {
    while (from < source.length) {
      const c = source[from++]
      if (c === '`') break
      if (c === '$' && source[from] === '{') {
        from++
        part.text += '…'
        inserted.push({ part, depth })
        depth++
        break
      }
      part.text += c === '\\' ? unescaped(source[from++]) : c
    }
    // Only the last part can be joined with the next.
    end = part === parts.at(-1) ? from : -1
  }

  while (from < source.length) {
    const start = from
    const c = source[from]
    const two = source.slice(from, from + 2)
    if (two === '//') {
      from = ends(source, '\n', from)
      add('comment', start, ` ${source.slice(start, from).replace(/^\/+ ?/, '')}`, /^\n\s*$/)
    } else if (two === '/*') {
      from = ends(source, '*/', from + 2) + 2
      const kind = source[start + 2] === '*' ? 'tsdoc' : 'comment'
      const line = lineAt(start)
      end = -1
      for (const text of paragraphs(source.slice(start, from))) {
        if (text.text) parts.push({ kind, line: line + text.line, text: text.text })
      }
    } else if (c === "'" && /[0-9a-f]/i.test(source[from - 1] ?? '')) {
      from++ // 10'000 of C++
    } else if (c === "'" || c === '"') {
      const [whole] = (c === '"' ? /^"(?:\\[\s\S]|[^\\"\n])*"?/ : /^'(?:\\[\s\S]|[^\\'\n])*'?/).exec(
        source.slice(from),
      )
      from += whole.length
      add(
        'string',
        start,
        whole.slice(1, -1).replace(/\\([\s\S])/g, (_, each) => unescaped(each)),
        /^\s*\+?\s*$/,
      )
    } else if (c === '`') {
      from++
      add('string', start, '', /^\s*\+\s*$/)
      template(parts.at(-1))
    } else if (c === '{' || c === '}') {
      from++
      depth += c === '{' ? 1 : -1
      if (c === '}' && inserted.at(-1)?.depth === depth) template(inserted.pop().part)
    } else if (
      c === '/' &&
      /(?:^|[(,=:[!&|?{};\n]|\breturn|=>)\s*$/.test(source.slice(Math.max(0, from - 20), from))
    ) {
      const [whole] = /^\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/\w*/.exec(source.slice(from)) ?? [c]
      from += whole.length
    } else from++
  }
  return parts
}

const ends = (source, text, from) => {
  const index = source.indexOf(text, from)
  return index < 0 ? source.length : index
}

const unescaped = (c) => ({ n: '\n', t: ' ', '\n': '' })[c] ?? c

/** The paragraphs, list items and tags of a comment between its delimiters. */
function paragraphs(comment) {
  const found = []
  let isCode = false
  let isNew = true
  for (const [line, raw] of comment.replace(/\*\/$/, '').split('\n').entries()) {
    const text = raw.replace(/^\s*(?:\/\*\*?|\*)?\s?/, '').trim()
    if (text.startsWith('```')) isCode = !isCode
    else if (text !== '' && !isCode && !text.startsWith('|')) {
      if (isNew || /^(?:[-*@]|\d+\.)/.test(text)) found.push({ line, text })
      else found.at(-1).text += ` ${text}`
      isNew = false
      continue
    }
    isNew = true
  }
  return found
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
  const of = (test) => all.filter(test).flatMap(lineUp)
  const pages = [...new Set(all.map(({ file }) => file))].filter(
    (file) =>
      file.startsWith('docs/') && of((text) => text.file === file && text.kind === 'document').length >= 10,
  )
  const three = Array.from({ length: 3 }, () => pages.splice(Math.floor(random() * pages.length), 1)[0])
  const groups = {
    ...Object.fromEntries(
      ['README.md', ...three].map((page) => [
        page,
        of(({ file, kind }) => file === page && kind === 'document'),
      ]),
    ),
    TSDoc: of(({ kind }) => kind === 'tsdoc'),
    'CLI help': of(({ kind }) => kind === 'help'),
    'error messages': of(({ kind }) => kind === 'error'),
    'other output': of(({ kind }) => kind === 'string'),
    comments: of(({ kind }) => kind === 'comment'),
    'test titles': of(({ kind }) => kind === 'title'),
  }
  for (const [name, sentences] of Object.entries(groups)) {
    console.log(`\n${name}`)
    for (let i = 0; i < 10 && sentences.length > 0; i++) {
      console.log(`  ${sentences.splice(Math.floor(random() * sentences.length), 1)[0]}`)
    }
  }
}

/** The sentences of a text that have four words or more, for the sampler. */
function lineUp({ file, line, text }) {
  return sentencesOf(text)
    .filter((sentence) => sentence.split(/\s+/).length >= 4 && /[a-z]{2} [a-z]/.test(sentence))
    .map((sentence) => `${file}:${line}: ${sentence}`)
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [, , option, seed] = process.argv
  if (option === '--sample' && /^\d+$/.test(seed ?? '')) draw(Number(seed))
  else if (option === undefined || option === '--strict') {
    const found = findings(texts(), { strict: option === '--strict' })
    for (const { file, line, found: words, advice } of found)
      console.log(`${file}:${line}: ${words} (${advice})`)
    process.exitCode = found.length > 0 ? 1 : 0
  } else {
    console.error('node test/words.mjs [--strict | --sample SEED]; SEED is a whole number')
    process.exitCode = 2
  }
}
