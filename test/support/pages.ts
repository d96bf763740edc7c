import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))

/** The README, the other documents beside it, and the pages of docs, without the generated reference. */
export const documents: readonly string[] = [
  ...namesIn('.'),
  ...namesIn('docs').map((name) => `docs/${name}`),
]

function namesIn(folder: string): string[] {
  return readdirSync(`${root}/${folder}`)
    .filter((name) => name.endsWith('.md'))
    .sort()
}

export function textOf(path: string): string {
  return readFileSync(`${root}/${path}`, 'utf8')
}

export interface Fence {
  readonly line: number
  /** The word after the backticks; '' without one. */
  readonly language: string
  /** What follows the language. */
  readonly info: string
  /** Without the fence's own indentation. */
  readonly code: string
}

export interface Page {
  /** The page with every line of a code block empty, so that the lines keep their numbers. */
  readonly prose: string
  readonly fences: readonly Fence[]
}

/** Separates the code blocks of a page from its prose. Throws if a block is not closed. */
export function parsePage(text: string): Page {
  const fences: Fence[] = []
  const prose: string[] = []
  let open: { line: number; indent: string; marks: string; info: string; code: string[] } | undefined
  for (const [i, line] of text.split('\n').entries()) {
    const [, indent = '', marks, info = ''] = /^([ >]*)(`{3,}|~{3,})([^`]*)$/.exec(line) ?? []
    if (open && marks?.startsWith(open.marks) && info.trim() === '') {
      const [language = '', ...rest] = open.info.trim().split(/\s+/)
      fences.push({
        line: open.line,
        language,
        info: rest.join(' '),
        code: open.code.map((each) => `${each}\n`).join(''),
      })
      open = undefined
      prose.push('')
    } else if (open) {
      open.code.push(line.startsWith(open.indent) ? line.slice(open.indent.length) : line.trimStart())
      prose.push('')
    } else if (marks) {
      open = { line: i + 1, indent, marks, info, code: [] }
      prose.push('')
    } else prose.push(line)
  }
  if (open) throw new Error(`The code block of line ${open.line} is not closed.`)
  return { prose: prose.join('\n'), fences }
}

export interface Span {
  readonly line: number
  readonly code: string
}

/** The code spans of prose. A span with several backticks may contain fewer. */
export function codeSpans(prose: string): Span[] {
  return [...prose.matchAll(/(?<!`)(`+)(?!`)((?:[^\n]|\n(?!\n))*?[^`])\1(?!`)/g)].map((match) => ({
    line: prose.slice(0, match.index).split('\n').length,
    code: match[2]!.replaceAll('\n', ' ').trim(),
  }))
}
