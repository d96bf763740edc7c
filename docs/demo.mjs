// Runs `deadpeer demo` in a terminal, and writes its last frame to docs/demo.svg.
// Linux only. Uses `script` and `stty`, which util-linux and coreutils provide.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const main = join(import.meta.dirname, '../dist/cli/main.js')
const output = join(import.meta.dirname, 'demo.svg')

const ESC = '\x1b'

/** In pixels. */
const COLUMN = 8
const LINE = 20
const MARGIN = 16
/** From the top of a line to the baseline of its text. */
const BASELINE = 15

/** The names of the ANSI codes that the demo uses. */
const styles = { 1: 'strong', 2: 'faint', 31: 'bad', 32: 'good', 33: 'warning', 36: 'busy' }

writeFileSync(output, draw(lastFrame(record())))

/** What the demo writes to a terminal. */
function record() {
  const folder = mkdtempSync(join(tmpdir(), 'deadpeer-demo-'))
  try {
    const file = join(folder, 'typescript')
    const command = `stty rows 40 cols 100; exec "${process.execPath}" "${main}" demo`
    const { TERM = 'xterm', NO_COLOR: _, ...env } = process.env
    const { status, error, stdout } = spawnSync(
      'script',
      ['--quiet', '--return', '--command', command, file],
      {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...env, TERM: TERM === 'dumb' ? 'xterm' : TERM },
      },
    )
    if (error) throw error
    if (status !== 0) throw new Error(`deadpeer demo exited with ${status}:\n${stdout}`)
    return readFileSync(file, 'utf8').replaceAll('\r', '')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The demo ends each frame by clearing the screen below it. The lines after the last frame are its summary. */
function lastFrame(text) {
  const frame = text.split(`${ESC}[J`).at(-2)
  const lines = frame.replaceAll(`${ESC}[K`, '').split('\n')
  // The first line moves the cursor up.
  lines.shift()
  while (lines.at(-1) === '') lines.pop()
  return lines.map(partsOf)
}

/** Splits a line at its ANSI codes, at bars, and where it has more than one space. */
function partsOf(line) {
  const parts = []
  let column = 0
  for (const [index, coded] of line.split(`${ESC}[`).entries()) {
    const [code, text] = index === 0 ? ['0', coded] : coded.split(/(?<=^\d+)m/)
    for (const [run] of text.matchAll(/█+|░+| +|(?:[^█░ ]| (?! ))+/g)) {
      parts.push({ text: run, column, style: styles[code] ?? '' })
      column += run.length
    }
  }
  return parts
}

function draw(lines) {
  const columns = Math.max(
    ...lines.flatMap((parts) => parts.map(({ text, column }) => column + text.trimEnd().length)),
  )
  // The demo indents its lines by two columns.
  const width = 2 * MARGIN + (columns - 2) * COLUMN
  const height = 2 * MARGIN + lines.length * LINE
  const content = lines.flatMap((parts, line) => parts.map((part) => drawPart(part, MARGIN + line * LINE)))
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="what">
<title id="what">The last frame of deadpeer demo: seven connections whose peers have vanished, and when each is found dead</title>
<style>
  text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, 'Liberation Mono', 'DejaVu Sans Mono', monospace; fill: #1f2328; white-space: pre }
  .strong { font-weight: bold }
  .faint { fill: #59636e }
  .bad { fill: #cf222e }
  .good { fill: #1a7f37 }
  .warning { fill: #9a6700 }
  .busy { fill: #0969da }
  .paper { fill: #ffffff; stroke: #d1d9e0 }
  .empty { fill: #d1d9e0 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .faint { fill: #9198a1 }
    .bad { fill: #f85149 }
    .good { fill: #3fb950 }
    .warning { fill: #d29922 }
    .busy { fill: #4493f8 }
    .paper { fill: #0d1117; stroke: #3d444d }
    .empty { fill: #3d444d }
  }
</style>
<rect class="paper" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="6"/>
${content.filter((element) => element !== '').join('\n')}
</svg>
`
}

function drawPart({ text, column, style }, top) {
  const leading = text.length - text.trimStart().length
  const shown = text.trim()
  if (shown === '') return ''
  const x = MARGIN + (column - 2 + leading) * COLUMN
  const length = shown.length * COLUMN
  // A font's block characters leave gaps, so bars are rectangles.
  if (/^[█░]/.test(shown)) {
    const fill = shown.startsWith('█') ? style : 'empty'
    return `<rect class="${fill}" x="${x}" y="${top + 4}" width="${length}" height="${LINE - 8}"/>`
  }
  const attributes = style === '' ? '' : ` class="${style}"`
  return `<text${attributes} x="${x}" y="${top + BASELINE}" textLength="${length}">${escaped(shown)}</text>`
}

function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
