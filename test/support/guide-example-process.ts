import { startByGuide } from './guide-command.js'
import { examplesOf, withEnvironment, writeModule } from './guide-examples.js'
import { until } from './until.js'

interface Start {
  readonly heading: string
  /** The server's port in the guide's command; each of `ports` takes its place. */
  readonly port?: number
  /** The program runs the example so many times, each with a server's port of its own. */
  readonly ports: readonly number[]
  readonly env: (port: number) => Record<string, string>
  /** What makes another program of the example. It can use `say` as well. */
  readonly edit?: (text: string) => string
  /** What is added below the example. `say(text)` sends text to the test; `answer(line)` is called with each line from it. */
  readonly added: string
}

/** One run of an example in a program of its own. */
export interface ExampleRun {
  /** When it said this, for the nth time. */
  said(text: string, times?: number): Promise<number>
  send(line: string): void
}

export interface ExampleProcess {
  readonly runs: readonly ExampleRun[]
  stop(): void
}

interface Said {
  readonly run: number
  readonly text: string
  /** In ms since 1970, so that the test's clock and the program's are the same. */
  readonly at: number
}

const sayFrom = (run: number) => `
const say = (text) => console.log('# ' + JSON.stringify({ run: ${run}, text, at: performance.timeOrigin + performance.now() }))
process.stdin.setEncoding('utf8').on('data', (lines) => {
  for (const line of lines.split('\\n')) if (line.startsWith('${run} ')) answer(line.slice(2))
})
`

/** Starts an example of the guide with the guide's command. */
export function startExample({
  heading,
  port,
  ports,
  env,
  edit = (text) => text,
  added,
}: Start): ExampleProcess {
  const files = ports.map((each, run) => {
    const text = withEnvironment(edit(examplesOf(heading)[0]!), env(each))
    return writeModule(`${sayFrom(run)}${text}${added}\n`)
  })
  const main = writeModule(files.map((file) => `import(${JSON.stringify(file)})\n`).join(''))
  const child = startByGuide(heading, main, (word) => {
    if (port === undefined || !word.startsWith(`${port}=`)) return word
    return ports.map((each) => word.replace(String(port), String(each))).join(',')
  })
  const heard: Said[] = []
  let rest = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = `${rest}${chunk}`.split('\n')
    rest = lines.pop()!
    for (const line of lines) if (line.startsWith('# ')) heard.push(JSON.parse(line.slice(2)))
  })
  let complaints = ''
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    complaints += chunk
  })

  async function said(run: number, text: string, times: number): Promise<number> {
    const all = () => heard.filter((each) => each.run === run && each.text === text)
    const isSaid = () => {
      if (child.exitCode !== null) throw new Error(`The example ended with ${child.exitCode}: ${complaints}`)
      return all().length >= times
    }
    await until(isSaid, 30_000)
    return all()[times - 1]!.at - performance.timeOrigin
  }

  return {
    runs: ports.map((_, run) => ({
      said: (text, times = 1) => said(run, text, times),
      send: (line) => void child.stdin.write(`${run} ${line}\n`),
    })),
    stop: () => void child.kill('SIGKILL'),
  }
}
